//! Input files, as far as their own code of ours looks into them: boxes, clusters, chunks and packets.

use std::path::PathBuf;
use std::sync::OnceLock;

use floutage::media::container::check_whole;
use floutage::media::transfer::Input;

/// Looks whether `data` is a whole file of its container.
pub fn input(data: &[u8]) {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let path = FILE.get_or_init(|| super::folder("input").join("in"));
    std::fs::write(path, data).expect("the temporary folder can be written");
    match check_whole(&Input::file(path)) {
        Ok(None) => {}
        Ok(Some(problem)) => assert!(!problem.is_empty() && problem.len() < 500),
        Err(error) => assert!(error.to_string().len() < 1000, "{error}"),
    }
}
