//! The tamper-evident record of what was redacted.
//!
//! A log is a file of JSON Lines that is only appended to. Each entry holds its number, the time, the SHA-256 of the
//! line before it, and an Ed25519 signature over its own bytes. Beside the log, in the state folder
//! (`$XDG_STATE_HOME/floutage/audit`, or `~/.local/state/floutage/audit`), lie the log's secret key, which only its
//! owner can read, and its head: a signed note of the last entry's number and hash.
//!
//! What [`check`] finds: any change to a byte of any line; a line removed, added, doubled or moved, at the start or in
//! the middle; a line of another log; a log signed with another key than the trusted one; and lines missing at the end,
//! as long as the head is there or its number and hash were written down elsewhere.
//!
//! What nobody can find from the files alone: that somebody who can write the log *and* the state folder put older copies
//! of both back, or that somebody who can read the key (the program's own user, and root) wrote new entries with it. Against
//! the first, note the head elsewhere at times (`floutage audit verify` prints it); against the second, run the
//! program as a user of its own and rotate the key: entries before a rotation cannot be signed anew, for the old key is gone.
//!
//! Invariants: an entry holds no personal data: no picture, no position or time of a person, no name of a file (files are
//! named by their SHA-256), no text that came out of an input. Whatever fails, the log ends with a whole line, and the caller
//! gets an error.

mod check;
mod entry;
mod figures;
mod key;
mod log;
mod place;
mod report;
mod seal;
mod settings;
#[cfg(test)]
mod tests;
mod time;

pub use check::{Checked, Expected, check, check_bytes};
pub use entry::{Event, FileIdentity, ModelIdentity, Redacted, Versions};
pub use log::{Appended, Log};
pub use place::state_folder;
pub use report::{Language, page};
pub use settings::settings;
