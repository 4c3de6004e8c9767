//! Bodies of the fuzz targets. They are apart from the targets so that the test suite can replay the seed
//! corpus without a fuzzer (`tests/fuzz_corpus.rs`).
//!
//! Each takes any bytes and panics when an invariant of the library is broken.

mod batch;
mod container;
mod gateway_toml;
mod heads;
mod http;
mod input;
mod model;
mod models_toml;
mod peers;
mod picture;
mod record;
mod report;
mod rtsp;
mod settings;
mod truth;

use std::path::PathBuf;

pub use batch::{job, manifest, plan};
pub use container::container;
pub use gateway_toml::gateway_toml;
pub use heads::heads;
pub use http::http;
pub use input::input;
pub use model::model;
pub use models_toml::models_toml;
pub use peers::{link, wire};
pub use picture::picture;
pub use record::record;
pub use report::report;
pub use rtsp::rtsp;
pub use settings::settings;
pub use truth::truth;

/// A temporary folder of this process.
fn folder(name: &str) -> PathBuf {
    let folder = format!("floutage-fuzz-{}-{name}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
    folder
}
