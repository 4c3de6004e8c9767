//! Archives: every file once, with an account of it, however often the work is cut off.
//!
//! | module | what it is for |
//! |---|---|
//! | [`identity`] | what a file is: size, time and BLAKE3 of its content |
//! | [`job_file`], [`list`], [`manifest`] | what is to be done, as it is written down |
//! | [`name`] | names of files as text, also of those that are not UTF-8 |
//! | [`journal`] | what became of each file, in SQLite, safe against being killed at any moment |
//! | [`plan`] | which file becomes which, with which settings, and which shard does it |
//! | [`account`] | what is told at the end: JSON, CSV, HTML |
//!
//! Invariants: a result is known to the journal, with its hash, before it gets its name, so that nothing that was cut off is
//! ever taken for complete; no account holds a picture.

pub mod account;
pub mod identity;
pub mod job_file;
pub mod journal;
pub mod list;
pub mod manifest;
pub mod name;
pub mod plan;
