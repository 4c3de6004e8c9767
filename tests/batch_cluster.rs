//! A batch on many machines: shards, their merged account, and a real Slurm that loses a node.

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use common::batch::{FOLDER, account, bare, batch, clips, results, settings};
use common::program::run;
use common::slurm::{Cluster, lacks};
use common::{repository, run_tool, skip, temp_dir};
use floutage::batch::journal::{Journal, State};

fn plan(input: &Path, output: &Path, shards: &str) -> common::program::Run {
    let mut command = bare(["plan", "--shards", shards]);
    command.arg(input).arg("-o").arg(output).args(settings());
    run(&mut command)
}

/// Every output of the merged account, once, and done.
fn accounted(output: &Path) -> Vec<String> {
    run(bare(["report"]).arg(output)).succeeded();
    let told = account(&output.join(FOLDER));
    let files = told["files"].as_array().expect("files");
    assert!(files.iter().all(|file| file["state"] == "done"), "{told}");
    let name = |file: &serde_json::Value| -> String {
        let path = Path::new(file["output"].as_str().expect("a path"));
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    files.iter().map(name).collect()
}

#[test]
fn shards_make_what_one_machine_makes() {
    let dir = temp_dir();
    let input = clips(dir.path(), 7);
    let (whole, out) = (dir.path().join("whole"), dir.path().join("out"));
    run(&mut batch(&input, &whole)).succeeded();
    let planned = plan(&input, &out, "3").succeeded();
    for line in [
        "shard 1/3: 2 files",
        "shard 2/3: 2 files",
        "shard 3/3: 3 files",
    ] {
        assert!(planned.stdout.contains(line), "{planned:?}");
    }
    let again = dir.path().join("again");
    plan(&input, &again, "3").succeeded();
    let read = |folder: &Path| {
        std::fs::read_to_string(folder.join(FOLDER).join("plan.json")).expect("a plan")
    };
    assert_eq!(read(&out), read(&again).replace("/again/", "/out/"));

    let place = out.join(FOLDER);
    run(bare(["run", "--shard", "1/3"]).arg(&place)).succeeded();
    // What no shard has begun belongs to the account.
    let partial = run(bare(["report"]).arg(&out));
    assert_eq!(partial.code, Some(3), "{partial:?}");
    assert!(
        partial.stdout.contains("7 files: 2 done, 5 pending"),
        "{partial:?}"
    );
    let status = run(bare(["status"]).arg(&out)).succeeded();
    assert!(status.stdout.contains("5 pending"), "{status:?}");
    run(bare(["run"])
        .arg(&place)
        .env("SLURM_ARRAY_TASK_ID", "1")
        .env("SLURM_ARRAY_TASK_COUNT", "3"))
    .succeeded();
    run(bare(["run"]).arg(&place).env("JOB_COMPLETION_INDEX", "2")).succeeded();
    assert!(results(&out) == results(&whole));
    let names: Vec<String> = results(&whole).into_keys().collect();
    assert_eq!(accounted(&out), names);

    for (words, variable, word) in [
        (&["run", "--shard", "1/4"][..], None, "3 shards"),
        (&["run", "--shard", "0/3"], None, "1/4"),
        (&["run"], None, "which shard"),
        (&["run"], Some("3"), "3 shards"),
    ] {
        let mut command = bare(words.iter().copied());
        command.arg(&place);
        if let Some(value) = variable {
            command.env("SLURM_ARRAY_TASK_ID", value);
        }
        let failed = run(&mut command);
        assert!(
            failed.code != Some(0) && failed.stderr.contains(word),
            "{failed:?}"
        );
    }
}

#[test]
fn a_slurm_array_loses_a_node_and_no_file() {
    if let Some(missing) = lacks() {
        skip!("no Slurm on this machine ({missing})");
    }
    let dir = temp_dir();
    let input = clips(dir.path(), 24);
    let (whole, out) = (dir.path().join("whole"), dir.path().join("out"));
    run(&mut batch(&input, &whole)).succeeded();
    plan(&input, &out, "4").succeeded();
    let place = out.join(FOLDER);
    let mut cluster = Cluster::start(2);
    let submit = |cluster: &Cluster, words: &[&str]| -> Vec<u8> {
        let mut command: Command = cluster.command("sbatch");
        command
            .current_dir(dir.path())
            .env("FLOUTAGE", env!("CARGO_BIN_EXE_floutage"))
            .args(["--parsable", "--cpus-per-task=1", "--mem-per-cpu=500M"])
            .args(words)
            .arg(repository("packaging/slurm/floutage-array.sbatch"))
            .arg(&place);
        run_tool(&mut command)
    };
    submit(&cluster, &["--test-only"]);
    submit(&cluster, &[]);

    let progress = |shard: usize| -> (usize, usize) {
        let path = place.join(format!("journal-{shard}-of-4.sqlite"));
        let entries = Journal::look(&path)
            .and_then(|journal| journal.entries())
            .unwrap_or_default();
        let done = entries
            .iter()
            .filter(|entry| entry.state == State::Done)
            .count();
        (done, entries.len())
    };
    // A task on the second node that is in the midst of its work.
    let mut lost = None;
    cluster.wait("a task to be killed", || {
        let running = run_tool(
            cluster
                .command("squeue")
                .args(["-h", "-r", "-w", "n2", "-t", "R", "-o", "%K"]),
        );
        let running = String::from_utf8_lossy(&running)
            .trim()
            .parse::<usize>()
            .ok();
        lost = running
            .filter(|task| matches!(progress(task + 1), (done, all) if done > 0 && done < all));
        lost.is_some()
    });
    let lost = lost.expect("waited for");
    cluster.kill_node(1);
    let (before, all) = progress(lost + 1);
    assert!(before < all, "the task was over already");
    cluster.start_node(1);
    cluster.drain();

    let log = std::fs::read_dir(dir.path())
        .expect("read")
        .flatten()
        .find(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .ends_with(&format!("-{lost}.log"))
        });
    let log = std::fs::read_to_string(log.expect("a log").path()).expect("text");
    assert!(
        (1..=4).all(|shard| matches!(progress(shard), (done, all) if done == all && all > 0)),
        "{log}"
    );
    assert!(results(&out) == results(&whole), "{log}");
    let names: Vec<String> = results(&whole).into_keys().collect();
    assert_eq!(accounted(&out), names);
    let unique: BTreeSet<&String> = names.iter().collect();
    assert_eq!(unique.len(), 24);
}

#[test]
fn the_kubernetes_job_is_one() {
    let validate = repository("target/test-venv/bin/kubernetes-validate");
    if !validate.exists() {
        skip!("no kubernetes-validate in target/test-venv; `make test` installs it");
    }
    let job = repository("packaging/kubernetes/floutage-job.yaml");
    run_tool(Command::new(&validate).arg("--strict").arg(&job));
    // It does refuse what is wrong.
    let dir = temp_dir();
    let text = std::fs::read_to_string(job).expect("text");
    let wrong = dir.path().join("wrong.yaml");
    std::fs::write(&wrong, text.replace("completionMode", "completionMood")).expect("written");
    let status = Command::new(&validate)
        .arg("--strict")
        .arg(&wrong)
        .output()
        .expect("it runs");
    assert!(!status.status.success());
}
