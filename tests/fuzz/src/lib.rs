//! Bodies of the fuzz targets. They are apart from the targets so that the test suite can replay the seed
//! corpus without a fuzzer (`tests/fuzz_corpus.rs`).
//!
//! Each takes any bytes and panics when an invariant of the library is broken.

mod container;
mod heads;
mod models_toml;
mod picture;
mod record;
mod truth;

pub use container::container;
pub use heads::heads;
pub use models_toml::models_toml;
pub use picture::picture;
pub use record::record;
pub use truth::truth;
