//! What says what is to be done to an archive: job files, manifests, lists, plans.

use std::path::Component;

use floutage::batch::job_file::{JobFile, Jobs, MOST_JOBS, MOST_RETRIES};
use floutage::batch::plan::Plan;
use floutage::batch::{list, manifest, name};

/// Reads `data` as a job file.
pub fn job(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match JobFile::parse(text) {
        Ok(job) => {
            assert!(job.retries.is_none_or(|retries| retries <= MOST_RETRIES));
            if let Some(Jobs::Count(count)) = job.jobs {
                assert!((1..=MOST_JOBS).contains(&count));
            }
        }
        Err(problem) => assert!(!problem.is_empty()),
    }
}

/// Reads `data` as a manifest and as a list. Rows have an input, and no output leads out of its folder.
pub fn manifest(data: &[u8]) {
    if let Ok(rows) = manifest::parse(data) {
        let lines = data.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        assert!(rows.is_sorted_by_key(|row| row.line));
        for row in &rows {
            assert!((1..=lines).contains(&row.line));
            assert!(!row.input.as_os_str().is_empty());
            let mut parts = row.output.iter().flat_map(|output| output.components());
            assert!(parts.all(|part| matches!(part, Component::Normal(_))));
            assert!(row.settings.iter().all(|(_, value)| !value.is_empty()));
        }
    }
    for path in list::parse(data) {
        assert!(!path.as_os_str().is_empty());
        // As the journal keeps it.
        let kept = name::text(path);
        assert_eq!(name::path(&kept), path);
    }
}

/// Reads `data` as a plan of shards. What is accepted gives every file to one shard.
pub fn plan(data: &[u8]) {
    let path = super::folder("plan").join("plan.json");
    std::fs::write(&path, data).expect("the temporary folder can be written");
    let Ok(plan) = Plan::read(&path) else { return };
    if plan.shards <= 1000 {
        let shared: usize = (0..plan.shards).map(|shard| plan.shard(shard).len()).sum();
        assert_eq!(shared, plan.files.len());
    }
}
