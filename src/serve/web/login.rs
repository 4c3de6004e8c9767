//! Names and passwords.
//!
//! Invariants: an attempt costs the same whether the name exists or not; attempts are limited by address and by name before
//! anything is computed; at most one hash is computed at a time, so that logins cannot take the processors from redaction.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::Semaphore;

use super::password::LONGEST as LONGEST_PASSWORD;
use crate::serve::config::web::{LONGEST_NAME, Role, User};

/// Attempts from one address: so many at once, then one in so many seconds.
const BY_ADDRESS: (u32, u64) = (10, 10);
/// Attempts for one name.
const BY_NAME: (u32, u64) = (5, 30);
/// Names are counted in so many buckets, so that invented ones take no memory.
const BUCKETS: u64 = 1 << 16;
/// Addresses remembered before old ones are looked for and forgotten.
const MANY_ADDRESSES: usize = 10_000;

/// Why somebody was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Wrong name or password, it is not said which.
    Wrong,
    /// Too many attempts; the next may be made after this time.
    TooMany(Duration),
}

/// The users, and how often somebody tried to be one.
pub struct Accounts {
    users: Arc<[User]>,
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    by_name: DefaultKeyedRateLimiter<u64>,
    buckets: RandomState,
    hashing: Semaphore,
}

impl Accounts {
    /// Of users whose hashes were validated.
    pub fn new(users: Vec<User>) -> Self {
        Self {
            users: users.into(),
            by_address: RateLimiter::dashmap(quota(BY_ADDRESS)),
            by_name: RateLimiter::dashmap(quota(BY_NAME)),
            buckets: RandomState::new(),
            hashing: Semaphore::new(1),
        }
    }

    /// True when nobody can log in at all.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Checks a name and password given from `address`.
    pub async fn check(
        &self,
        address: IpAddr,
        name: &str,
        password: String,
    ) -> Result<Role, Refusal> {
        self.count(address, name)?;
        if self.users.is_empty() || name.len() > LONGEST_NAME || password.len() > LONGEST_PASSWORD {
            return Err(Refusal::Wrong);
        }
        let known = self.users.iter().position(|user| user.name == name);
        // An unknown name is checked against the hash of some user, for nothing, always the same for the same name.
        let index = known.unwrap_or((self.bucket(name) % self.users.len() as u64) as usize);
        let users = self.users.clone();
        let Ok(_turn) = self.hashing.acquire().await else {
            return Err(Refusal::Wrong);
        };
        let matches = tokio::task::spawn_blocking(move || {
            let hash = PasswordHash::new(users[index].password_hash.reveal());
            hash.is_ok_and(|hash| {
                let argon2 = Argon2::default();
                argon2.verify_password(password.as_bytes(), &hash).is_ok()
            })
        });
        let matches = matches.await.unwrap_or(false);
        match known {
            Some(index) if matches => Ok(self.users[index].role),
            _ => Err(Refusal::Wrong),
        }
    }

    fn count(&self, address: IpAddr, name: &str) -> Result<(), Refusal> {
        if self.by_address.len() > MANY_ADDRESSES {
            self.by_address.retain_recent();
        }
        let now = DefaultClock::default().now();
        let by_address = self.by_address.check_key(&network(address));
        by_address.map_err(|until| Refusal::TooMany(until.wait_time_from(now)))?;
        let by_name = self.by_name.check_key(&self.bucket(name));
        by_name.map_err(|until| Refusal::TooMany(until.wait_time_from(now)))
    }

    fn bucket(&self, name: &str) -> u64 {
        self.buckets.hash_one(name) % BUCKETS
    }
}

fn quota((at_once, seconds): (u32, u64)) -> Quota {
    let at_once = NonZeroU32::new(at_once).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(Duration::from_secs(seconds))
        .unwrap_or(Quota::per_minute(NonZeroU32::MIN))
        .allow_burst(at_once)
}

/// What one owner has of addresses: a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::super::password::hash;
    use super::*;
    use crate::serve::config::secret::Secret;

    fn accounts() -> Accounts {
        let user = |name: &str, password: &str, role| User {
            name: name.into(),
            password_hash: Secret::from(hash(password).unwrap()),
            role,
        };
        Accounts::new(vec![
            user("anne", "the first password", Role::Admin),
            user("bert", "the other password", Role::Viewer),
        ])
    }

    fn check(
        accounts: &Accounts,
        address: &str,
        name: &str,
        password: &str,
    ) -> Result<Role, Refusal> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(accounts.check(address.parse().unwrap(), name, password.into()))
    }

    #[test]
    fn only_the_right_pair_is_let_in() {
        let accounts = accounts();
        let check = |name, password| check(&accounts, "192.0.2.1", name, password);
        assert_eq!(check("anne", "the first password"), Ok(Role::Admin));
        assert_eq!(check("bert", "the other password"), Ok(Role::Viewer));
        for (name, password) in [
            ("anne", "the other password"),
            ("bert", ""),
            // Whoever's hash an unknown name is compared with: its password does not let in.
            ("nobody", "the first password"),
            ("nobody", "the other password"),
            ("Anne", "the first password"),
        ] {
            assert_eq!(check(name, password), Err(Refusal::Wrong), "{name}");
        }
    }

    #[test]
    fn without_users_nobody_is_let_in() {
        let none = Accounts::new(Vec::new());
        assert_eq!(check(&none, "::1", "", ""), Err(Refusal::Wrong));
    }

    #[test]
    fn attempts_are_limited_by_name_from_wherever() {
        let accounts = accounts();
        let attempt = |index: u32, name: &str| {
            let address = format!("192.0.2.{index}");
            check(&accounts, &address, name, "the first password")
        };
        for name in ["anne", "nobody"] {
            for index in 0..BY_NAME.0 {
                assert!(!matches!(attempt(index, name), Err(Refusal::TooMany(_))));
            }
            let Err(Refusal::TooMany(wait)) = attempt(99, name) else {
                panic!("{name}: the right password does not help");
            };
            assert!(wait <= Duration::from_secs(BY_NAME.1));
        }
    }

    #[test]
    fn attempts_are_limited_by_address_for_whatever_name() {
        let accounts = accounts();
        let attempt = |host: u32, name: u32| {
            let address = format!("2001:db8::{host}");
            check(&accounts, &address, &format!("name {name}"), "x")
        };
        for index in 0..BY_ADDRESS.0 {
            assert_eq!(attempt(index, index), Err(Refusal::Wrong));
        }
        assert!(matches!(attempt(98, 98), Err(Refusal::TooMany(_))));
        assert_eq!(
            check(&accounts, "2001:db8:0:1::1", "x", "x"),
            Err(Refusal::Wrong)
        );
    }
}
