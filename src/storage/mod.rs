//! Object storage: what is named `s3://bucket/key`.
//!
//! | module | what it is for |
//! |---|---|
//! | [`address`] | names of objects |
//! | `profile` | credentials, region and endpoint out of AWS's files |
//! | [`client`] | the connection: looking up and listing, and errors in words that help |
//! | [`read`] | an object by ranges, with few of its blocks in memory |
//! | [`upload`] | an object written in parts, which appears complete or not at all |
//! | [`link`] | the same from a process that may connect to nothing |
//! | `blocks` | BLAKE3 of content whose blocks come in any order |
//!
//! Invariants: bytes of objects are held in memory only, and few of them at a time; nothing has an object's name before
//! its upload was completed; credentials are in no error and in no log.

pub mod address;
mod blocks;
pub mod client;
pub mod link;
mod profile;
pub mod read;
pub mod upload;

pub use address::{Address, is_address};
pub use client::{Found, Storage};
