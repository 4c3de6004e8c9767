//! Checking a log.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use ed25519_dalek::{Signature, VerifyingKey};
use serde::Serialize;

use super::entry::{Entry, Event};
use super::log::{NOTHING, read_head};
use super::{key, seal};
use crate::error::{Error, Result};

/// What the log is compared with.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// A public key in hexadecimal that the log must have used.
    pub public_key: Option<String>,
    /// Number and hash of an entry that must be there, as noted down earlier.
    pub head: Option<(u64, String)>,
}

/// What a log turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Checked {
    /// What tells it from other logs.
    pub log: String,
    /// Number of entries.
    pub entries: u64,
    /// Public keys in the order of their use.
    pub keys: Vec<String>,
    /// Time of the first entry.
    pub from: String,
    /// Time of the last entry.
    pub to: String,
    /// Number and hash of the last entry: what to note down elsewhere.
    pub head: Option<(u64, String)>,
    /// Whether it is known that nothing is missing at the end.
    pub end_known: bool,
    /// What is wrong, line by line.
    pub problems: Vec<String>,
    /// What happened, with the time.
    #[serde(skip)]
    pub events: Vec<(String, Event)>,
}

/// Problems after which the rest says nothing.
const MOST_PROBLEMS: usize = 50;

struct Walk<'a> {
    checked: Checked,
    key: Option<VerifyingKey>,
    hash: String,
    expected: &'a Expected,
    met: bool,
}

impl Walk<'_> {
    fn problem(&mut self, line: u64, text: impl std::fmt::Display) {
        if self.checked.problems.len() < MOST_PROBLEMS {
            self.checked.problems.push(format!("line {line}: {text}"));
        }
    }

    fn line(&mut self, number: u64, line: &str) {
        let hash = seal::hash(line);
        let entry = seal::Sealed::parse(line).and_then(|sealed| {
            let entry: Entry = serde_json::from_str(&sealed.text).ok()?;
            Some((sealed, entry))
        });
        let Some((sealed, entry)) = entry else {
            self.problem(number, "this is no entry");
            self.hash = hash;
            return;
        };
        let index = self.checked.entries;
        if entry.seq != index {
            self.problem(
                number,
                format!("entry {} stands where entry {index} should", entry.seq),
            );
        }
        if entry.previous != self.hash {
            self.problem(number, "it does not follow the line before it");
        }
        if let Event::Opened { log, .. } = &entry.event {
            if index == 0 {
                self.checked.log.clone_from(log);
                self.key = seal::public(&entry.key);
                self.checked.keys.push(entry.key.clone());
            } else {
                self.problem(number, "a second beginning");
            }
        } else if index == 0 {
            self.problem(
                number,
                "the log does not begin here: entries before it are missing",
            );
        }
        let named = seal::public(&entry.key);
        if self.key.is_none() || named != self.key {
            self.problem(number, "it is signed with a key that is not the log's");
        }
        if !self.key.is_some_and(|key| sealed.is_by(&key)) {
            self.problem(number, "its signature is wrong");
        }
        if let Event::Rotated { new_key, proof } = &entry.event {
            let new = seal::public(new_key);
            let proof: Option<[u8; 64]> =
                seal::bytes(proof).and_then(|bytes| bytes.try_into().ok());
            let proved = new.zip(proof).is_some_and(|(new, proof)| {
                new.verify_strict(entry.previous.as_bytes(), &Signature::from_bytes(&proof))
                    .is_ok()
            });
            if proved {
                self.key = new;
                self.checked.keys.push(new_key.clone());
            } else {
                self.problem(number, "the new key does not vouch for it");
            }
        }
        if self
            .expected
            .head
            .as_ref()
            .is_some_and(|(seq, wanted)| *seq == entry.seq && *wanted == hash)
        {
            self.met = true;
        }
        if self.checked.entries == 0 {
            self.checked.from.clone_from(&entry.time);
        }
        self.checked.to = entry.time.clone();
        self.checked.head = Some((entry.seq, hash.clone()));
        self.checked.entries += 1;
        self.checked.events.push((entry.time, entry.event));
        self.hash = hash;
    }
}

/// Walks through every line of `log`.
///
/// Errors: those of reading.
pub fn check_bytes(log: impl Read, expected: &Expected) -> std::io::Result<Checked> {
    let mut reader = BufReader::new(log);
    let mut walk = Walk {
        checked: Checked::default(),
        key: None,
        hash: NOTHING.to_owned(),
        expected,
        met: false,
    };
    let mut number = 0;
    loop {
        let mut line = Vec::new();
        let read = (&mut reader)
            .take(seal::LONGEST as u64)
            .read_until(b'\n', &mut line)?;
        if read == 0 || walk.checked.problems.len() >= MOST_PROBLEMS {
            break;
        }
        number += 1;
        if line.pop() != Some(b'\n') {
            walk.problem(number, "it is cut off, or too long");
            break;
        }
        match std::str::from_utf8(&line) {
            Ok(text) => walk.line(number, text),
            Err(_) => walk.problem(number, "this is no entry"),
        }
    }
    if walk.checked.entries == 0 {
        walk.checked.problems.push("there are no entries".into());
    }
    if let Some(wanted) = &expected.public_key
        && !walk.checked.keys.contains(wanted)
    {
        walk.checked
            .problems
            .push(format!("it is not signed with the key {wanted}"));
    }
    if let Some((seq, _)) = &expected.head
        && !walk.met
    {
        walk.checked.problems.push(format!(
            "entry {seq} is not there as it was noted: entries are missing at the end, or all was written anew"
        ));
    }
    walk.checked.end_known = expected.head.is_some() && walk.met;
    Ok(walk.checked)
}

/// Checks the log `path` against `expected`, and, where the folder `state` has its key and head, against these.
///
/// Without either there is nobody to trust, which is a problem; without a head it is not known whether the end is missing,
/// see [`Checked::end_known`].
///
/// Errors: [`Error::Io`] when it cannot be read.
pub fn check(path: &Path, state: Option<&Path>, expected: &Expected) -> Result<Checked> {
    let read = || {
        File::open(path)
            .and_then(|file| check_bytes(file, expected))
            .map_err(|source| Error::io(path, "reading", source))
    };
    let mut checked = read()?;
    let id_is_ours =
        checked.log.len() == 32 && checked.log.bytes().all(|byte| byte.is_ascii_hexdigit());
    let folder = state
        .map(|state| state.join("audit"))
        .filter(|_| id_is_ours);
    let mut trusted = expected.public_key.is_some();
    if let Some(folder) = &folder {
        match key::read(&key::path(folder, &checked.log)) {
            Ok(Some(ours)) => {
                trusted = true;
                let ours = seal::public_text(&ours.verifying_key());
                // Of a rotation that was interrupted the key may be the one before.
                if !checked.keys.iter().rev().take(2).any(|key| *key == ours) {
                    checked
                        .problems
                        .push("it is not signed with the key in the state folder".into());
                }
            }
            Ok(None) => {}
            // Not this user's, for one: then the public key has to be given.
            Err(error) => tracing::warn!("{error}"),
        }
        let keys: Vec<_> = checked
            .keys
            .iter()
            .filter_map(|key| seal::public(key))
            .collect();
        match read_head(folder, &checked.log, &keys) {
            Ok(Some(head)) => against_head(path, &mut checked, (head.seq, head.hash), expected)?,
            Ok(None) => {}
            Err(error) => checked.problems.push(error.to_string()),
        }
    }
    if !trusted {
        checked.problems.push(
            "nothing says whose log this is: give the public key, or check it as the user and on the machine that wrote it"
                .into(),
        );
    }
    Ok(checked)
}

fn against_head(
    path: &Path,
    checked: &mut Checked,
    head: (u64, String),
    expected: &Expected,
) -> Result<()> {
    let with_head = Expected {
        head: Some(head.clone()),
        ..expected.clone()
    };
    let again = File::open(path)
        .and_then(|file| check_bytes(file, &with_head))
        .map_err(|source| Error::io(path, "reading", source))?;
    if again.end_known {
        checked.end_known = true;
        return Ok(());
    }
    checked.problems.push(format!(
        "the head record says that there is an entry {} that is not there: entries are missing at the end, or all was \
         written anew",
        head.0
    ));
    Ok(())
}
