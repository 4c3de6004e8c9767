//! Content credentials (C2PA): a signed statement in an output of what was done to it.
//!
//! It says which program and version, that regions were redacted, in which styles, by which models (SHA-256), and how many.
//!
//! Invariants: a statement holds no position, no picture, no name of a file and no time, and nothing of the input: that is named as
//! an ingredient of which nothing is known. Nothing goes to a network or comes from there: no time stamps, no revocation, no
//! remote statements. The private key is read by the process that signs, which decodes no video, and is in no log and no error. A
//! file that cannot be signed gets no name.
//!
//! Without the cargo feature `c2pa` there is no [`Identity`] to be had, and [`check()`] knows nothing.

mod format;
mod statement;

#[cfg(not(feature = "c2pa"))]
mod absent;
#[cfg(feature = "c2pa")]
mod check;
#[cfg(feature = "c2pa")]
mod identity;
#[cfg(feature = "c2pa")]
mod jumbf;
#[cfg(feature = "c2pa")]
mod shape;
#[cfg(feature = "c2pa")]
mod sign;

pub use format::Format;
pub use statement::{Signed, Statement};

#[cfg(not(feature = "c2pa"))]
pub use absent::{Identity, check, fingerprint, temporary_files_in};
#[cfg(feature = "c2pa")]
pub use check::check;
#[cfg(feature = "c2pa")]
pub use identity::{Identity, fingerprint};
#[cfg(feature = "c2pa")]
pub use sign::temporary_files_in;
