//! `[rtsp]`, `[record]` and `[[camera.push]]`: where redacted streams go.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::layered::layered;
use super::schedule::Schedule;
use super::secret::Login;
use super::units::Span;
use super::web::Tls;
use crate::{Error, Result};

/// `[rtsp]`: the RTSP server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Rtsp {
    /// Address and port.
    pub listen: SocketAddr,
    /// Certificate and key; with them rtsps:// is spoken and nothing else.
    pub tls: Option<Tls>,
    /// Allows multicast addresses 239.255.0.0 to 239.255.255.255, for clients that ask for it. Whoever is in the same
    /// network can then receive what one of them watches.
    pub multicast: bool,
    /// The network interface that multicast leaves by; where it is not said, routes decide.
    pub multicast_interface: Option<String>,
    /// Allows an address that other machines reach without users.
    pub allow_anonymous: bool,
    /// Who may watch; nobody named: everybody.
    pub users: Vec<Watcher>,
}

impl Default for Rtsp {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8554),
            tls: None,
            multicast: false,
            multicast_interface: None,
            allow_anonymous: false,
            users: Vec::new(),
        }
    }
}

/// Somebody who may watch, by digest authentication.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Watcher {
    /// Name.
    pub name: String,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
    /// Environment variable that holds the password.
    pub password_env: Option<String>,
    /// Names of the cameras; "*": all.
    pub cameras: Vec<String>,
}

impl Watcher {
    /// User and password.
    pub fn login(&self) -> Login<'_> {
        Login {
            user: Some(&self.name),
            file: self.password_file.as_deref(),
            variable: self.password_env.as_deref(),
        }
    }
}

layered! {
    /// `[record]`: recordings.
    Record {
        /// Whether to record.
        enabled: bool,
        /// Folder; each camera has one of its name in it.
        directory: PathBuf,
        /// Length of one file.
        segment: Span,
        /// What is kept.
        retention: Retention,
        /// When to record, in local time: "Mon-Fri 07:00-19:00"; empty: always.
        schedule: Vec<Schedule>,
    }
}

/// What is kept of a camera's recordings: older ones are deleted, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Retention {
    /// Greatest age.
    pub age: Option<Span>,
    /// Greatest size of all files of a camera.
    pub size: Option<ByteSize>,
}

/// How one camera is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The camera's own folder.
    pub directory: PathBuf,
    /// Length of one file.
    pub segment: Duration,
    /// What is kept.
    pub retention: Retention,
    /// When; empty: always.
    pub schedule: Vec<Schedule>,
}

impl Record {
    /// How to record `camera`; None: not at all.
    ///
    /// Errors: a value out of its range.
    pub fn resolve(&self, camera: &str) -> Result<Option<Recording>> {
        let segment = self.segment.unwrap_or(Span(Duration::from_secs(600)));
        let bounds = Duration::from_secs(2)..=Duration::from_secs(24 * 3600);
        if !bounds.contains(&segment.0) {
            return Err(Error::setting("segment", segment, "from 2s to 24h"));
        }
        if !self.enabled.unwrap_or(false) {
            return Ok(None);
        }
        let Some(directory) = &self.directory else {
            return Err(Error::setting("enabled", "true", "given with a directory"));
        };
        Ok(Some(Recording {
            directory: directory.join(camera),
            segment: segment.0,
            retention: self.retention.clone().unwrap_or_default(),
            schedule: self.schedule.clone().unwrap_or_default(),
        }))
    }
}

/// `[audit]`: the tamper-evident record of recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Audit {
    /// The log, of JSON Lines; none: no record is kept.
    pub log: Option<PathBuf>,
}

/// `[[camera.push]]`: another server that gets the stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Push {
    /// `rtsp://` or `rtsps://` (RECORD), or `srt://` (caller).
    pub url: String,
    /// User there.
    pub user: Option<String>,
    /// File that holds the password there (SRT: the passphrase).
    pub password_file: Option<PathBuf>,
    /// Environment variable that holds it.
    pub password_env: Option<String>,
}

impl Push {
    /// User and password.
    pub fn login(&self) -> Login<'_> {
        Login {
            user: self.user.as_deref(),
            file: self.password_file.as_deref(),
            variable: self.password_env.as_deref(),
        }
    }
}
