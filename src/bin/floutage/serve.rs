//! `floutage serve`: the gateway.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use floutage::audit::Log;
use floutage::sandbox::Confinement;
use floutage::serve::config::Config;
use floutage::serve::confine::Places;
use floutage::serve::gateway::Gateway;
use floutage::serve::state::Site;
use rustix::process::{Signal, set_parent_process_death_signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::audit::state;
use crate::confine::{self, ConfineArgs};
use crate::say;

/// The hidden command that runs one camera.
pub const WORKER: &str = "serve-worker";

#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Configuration file; see packaging/floutage.toml for all it can hold.
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "/etc/floutage/floutage.toml"
    )]
    config: PathBuf,
    /// Record each recorded file, signed, in this log of JSON Lines; `floutage audit verify` finds any change to it and, with
    /// --recordings, to the files [default: `log` under [audit] in the configuration].
    #[arg(long, value_name = "LOG", env = "FLOUTAGE_AUDIT_LOG")]
    audit_log: Option<PathBuf>,
    #[command(flatten)]
    confine: ConfineArgs,
}

/// How often the configuration file is looked at.
const LOOK: Duration = Duration::from_secs(1);

pub fn run(args: Args) -> Result<ExitCode> {
    let config = Gateway::read(&args.config)?;
    let log = args.audit_log.clone().or(config.audit.log.clone());
    let places = confine_all(&args, &config, log.as_deref())?;
    args.confine.warn();
    crate::logging::bridge();
    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGTERM]).context("signals cannot be listened to")?;
    let flags = args.confine.arguments();
    let workers = Arc::new(move |camera: &str| worker(camera, &flags));
    let gateway = Arc::new(Gateway::start_with(&args.config, workers, log.as_deref())?);
    if let Some(places) = places {
        gateway.is_confined_to(places);
    }
    let config = gateway.config();
    let web = match config.web.clone() {
        Some(web) => Some(floutage::serve::web::start(web, gateway.clone())?),
        None => None,
    };
    let host = config.rtsp.listen.ip();
    let scheme = if config.rtsp.tls.is_some() {
        "rtsps"
    } else {
        "rtsp"
    };
    for camera in gateway.cameras() {
        say::out(&format!(
            "{}: {scheme}://{host}:{}/{}",
            camera.name,
            gateway.rtsp_port(),
            camera.name
        ));
    }
    tell_systemd(&[sd_notify::NotifyState::Ready]);
    let mut changed = modified(&args.config);
    loop {
        let mut reload = false;
        for signal in signals.pending() {
            match signal {
                SIGHUP => reload = true,
                _ => {
                    tell_systemd(&[sd_notify::NotifyState::Stopping]);
                    drop(web);
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
        let now = modified(&args.config);
        if now != changed {
            changed = now;
            reload = now.is_some();
        }
        if reload {
            match gateway.reload() {
                Ok(()) => tracing::info!("the configuration was taken up"),
                Err(error) => tracing::error!("the configuration is not taken up: {error}"),
            }
        }
        // Only while the cameras' states can be read: a gateway that hangs is started again by systemd.
        gateway.cameras();
        tell_systemd(&[sd_notify::NotifyState::Watchdog]);
        std::thread::sleep(LOOK.min(Duration::from_millis(200)));
    }
}

fn modified(path: &std::path::Path) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|data| data.modified())
        .ok()
}

fn tell_systemd(states: &[sd_notify::NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(states);
}

/// Confines this process, and so all that it starts, to what the configuration names, and to the list of GStreamer's
/// plugins; what it may reach from now on, where it is confined.
fn confine_all(args: &Args, config: &Config, log: Option<&Path>) -> Result<Option<Places>> {
    let registry = confine::registry();
    let chosen = confine::chosen_registry();
    confine::quieten_all(registry.as_deref());
    // The list of plugins is read, or made by a program that may still be started now.
    floutage::init()?;
    let log = log
        .map(|log| Ok::<_, anyhow::Error>(Log::new(log, &state()?)))
        .transpose()?;
    let places = Places::of(config, &args.config, log.as_ref())?;
    places.make();
    let mut sandbox = places.sandbox();
    for folder in registry.into_iter().chain(chosen) {
        sandbox = sandbox.write(folder);
    }
    let confinement = args.confine.confine(&sandbox)?;
    let is_confined = matches!(confinement, Confinement::Full | Confinement::Partial);
    Ok(is_confined.then_some(places))
}

/// This program as the worker of `camera`, with `flags`; the name is there for people who look at processes.
fn worker(camera: &str, flags: &[&str]) -> Command {
    // The name of the file may be another program's by now; this is the one that runs.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("floutage").arg(WORKER).args(flags).arg(camera);
    command
}

#[derive(Debug, ClapArgs)]
pub struct WorkerArgs {
    /// The camera's name.
    #[arg(value_name = "NAME")]
    _camera: String,
    #[command(flatten)]
    confine: ConfineArgs,
}

/// The hidden command: one camera, for the gateway at the other end of standard input.
pub fn run_worker(args: &WorkerArgs) -> Result<ExitCode> {
    // Without it the worker ends when it finds the socket closed.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // Its memory holds pictures that are not redacted yet: no dump of it is ever written, not even before it knows its camera.
    floutage::sandbox::no_dumps()?;
    floutage::init()?;
    crate::logging::bridge();
    floutage::serve::worker::run(|job| {
        args.confine
            .confine(&floutage::serve::confine::worker(job)?)
            .map_err(|error| floutage::Error::media("sandbox", say::causes(&error)))
    })?;
    Ok(ExitCode::SUCCESS)
}
