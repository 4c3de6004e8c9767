//! Passwords: named in the configuration, read from elsewhere, shown nowhere.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A password. It is sent to a camera's worker through its socket, and has no other way out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The password itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where user and password are found.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// User.
    pub user: Option<&'a str>,
    /// File with the password.
    pub file: Option<&'a Path>,
    /// Environment variable with the password.
    pub variable: Option<&'a str>,
}

impl Login<'_> {
    /// Checks that the password has one place, and a user.
    ///
    /// Errors: [`Error::Setting`].
    pub fn validate(&self) -> Result<()> {
        if self.file.is_some() && self.variable.is_some() {
            let value = self.variable.unwrap_or_default();
            return Err(Error::setting(
                "password-env",
                value,
                "left out beside password-file",
            ));
        }
        if self.user.is_none() && (self.file.is_some() || self.variable.is_some()) {
            return Err(Error::setting("user", "none", "given with a password"));
        }
        if let Some(user) = self.user
            && self.file.is_none()
            && self.variable.is_none()
        {
            return Err(Error::setting(
                "user",
                user,
                "given with password-file or password-env",
            ));
        }
        Ok(())
    }

    /// The password; None where none is named.
    ///
    /// Errors: a file or variable that is not there.
    pub fn password(&self) -> Result<Option<Secret>> {
        if let Some(file) = self.file {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Error::io(file, "reading the password", error))?;
            return Ok(Some(Secret(text.trim_end_matches(['\r', '\n']).to_owned())));
        }
        let Some(variable) = self.variable else {
            return Ok(None);
        };
        let text = std::env::var(variable).map_err(|_| {
            Error::setting(
                "password-env",
                variable,
                "the name of an environment variable that is set",
            )
        })?;
        Ok(Some(Secret(text)))
    }
}

/// `text` without the user information of any address in it.
pub fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || "/?#\"'<>".contains(c))
            .unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        clean.push_str(
            authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host),
        );
        rest = tail;
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_keeps_its_user_information() {
        for (text, clean) in [
            ("rtsp://u:p@cam/x", "rtsp://cam/x"),
            (
                "no rtsp://u:p@q@cam and http://h/a@b",
                "no rtsp://cam and http://h/a@b",
            ),
            ("plain", "plain"),
            ("rtsp://", "rtsp://"),
            ("'rtsp://a@b'", "'rtsp://b'"),
        ] {
            assert_eq!(without_credentials(text), clean);
        }
    }

    #[test]
    fn a_password_is_never_formatted() {
        let secret = Secret("hunter2".into());
        assert_eq!(format!("{secret:?}"), "***");
    }
}
