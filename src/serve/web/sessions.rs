//! Who is logged in.
//!
//! Invariant: a session is found only by its id, 256 random bits that the server itself keeps as a hash only; it ends when
//! unused or old, whatever the browser does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::digest::hexadecimal;
use crate::serve::config::web::Role;

/// A session ends when nothing was asked for so long; an open page asks all the time.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// A session ends so long after the login.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions of one user; a further login ends the least recently used one.
const MOST_PER_USER: usize = 16;

/// Somebody logged in.
#[derive(Debug)]
pub struct Session {
    /// The user's name.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// What the page sends along with every change.
    pub csrf: String,
    key: Key,
}

type Key = [u8; 32];

struct Entry {
    session: Arc<Session>,
    opened: Instant,
    used: Instant,
}

impl Entry {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.used) > IDLE || now.duration_since(self.opened) > LONGEST
    }
}

/// All sessions, in memory: they end with the program.
#[derive(Default)]
pub struct Sessions {
    entries: Mutex<HashMap<Key, Entry>>,
}

impl Sessions {
    /// Opens a session and returns its id, which is kept nowhere else; None when the system has no randomness to give.
    pub fn open(&self, user: &str, role: Role, now: Instant) -> Option<(String, Arc<Session>)> {
        let id = token()?;
        let key = key(&id);
        let session = Arc::new(Session {
            user: user.to_owned(),
            role,
            csrf: token()?,
            key,
        });
        let mut entries = self.lock();
        entries.retain(|_, entry| !entry.is_over(now));
        while entries
            .values()
            .filter(|entry| entry.session.user == user)
            .count()
            >= MOST_PER_USER
        {
            let oldest = entries
                .values()
                .filter(|entry| entry.session.user == user)
                .min_by_key(|entry| entry.used)
                .map(|entry| entry.session.key);
            if let Some(oldest) = oldest {
                entries.remove(&oldest);
            }
        }
        let entry = Entry {
            session: session.clone(),
            opened: now,
            used: now,
        };
        entries.insert(key, entry);
        Some((id, session))
    }

    /// The session with this id, which counts as used.
    pub fn find(&self, id: &str, now: Instant) -> Option<Arc<Session>> {
        let key = key(id);
        let mut entries = self.lock();
        let entry = entries.get_mut(&key)?;
        if entry.is_over(now) {
            entries.remove(&key);
            return None;
        }
        entry.used = now;
        Some(entry.session.clone())
    }

    /// True while `session` has not ended. Does not count as use.
    pub fn is_open(&self, session: &Session, now: Instant) -> bool {
        let entries = self.lock();
        entries
            .get(&session.key)
            .is_some_and(|entry| !entry.is_over(now))
    }

    /// Ends `session`.
    pub fn close(&self, session: &Session) {
        self.lock().remove(&session.key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Entry>> {
        // Every change is complete before anything can panic.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// True when `given` is this session's token.
    pub fn confirms(&self, given: &str) -> bool {
        same(given, &self.csrf)
    }
}

/// Compares in a time that does not tell where the difference is.
pub fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// 256 random bits in hexadecimal; None when the system has none to give.
pub fn token() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(hexadecimal(&bytes))
}

fn key(id: &str) -> Key {
    Sha256::digest(id).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_by_its_id_only() {
        let sessions = Sessions::default();
        let now = Instant::now();
        let (id, session) = sessions.open("anne", Role::Admin, now).unwrap();
        assert_eq!((id.len(), session.csrf.len()), (64, 64));
        assert_ne!(id, session.csrf);
        assert_eq!(sessions.find(&id, now).unwrap().user, "anne");
        for other in ["", &id[1..], &session.csrf, &id.to_uppercase()] {
            assert!(sessions.find(other, now).is_none());
        }
        assert!(session.confirms(&session.csrf) && !session.confirms(&id) && !session.confirms(""));
        sessions.close(&session);
        assert!(sessions.find(&id, now).is_none() && !sessions.is_open(&session, now));
    }

    #[test]
    fn a_session_ends_unused_and_old() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let (id, session) = sessions.open("anne", Role::Viewer, start).unwrap();
        let mut now = start;
        // Used all the time, it lasts to its longest.
        while now + IDLE <= start + LONGEST {
            now += IDLE;
            assert!(sessions.find(&id, now).is_some());
        }
        assert!(
            sessions
                .find(&id, start + LONGEST + Duration::from_secs(1))
                .is_none()
        );
        let (id, second) = sessions.open("anne", Role::Viewer, start).unwrap();
        let late = start + IDLE + Duration::from_secs(1);
        assert!(!sessions.is_open(&second, late) && sessions.find(&id, late).is_none());
        assert!(!sessions.is_open(&session, start));
    }

    #[test]
    fn sessions_are_bounded() {
        let sessions = Sessions::default();
        let start = Instant::now();
        let ids: Vec<_> = (0..MOST_PER_USER as u64 + 2)
            .map(|second| {
                let now = start + Duration::from_secs(second);
                sessions.open("anne", Role::Viewer, now).unwrap().0
            })
            .collect();
        let now = start + Duration::from_secs(60);
        let open = ids
            .iter()
            .filter(|id| sessions.find(id, now).is_some())
            .count();
        assert_eq!(open, MOST_PER_USER);
        assert!(sessions.find(&ids[0], now).is_none() && sessions.find(&ids[1], now).is_none());
    }
}
