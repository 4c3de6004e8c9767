//! `floutage serve`: the gateway.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use floutage::serve::gateway::Gateway;
use floutage::serve::state::Site;
use rustix::process::{
    DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

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
}

/// How often the configuration file is looked at.
const LOOK: Duration = Duration::from_secs(1);

pub fn run(args: Args) -> Result<ExitCode> {
    floutage::init()?;
    crate::logging::bridge();
    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGTERM]).context("signals cannot be listened to")?;
    let gateway = Arc::new(Gateway::start(&args.config, Arc::new(worker))?);
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

/// This program as the worker of `camera`; the name is there for people who look at processes.
fn worker(camera: &str) -> Command {
    // The name of the file may be another program's by now; this is the one that runs.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("floutage").arg(WORKER).arg(camera);
    command
}

#[derive(Debug, ClapArgs)]
pub struct WorkerArgs {
    /// The camera's name.
    #[arg(value_name = "NAME")]
    _camera: String,
}

/// The hidden command: one camera, for the gateway at the other end of standard input.
pub fn run_worker() -> Result<ExitCode> {
    // Without it the worker ends when it finds the socket closed.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // Its memory holds pictures that are not redacted yet: no dump of it is ever written.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .context("memory dumps cannot be forbidden")?;
    floutage::init()?;
    crate::logging::bridge();
    floutage::serve::worker::run()?;
    Ok(ExitCode::SUCCESS)
}
