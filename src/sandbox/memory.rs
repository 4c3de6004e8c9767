//! Pictures that are not redacted stay in memory, and memory stays out of files.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

use super::refused;
use crate::error::{Error, Result};

/// Keeps memory out of core dumps, whatever program the system hands them to, and other processes of the same user from
/// reading it.
///
/// Errors: [`Error::Media`] when the system refuses.
pub fn no_dumps() -> Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).map_err(|error| refused("the limit of core dumps", error))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| refused("the refusal of core dumps", error))
}

/// Keeps all memory of this process, also what it asks for later, from being swapped out to a disk.
///
/// Errors: [`Error::Media`] when the limit of locked memory is too low, with what to do.
pub fn lock_memory() -> Result<()> {
    let limit = getrlimit(Resource::Memlock);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where that fails, the next call says so.
    let _ = setrlimit(Resource::Memlock, raised);
    // Only pages that are used: ONNX Runtime reserves far more than that.
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    let enough = limit.maximum.is_none() || rustix::process::geteuid().is_root();
    if !enough {
        let problem = "memory cannot be locked: its limit is too low; raise it (`ulimit -l unlimited`, LimitMEMLOCK=infinity \
                       in a service), or leave --lock-memory out";
        return Err(Error::media("sandbox", problem));
    }
    mlockall(flags).map_err(|error| refused("locking of memory", error))
}
