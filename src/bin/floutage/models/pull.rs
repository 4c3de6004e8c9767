//! Fetching one model file.
//!
//! Invariant: a file appears under its name only when it is complete and its SHA-256 is the pinned one.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use floutage::detect::registry::{ModelSpec, Registry, read_file};
use floutage::digest::{hexadecimal, sha256_of};
use sha2::{Digest, Sha256};

/// Largest download in bytes; the largest detectors of the supported heads have under 300 MB.
const LARGEST: u64 = 512 << 20;
/// Longest wait for a connection, and for the first byte of an answer.
const CONNECT: Duration = Duration::from_secs(20);
/// Longest wait for more bytes of a file.
const STALL: Duration = Duration::from_secs(30);
/// Longest download altogether.
const TOTAL: Duration = Duration::from_secs(30 * 60);

/// Fetches the file of `spec` into `folder` and says what was done; does nothing when the right file is there.
///
/// Errors: no address or no sum is known, the download fails, or the sum differs; nothing is left then.
pub fn pull(registry: &Registry, spec: &ModelSpec, folder: &Path) -> Result<String> {
    let name = &spec.name;
    let Some(expected) = &spec.sha256 else {
        bail!("{name}: {} gives no sha256 to check it by", spec.origin);
    };
    if let Some(path) = registry.file(spec) {
        if sha256_of(&read_file(&path)?) == *expected {
            return Ok(format!("{name}: already there, {}", path.display()));
        }
        let path = path.display();
        bail!("{name}: {path} is another file; move it away, then pull again");
    }
    let Some(url) = &spec.url else {
        let note = if spec.note.is_empty() {
            "it is part of floutage, or you have it from elsewhere"
        } else {
            &spec.note
        };
        bail!("{name}: no official address is known: {note}");
    };
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let target = folder.join(&spec.file);
    let partial = folder.join(format!(
        "{}.{}.floutage-partial",
        spec.file,
        std::process::id()
    ));
    let done = fetch(url, expected, &partial).and_then(|size| {
        std::fs::rename(&partial, &target)
            .with_context(|| format!("renaming to {}", target.display()))?;
        Ok(size)
    });
    match done {
        Ok(size) => Ok(format!(
            "{name}: {size} bytes, sha256 right, {}; licence {}",
            target.display(),
            spec.licence
        )),
        Err(error) => {
            // It may not exist; what matters is the first error.
            let _ = std::fs::remove_file(&partial);
            Err(error.context(format!("{name}: not fetched from {url}")))
        }
    }
}

/// Writes what `url` gives to `partial`; returns its size in bytes once its SHA-256 is `expected`.
fn fetch(url: &str, expected: &str, partial: &Path) -> Result<u64> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .https_only(url.starts_with("https:"))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(CONNECT))
        .timeout_per_read(Some(STALL))
        .timeout_global(Some(TOTAL))
        .user_agent(concat!("floutage/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut response = agent.get(url).call()?;
    let body = response.body_mut();
    if let Some(length) = body.content_length().filter(|&length| length > LARGEST) {
        bail!("the answer has {length} bytes, more than {LARGEST}");
    }
    let mut reader = body.with_config().limit(LARGEST).reader();
    let mut file =
        File::create(partial).with_context(|| format!("writing {}", partial.display()))?;
    let mut sum = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        sum.update(&buffer[..count]);
        size += count as u64;
        file.write_all(&buffer[..count])
            .with_context(|| format!("writing {}", partial.display()))?;
    }
    let actual = hexadecimal(&sum.finalize());
    if actual != expected {
        bail!(
            "sha256 is {actual}, {expected} was expected: the file there is not the described one"
        );
    }
    file.sync_all()
        .with_context(|| format!("writing {}", partial.display()))?;
    Ok(size)
}
