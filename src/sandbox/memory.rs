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

/// Lets memory that held a frame go back to the system as soon as it is freed: the kernel clears it before anybody gets it, and in
/// this process no later read of freed memory finds it. Without this the allocator keeps large blocks after the first is freed.
/// Blocks under 64 KiB stay as they are, and so does a larger one that found room among freed small ones. To be called first of
/// all: what was freed before is kept and used again.
///
/// Errors: [`Error::Media`] when the allocator refuses.
pub fn return_freed_frames() -> Result<()> {
    #[cfg(target_env = "gnu")]
    {
        /// No plane of a frame from about 320 x 200 pixels on is smaller.
        const LEAST: libc::c_int = 64 << 10;
        // SAFETY: mallopt is thread-safe, and only changes how later blocks are got.
        if unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LEAST) } != 1 {
            let problem = "the C library refuses to give large blocks back";
            return Err(Error::media("sandbox", problem));
        }
    }
    Ok(())
}
