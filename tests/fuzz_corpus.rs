//! Replays the fuzz targets' seed corpus, as it is and with small random changes, without a fuzzer. `FLOUTAGE_FUZZ_CHANGES` says
//! how many changed inputs there are for each seed; more than the usual number are others on every run.

#[path = "fuzz/src/lib.rs"]
mod fuzz;

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Changed inputs per seed.
const CHANGED: u32 = 50;

/// How many changed inputs per seed were asked for.
fn asked() -> Option<u32> {
    std::env::var("FLOUTAGE_FUZZ_CHANGES").ok()?.parse().ok()
}

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    seeds.sort();
    assert!(seeds.len() > 3, "{} has no seeds", folder.display());
    for path in seeds {
        let seed = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        body(&seed);
        // The same changes on every run, unless more were asked for: a failure can be repeated.
        let random = match asked() {
            None => TestRng::deterministic_rng(RngAlgorithm::ChaCha),
            Some(_) => {
                let mut seed = [0; 32];
                let now = std::time::UNIX_EPOCH
                    .elapsed()
                    .map_or(0, |passed| passed.as_nanos());
                seed[..16].copy_from_slice(&now.to_le_bytes());
                TestRng::from_seed(RngAlgorithm::ChaCha, &seed)
            }
        };
        let config = Config {
            cases: asked().unwrap_or(CHANGED),
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner = TestRunner::new_with_rng(config, random);
        let changes =
            prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..8);
        runner
            .run(&changes, |changes| {
                let mut data = seed.clone();
                for (at, value, kind) in changes {
                    let at = at.index(data.len() + 1);
                    match kind {
                        0 => data.insert(at, value),
                        1 => data.truncate(at),
                        2 if at < data.len() => drop(data.remove(at)),
                        _ if at < data.len() => data[at] = value,
                        _ => data.push(value),
                    }
                }
                body(&data);
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

#[test]
fn container() {
    replay("container", fuzz::container);
}

#[test]
fn gateway_toml() {
    replay("gateway_toml", fuzz::gateway_toml);
}

#[test]
fn heads() {
    replay("heads", fuzz::heads);
}

#[test]
fn http() {
    replay("http", fuzz::http);
}

#[test]
fn input() {
    replay("input", fuzz::input);
}

#[test]
fn job() {
    replay("job", fuzz::job);
}

#[test]
fn link() {
    replay("link", fuzz::link);
}

#[test]
fn manifest() {
    replay("manifest", fuzz::manifest);
}

#[test]
fn model() {
    replay("model", fuzz::model);
}

#[test]
fn models_toml() {
    replay("models_toml", fuzz::models_toml);
}

#[test]
fn picture() {
    replay("picture", fuzz::picture);
}

#[test]
fn plan() {
    replay("plan", fuzz::plan);
}

#[test]
fn record() {
    replay("record", fuzz::record);
}

#[test]
fn report() {
    replay("report", fuzz::report);
}

#[test]
fn rtsp() {
    replay("rtsp", fuzz::rtsp);
}

#[test]
fn settings() {
    replay("settings", fuzz::settings);
}

#[test]
fn truth() {
    replay("truth", fuzz::truth);
}

#[test]
fn wire() {
    replay("wire", fuzz::wire);
}
