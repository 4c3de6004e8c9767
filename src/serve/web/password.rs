//! Hashes of passwords.

use argon2::Argon2;
use argon2::password_hash::PasswordHasher;

use crate::error::{Error, Result};

/// Shortest password, in characters.
pub const SHORTEST: usize = 12;
/// Longest password, in bytes: no reason for more, and hashing costs time.
pub const LONGEST: usize = 256;

/// The argon2id hash of `password`, with a salt of its own, in PHC form.
///
/// Errors: [`Error::Setting`] when the password is too short or too long.
pub fn hash(password: &str) -> Result<String> {
    if password.chars().count() < SHORTEST || password.len() > LONGEST {
        return Err(Error::setting(
            "password",
            "(secret)",
            format!("{SHORTEST} or more characters and at most {LONGEST} bytes"),
        ));
    }
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Error::setting("password", "(secret)", format!("hashable: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_have_a_length() {
        for wrong in ["", "short", &"x".repeat(LONGEST + 1)] {
            assert!(hash(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_hash_has_a_salt_of_its_own() {
        let [one, other] = [(); 2].map(|()| hash("a long enough one").unwrap());
        assert!(one.starts_with("$argon2id$v=19$"), "{one}");
        assert_ne!(one, other);
    }
}
