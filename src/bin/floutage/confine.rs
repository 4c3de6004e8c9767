//! Options of confinement, and how commands that read other people's files apply it.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use floutage::audit::state_folder;
use floutage::detect::DetectorSettings;
use floutage::detect::session::Provider;
use floutage::sandbox::{Confinement, Sandbox, landlock_version, lock_memory};

/// How a process confines itself.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Confinement")]
pub struct ConfineArgs {
    /// Fail where the kernel cannot confine the program (no Landlock), instead of warning.
    #[arg(long, conflicts_with = "no_sandbox")]
    require_sandbox: bool,
    /// Do not confine the program to the files that it needs.
    #[arg(long)]
    no_sandbox: bool,
    /// Keep all memory, frames that are not redacted yet included, from being swapped to a disk.
    #[arg(long)]
    lock_memory: bool,
}

impl ConfineArgs {
    /// Confines this process as `sandbox` says. To be called before any thread is started.
    pub fn confine(&self, sandbox: &Sandbox) -> Result<Confinement> {
        if self.lock_memory {
            lock_memory()?;
        }
        if self.no_sandbox {
            floutage::sandbox::no_dumps()?;
            return Ok(Confinement::Off);
        }
        let confinement = sandbox.confine()?;
        if confinement == Confinement::None && self.require_sandbox {
            bail!(
                "--require-sandbox: this kernel has no Landlock, so files cannot be kept out of reach"
            );
        }
        Ok(confinement)
    }

    /// The same for a process that this one starts.
    pub fn arguments(&self) -> Vec<&'static str> {
        [
            (self.require_sandbox, "--require-sandbox"),
            (self.no_sandbox, "--no-sandbox"),
            (self.lock_memory, "--lock-memory"),
        ]
        .into_iter()
        .filter_map(|(given, name)| given.then_some(name))
        .collect()
    }

    /// Says, once for all processes, when files cannot be kept out of reach.
    pub fn warn(&self) {
        if !self.no_sandbox && landlock_version() == 0 {
            tracing::warn!(
                "this kernel has no Landlock: a decoder that is taken over could read and write other files"
            );
        }
    }
}

/// A sandbox that lets the models of `settings` be read, and where they run on one the graphics processor be used.
pub fn for_detection(settings: &DetectorSettings) -> Sandbox {
    let sandbox = Sandbox::new().read_all(settings.places());
    if settings.provider == Provider::Cpu {
        sandbox
    } else {
        sandbox.may_use_devices()
    }
}

/// The folder in which GStreamer keeps its list of plugins, and nobody else anything but keys.
pub fn registry() -> Option<PathBuf> {
    let folder = state_folder()?.join("gstreamer");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder)
}

/// Variables by which GStreamer is told to write files, with pictures of what it does.
const WRITERS: &[&str] = &[
    "GST_DEBUG_DUMP_DOT_DIR",
    "GST_DEBUG_FILE",
    "GST_TRACERS",
    "GST_VALIDATE_DUMP_DIR",
];

/// Keeps a process that is started with `command` from writing anything but its list of plugins, in `registry`.
pub fn quieten(command: &mut std::process::Command, registry: Option<&Path>) {
    for name in WRITERS {
        command.env_remove(name);
    }
    let chosen = ["GST_REGISTRY", "GST_REGISTRY_1_0"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    if let Some(folder) = registry.filter(|_| !chosen) {
        command.env("GST_REGISTRY_1_0", folder.join("registry.bin"));
    }
}

/// Keeps this process and those that it starts from writing anything but the list of plugins, in `registry`. To be called
/// before any thread is started.
pub fn quieten_all(registry: Option<&Path>) {
    // SAFETY: no other thread runs yet.
    unsafe {
        for name in WRITERS {
            std::env::remove_var(name);
        }
        if let Some(folder) = registry.filter(|_| chosen_registry().is_none()) {
            std::env::set_var("GST_REGISTRY_1_0", folder.join("registry.bin"));
        }
    }
}

/// The list of plugins that this process was told to use, if any.
pub fn chosen_registry() -> Option<PathBuf> {
    ["GST_REGISTRY_1_0", "GST_REGISTRY"]
        .iter()
        .find_map(std::env::var_os)
        .map(PathBuf::from)
}
