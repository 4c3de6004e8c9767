//! Files and pictures from end to end.
//!
//! Invariant: what is written, and the partial file while it is written, holds redacted pictures only.

mod audio;
pub mod bench;
mod chain;
mod coded;
pub mod container;
mod counters;
pub(crate) mod decoder_log;
pub mod duration;
pub mod encode;
mod ending;
pub mod frames;
mod gif;
pub(crate) mod guard;
mod held;
pub mod partial;
pub mod picture;
pub mod pipeline;
mod probes;
pub mod regions;
mod repair;
pub mod report;
pub mod requirements;
pub mod run;
pub mod sample;
pub(crate) mod source;
pub mod split;
mod stamps;
mod streams;
pub mod tally;
pub mod transfer;
mod transport;
pub mod video;
pub(crate) mod watch;
mod window;
pub(crate) mod wiring;
