//! A process confines itself: what it may read, where it may write, and what it may not do at all.
//!
//! Decoders and demuxers are large and read what anybody may have made. One that is taken over can then neither read
//! other files, write elsewhere, connect anywhere, start programs nor load plugins from elsewhere; and what it decodes
//! is in no core dump.
//!
//! Landlock restricts files and connections, a seccomp filter the system calls that no decoder needs, `no_new_privs`
//! keeps set-user-id programs from undoing it. Landlock binds the calling thread and those it starts, so
//! [`Sandbox::confine`] belongs before the first thread.
//!
//! Invariants: confinement is never undone or widened; what could not be applied is told, never silently left out.

mod memory;
mod places;
mod rules;
mod syscalls;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
pub use memory::{lock_memory, no_dumps, return_freed_frames};
pub use places::system_places;
pub use rules::landlock_version;

/// What a process is to be left with.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    execute: bool,
    connect: bool,
    devices: bool,
}

/// How far a process is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confinement {
    /// By all that this version knows.
    Full,
    /// Files are, but this kernel is too old for the rest, or threads had been started before.
    Partial,
    /// Files are not: the kernel has no Landlock.
    None,
    /// It was asked not to be.
    Off,
}

impl Confinement {
    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::None => "none",
            Self::Off => "off",
        }
    }
}

impl Sandbox {
    /// Nothing but what the dynamic loader, ONNX Runtime and GStreamer read of the system.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a file, or all in a folder, be read. What does not exist is left out.
    pub fn read(mut self, path: impl AsRef<Path>) -> Self {
        self.read.push(path.as_ref().to_owned());
        self
    }

    /// As [`Sandbox::read`], for several.
    pub fn read_all<P: AsRef<Path>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.read
            .extend(paths.into_iter().map(|path| path.as_ref().to_owned()));
        self
    }

    /// Lets files in a folder, or one file, be made, written, renamed and removed. Of what does not exist it is the
    /// nearest folder that does.
    pub fn write(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let there = path
            .ancestors()
            .find(|path| path.exists() && !path.as_os_str().is_empty());
        self.write.push(there.unwrap_or(Path::new(".")).to_owned());
        self
    }

    /// Lets programs be started: this one again, and GStreamer's scanner of plugins.
    pub fn may_execute(mut self) -> Self {
        self.execute = true;
        self
    }

    /// Lets connections be made and taken.
    pub fn may_connect(mut self) -> Self {
        self.connect = true;
        self
    }

    /// Lets devices be used, as graphics processors are.
    pub fn may_use_devices(mut self) -> Self {
        self.devices = true;
        self
    }

    /// Confines this process from now on.
    ///
    /// Errors: [`Error::Media`] when the system refuses what it should be able to do. A kernel that cannot is no error:
    /// see what is returned.
    pub fn confine(&self) -> Result<Confinement> {
        let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
        no_dumps()?;
        rustix::thread::set_no_new_privs(true).map_err(|error| refused("no_new_privs", error))?;
        let files = rules::restrict(self).map_err(|error| refused("Landlock", error))?;
        syscalls::restrict(self.execute, self.connect)
            .map_err(|error| refused("seccomp", error))?;
        Ok(match files {
            Confinement::Full if threads > 1 => {
                tracing::warn!(
                    "{} threads had been started before the process was confined",
                    threads - 1
                );
                Confinement::Partial
            }
            files => files,
        })
    }
}

fn refused(what: &str, error: impl std::fmt::Display) -> Error {
    Error::media("sandbox", format!("{what} cannot be set up: {error}"))
}
