//! Landlock: which files, connections and processes are in reach.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
    path_beneath_rules,
};

use super::places::system_places;
use super::{Confinement, Sandbox};

/// What is asked for: files, truncation, TCP, devices, signals and abstract sockets (Linux 6.12). Older kernels do what they can.
const WANTED: ABI = ABI::V6;

/// The version of Landlock's interface that the running kernel has; 0 where there is none.
pub fn landlock_version() -> u32 {
    // SAFETY: with no attributes and this flag the call only returns a number.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0usize,
            1u32,
        )
    };
    u32::try_from(version).unwrap_or(0)
}

pub fn restrict(sandbox: &Sandbox) -> Result<Confinement, RulesetError> {
    let status = apply(sandbox)?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Confinement::Full,
        RulesetStatus::PartiallyEnforced => Confinement::Partial,
        RulesetStatus::NotEnforced => Confinement::None,
    })
}

fn apply(sandbox: &Sandbox) -> Result<RestrictionStatus, RulesetError> {
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let run = read | AccessFs::Execute;
    let special =
        AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::MakeFifo;
    let write = AccessFs::from_all(WANTED) & !(AccessFs::Execute | AccessFs::IoctlDev | special);
    let device = read | AccessFs::WriteFile | AccessFs::IoctlDev;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))?
        .scope(Scope::from_all(WANTED))?;
    if !sandbox.connect {
        ruleset = ruleset.handle_access(AccessNet::from_all(WANTED))?;
    }
    let (libraries, others) = system_places();
    let libraries_access = if sandbox.execute { run } else { read };
    let mut rules = ruleset
        .create()?
        .add_rules(path_beneath_rules(libraries, libraries_access))?
        .add_rules(path_beneath_rules(others, read))?
        .add_rules(path_beneath_rules(
            ["/dev/null", "/dev/zero", "/dev/full"],
            device,
        ))?
        .add_rules(path_beneath_rules(["/dev/urandom", "/dev/random"], read))?
        .add_rules(path_beneath_rules(&sandbox.read, read))?
        .add_rules(path_beneath_rules(&sandbox.write, write))?;
    if sandbox.execute {
        rules = rules.add_rules(path_beneath_rules(own_program(), run))?;
        // Of processes that will be started; what they may see of others, the system says.
        rules = rules.add_rules(path_beneath_rules(["/proc"], read | AccessFs::WriteFile))?;
    }
    if sandbox.devices {
        rules = rules.add_rules(path_beneath_rules(["/dev"], device))?;
        rules = rules.add_rules(path_beneath_rules(["/sys", "/proc"], read))?;
    }
    rules.restrict_self()
}

/// The running program's file.
fn own_program() -> Option<PathBuf> {
    std::env::current_exe()
        .ok()
        .or_else(|| std::fs::read_link(Path::new("/proc/self/exe")).ok())
}
