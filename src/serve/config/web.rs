//! `[web]` of the configuration: where the page listens, and who may see it.
//!
//! Invariant: nothing that passes [`WebSettings::validate`] sends passwords or pictures over a network in the clear, unless
//! that was asked for by name. Secrets are not shown by `Debug`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use argon2::password_hash::phc::PasswordHash;
use serde::{Deserialize, Serialize};

use super::secret::Secret;
use crate::error::{Error, Result};

/// Longest name of a user, in bytes.
pub const LONGEST_NAME: usize = 64;
/// Shortest metrics token that is accepted, in characters.
pub const SHORTEST_TOKEN: usize = 12;

/// Where the web page listens and who may see it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebSettings {
    /// Address and port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Certificate chain and private key; None: plain HTTP.
    pub tls: Option<Tls>,
    /// Allows plain HTTP on an address that others can reach, such as behind a proxy that has TLS.
    pub allow_insecure: bool,
    /// Who may log in.
    pub users: Vec<User>,
    /// Language of people whose browser asks for none that there is.
    pub language: Language,
    /// What a metrics collector on another machine sends as its bearer token; without it, `/metrics` is for this machine and
    /// for users.
    pub metrics_token: Option<Secret>,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            tls: None,
            allow_insecure: false,
            users: Vec::new(),
            language: Language::default(),
            metrics_token: None,
        }
    }
}

/// PEM files of the server's identity.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// The certificate and those that signed it, the server's own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct User {
    /// What they type.
    pub name: String,
    /// Argon2 hash of the password in PHC form, as `floutage password` prints it.
    pub password_hash: Secret,
    /// What they may do.
    #[serde(default)]
    pub role: Role,
}

/// What a user may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// See pictures, states and recordings.
    #[default]
    Viewer,
    /// Change zones, margins and thresholds, too.
    Admin,
}

/// A language of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// French.
    #[serde(rename = "fr")]
    French,
}

impl WebSettings {
    /// Checks everything that can be checked without listening.
    ///
    /// Errors: [`Error::Setting`], the first of [`problems`](Self::problems).
    pub fn validate(&self) -> Result<()> {
        let first = self.problems().into_iter().next();
        first.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Everything that is wrong, each an [`Error::Setting`], with the index of the user it is about.
    pub fn problems(&self) -> Vec<(Option<usize>, Error)> {
        let mut found = Vec::new();
        if !self.listen.ip().is_loopback() && self.tls.is_none() && !self.allow_insecure {
            let error = Error::setting(
                "listen",
                self.listen,
                "an address of this machine only (127.0.0.1, ::1), unless tls names a certificate and key, or \
                 allow-insecure = true accepts that passwords and pictures cross the network in the clear",
            );
            found.push((None, error));
        }
        if let Some(token) = &self.metrics_token
            && token.reveal().chars().count() < SHORTEST_TOKEN
        {
            let allowed = format!("{SHORTEST_TOKEN} or more characters");
            found.push((None, Error::setting("metrics-token", "(secret)", allowed)));
        }
        for (index, user) in self.users.iter().enumerate() {
            if let Err(error) = user.validate() {
                found.push((Some(index), error));
            }
            let earlier = &self.users[..index];
            if earlier.iter().any(|other| other.name == user.name) {
                let error = Error::setting("name", &user.name, "given once");
                found.push((Some(index), error));
            }
        }
        found
    }
}

impl User {
    fn validate(&self) -> Result<()> {
        let fits = (1..=LONGEST_NAME).contains(&self.name.len());
        if !fits || self.name.trim() != self.name || self.name.chars().any(char::is_control) {
            return Err(Error::setting(
                "name",
                format!("{:?}", self.name),
                format!(
                    "1 to {LONGEST_NAME} bytes without spaces around them or control characters"
                ),
            ));
        }
        let hash = PasswordHash::new(self.password_hash.reveal());
        let usable = hash.is_ok_and(|hash| {
            hash.algorithm.as_str() == "argon2id" && hash.salt.is_some() && hash.hash.is_some()
        });
        if !usable {
            return Err(Error::setting(
                "password-hash",
                format!("(of {})", self.name),
                "an argon2id hash ($argon2id$v=19$...), as `floutage password` prints it",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<WebSettings, toml::de::Error> {
        toml::from_str(text)
    }

    /// Of no password.
    fn hash() -> String {
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$\
         AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            .into()
    }

    #[test]
    fn the_default_is_this_machine_only() {
        let settings = parse("").unwrap();
        assert_eq!(settings.listen, SocketAddr::from(([127, 0, 0, 1], 8080)));
        settings.validate().unwrap();
    }

    #[test]
    fn other_addresses_need_tls_or_a_word() {
        for address in ["0.0.0.0:80", "192.0.2.1:8080", "[::]:8080"] {
            let listen = format!("listen = \"{address}\"\n");
            let error = parse(&listen).unwrap().validate().unwrap_err().to_string();
            for word in ["listen", address, "tls", "allow-insecure"] {
                assert!(error.contains(word), "{error}");
            }
            let tls = "tls = { certificate = \"c.pem\", key = \"k.pem\" }\n";
            parse(&format!("{listen}{tls}"))
                .unwrap()
                .validate()
                .unwrap();
            parse(&format!("{listen}allow-insecure = true"))
                .unwrap()
                .validate()
                .unwrap();
        }
    }

    #[test]
    fn unknown_keys_are_errors() {
        for wrong in [
            "port = 80",
            "tls = { certificate = \"c\", key = \"k\", chain = \"x\" }",
            "[[users]]\nname = \"a\"\npassword-hash = \"h\"\npassword = \"p\"",
            "[[users]]\nname = \"a\"\npassword-hash = \"h\"\nrole = \"root\"",
            "language = \"de\"",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn users_are_checked() {
        let user = |name: &str, hash: &str| {
            format!("[[users]]\nname = {name:?}\npassword-hash = {hash:?}\nrole = \"admin\"\n")
        };
        let good = hash();
        parse(&user("anne", &good)).unwrap().validate().unwrap();
        for (text, word) in [
            (user("", &good), "name"),
            (user(" anne", &good), "name"),
            (user("an\tne", &good), "name"),
            (user("anne", "secret"), "floutage password"),
            (
                user("anne", &good.replace("argon2id", "argon2i")),
                "argon2id",
            ),
            (user("anne", &good).repeat(2), "given once"),
        ] {
            let error = parse(&text).unwrap().validate().unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
            assert!(!error.contains(&good), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = format!(
            "metrics-token = \"not to be seen\"\n[[users]]\nname = \"anne\"\npassword-hash = \"{}\"",
            hash()
        );
        let shown = format!("{:?}", parse(&text).unwrap());
        assert!(
            !shown.contains("argon2") && !shown.contains("not to be"),
            "{shown}"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let text = format!(
            "[web]\nlisten = \"0.0.0.0:80\"\nmetrics-token = \"short\"\n\n[[web.users]]\nname = \"anne\"\n\
             password-hash = \"{hash}\"\n\n[[web.users]]\nname = \"anne\"\npassword-hash = \"hunter2\"\n",
            hash = hash()
        );
        let problems = super::super::Config::parse(&text).unwrap_err();
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        for (line, key) in [
            (2, "listen"),
            (3, "metrics-token"),
            (10, "name"),
            (11, "password-hash"),
        ] {
            assert!(
                problems
                    .iter()
                    .any(|problem| problem.line == Some(line) && problem.what.starts_with(key)),
                "{line}, {key}: {told:?}"
            );
        }
        assert!(
            told.iter()
                .all(|problem| !problem.contains("hunter2") && !problem.contains("short"))
        );
    }
}
