//! Files and pictures from end to end.
//!
//! Invariant: what is written, and the partial file while it is written, holds redacted pictures only.

mod audio;
pub mod container;
pub mod encode;
mod ending;
mod gif;
pub mod partial;
pub mod picture;
pub mod pipeline;
mod probes;
mod repair;
pub mod report;
pub mod requirements;
pub mod run;
mod source;
pub mod video;
