//! A seccomp filter that refuses, with `EPERM`, what no decoder, encoder or detector needs.
//!
//! A list of what is refused, not of what is allowed: codecs, graphics drivers and ONNX Runtime differ too much between
//! machines for the latter, and a filter that kills in the middle of a recording protects nobody.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

type Refusal = Box<dyn std::error::Error>;

/// Looking into other processes, changing the system or the view of it, and ways around the filter.
const NEVER: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_personality,
];

/// Starting programs.
const EXECUTE: &[i64] = &[libc::SYS_execve, libc::SYS_execveat];

/// Kinds of sockets that lead out of the process: all but those between processes of one machine that Landlock
/// restricts.
const FAMILIES: &[i32] = &[
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_PACKET,
    libc::AF_NETLINK,
    libc::AF_VSOCK,
];

pub fn restrict(execute: bool, connect: bool) -> Result<(), Refusal> {
    seccompiler::apply_filter_all_threads(&program(execute, connect)?)?;
    Ok(())
}

fn program(execute: bool, connect: bool) -> Result<BpfProgram, Refusal> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        NEVER.iter().map(|&call| (call, Vec::new())).collect();
    if !execute {
        rules.extend(EXECUTE.iter().map(|&call| (call, Vec::new())));
    }
    if !connect {
        let family = |&family: &i32| {
            let is =
                SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family as u64)?;
            SeccompRule::new(vec![is])
        };
        rules.insert(
            libc::SYS_socket,
            FAMILIES.iter().map(family).collect::<Result<_, _>>()?,
        );
    }
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        std::env::consts::ARCH.try_into()?,
    )?;
    Ok(filter.try_into()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_filter_can_be_made() {
        for execute in [false, true] {
            for connect in [false, true] {
                assert!(super::program(execute, connect).is_ok());
            }
        }
    }
}
