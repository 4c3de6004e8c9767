//! The gateway: cameras in, redacted streams and recordings out.
//!
//! Invariant: nothing in the main process ever holds an unredacted picture. Each camera is decoded, redacted and encoded
//! in a worker process; what comes out of it are encoded redacted pictures and numbers.

mod boxes;
pub mod config;
pub mod confine;
mod filler;
mod fragments;
pub mod gateway;
mod hls;
mod line;
mod push;
mod record;
mod recordings;
pub mod report;
pub mod rtsp;
pub mod sealed;
pub mod state;
pub mod supervisor;
mod unit;
pub mod web;
mod whole;
pub mod wire;
pub mod worker;
