//! seccomp: the system calls that are left. All others fail with EPERM, so that a library that can do without
//! one does.

use super::Needs;
use crate::outcome::Failure;
use libc as c;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};
use std::collections::BTreeMap;

/// Calls that are allowed whatever their arguments are.
#[rustfmt::skip]
const FREE: &[c::c_long] = &[
    // Open files, and files whose names Landlock allows.
    c::SYS_read, c::SYS_write, c::SYS_readv, c::SYS_writev, c::SYS_pread64, c::SYS_pwrite64, c::SYS_preadv,
    c::SYS_pwritev, c::SYS_preadv2, c::SYS_pwritev2, c::SYS_lseek, c::SYS_fsync, c::SYS_fdatasync,
    c::SYS_sync_file_range, c::SYS_ftruncate, c::SYS_fallocate, c::SYS_fadvise64, c::SYS_flock, c::SYS_fstat,
    c::SYS_newfstatat, c::SYS_statx, c::SYS_fstatfs, c::SYS_openat, c::SYS_close, c::SYS_close_range,
    c::SYS_dup, c::SYS_dup3, c::SYS_getdents64, c::SYS_unlinkat, c::SYS_renameat, c::SYS_renameat2,
    c::SYS_readlinkat, c::SYS_faccessat, c::SYS_faccessat2, c::SYS_getcwd, c::SYS_copy_file_range,
    c::SYS_sendfile, c::SYS_splice,
    // Waiting.
    c::SYS_ppoll, c::SYS_pselect6, c::SYS_epoll_create1, c::SYS_epoll_ctl, c::SYS_epoll_pwait,
    c::SYS_epoll_pwait2, c::SYS_eventfd2, c::SYS_pipe2, c::SYS_futex, c::SYS_nanosleep,
    c::SYS_clock_nanosleep, c::SYS_timerfd_create, c::SYS_timerfd_settime, c::SYS_sched_yield,
    c::SYS_restart_syscall,
    // Time and numbers.
    c::SYS_clock_gettime, c::SYS_clock_getres, c::SYS_gettimeofday, c::SYS_getrandom, c::SYS_getpid,
    c::SYS_gettid, c::SYS_getuid, c::SYS_geteuid, c::SYS_getgid, c::SYS_getegid, c::SYS_uname,
    c::SYS_sysinfo, c::SYS_getrusage, c::SYS_sched_getaffinity, c::SYS_getcpu,
    // Memory.
    c::SYS_brk, c::SYS_munmap, c::SYS_mremap, c::SYS_madvise, c::SYS_mincore, c::SYS_membarrier,
    // Threads and signals.
    c::SYS_set_robust_list, c::SYS_get_robust_list, c::SYS_rseq, c::SYS_set_tid_address,
    c::SYS_rt_sigaction, c::SYS_rt_sigprocmask, c::SYS_rt_sigreturn, c::SYS_sigaltstack, c::SYS_exit,
    c::SYS_exit_group,
    // It has a filter of its own, below.
    c::SYS_clone3,
    // Sockets that there are.
    c::SYS_sendto, c::SYS_recvfrom, c::SYS_sendmsg, c::SYS_recvmsg, c::SYS_sendmmsg, c::SYS_recvmmsg,
    c::SYS_shutdown, c::SYS_getsockopt, c::SYS_getsockname, c::SYS_getpeername,
    // More limits of the same kind.
    c::SYS_seccomp,
];

/// The same by their older names.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLD: &[c::c_long] = &[
    c::SYS_open, c::SYS_stat, c::SYS_lstat, c::SYS_access, c::SYS_readlink, c::SYS_unlink, c::SYS_rename,
    c::SYS_poll, c::SYS_select, c::SYS_epoll_wait, c::SYS_dup2, c::SYS_pipe, c::SYS_eventfd, c::SYS_time,
    c::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[c::c_long] = &[];

/// Calls for new sockets.
#[rustfmt::skip]
const SOCKETS: &[c::c_long] = &[
    c::SYS_connect, c::SYS_bind, c::SYS_listen, c::SYS_accept4, c::SYS_accept, c::SYS_setsockopt,
];

/// What is asked of terminals and sockets; pushing input into a terminal is not among it.
const IOCTLS: [u64; 13] = [
    0x5401,
    0x5402,
    0x5403,
    0x5404, // TCGETS, TCSETS, TCSETSW, TCSETSF
    0x5413, // TIOCGWINSZ
    0x541B,
    0x5421,
    0x5450,
    0x5451, // FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
    0x802C_542A,
    0x402C_542B,
    0x402C_542C,
    0x402C_542D, // TCGETS2, TCSETS2, TCSETSW2, TCSETSF2
];

const F_SETSIG: c::c_int = 10;
const F_SETOWN_EX: c::c_int = 15;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn argument(number: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, seccompiler::Error> {
    Ok(SeccompCondition::new(number, SeccompCmpArgLen::Dword, operator, value)?)
}

/// Allows a call when all conditions hold; further rules for the same call allow it as well.
fn when<const N: usize>(
    rules: &mut Rules,
    call: c::c_long,
    conditions: [(u8, SeccompCmpOp, u64); N],
) -> Result<(), seccompiler::Error> {
    let conditions: Result<Vec<_>, _> =
        conditions.into_iter().map(|(number, operator, value)| argument(number, operator, value)).collect();
    rules.entry(call).or_default().push(SeccompRule::new(conditions?)?);
    Ok(())
}

fn allowed(needs: &Needs) -> Result<Rules, seccompiler::Error> {
    let mut rules: Rules = FREE.iter().chain(OLD).map(|call| (*call, Vec::new())).collect();
    let executable = c::PROT_EXEC as u64;
    for call in [c::SYS_mmap, c::SYS_mprotect] {
        when(&mut rules, call, [(2, MaskedEq(executable), 0)])?;
    }
    // Threads, and no processes.
    when(&mut rules, c::SYS_clone, [(0, MaskedEq(c::CLONE_THREAD as u64), c::CLONE_THREAD as u64)])?;
    for request in IOCTLS {
        when(&mut rules, c::SYS_ioctl, [(1, Eq, request)])?;
    }
    // Anything but signals to others when a file is ready.
    let owner = [c::F_SETOWN, F_SETOWN_EX, F_SETSIG].map(|command| (1, Ne, command as u64));
    when(&mut rules, c::SYS_fcntl, owner)?;
    let own = u64::from(std::process::id());
    when(&mut rules, c::SYS_tgkill, [(0, Eq, own)])?;
    // Names of threads, and of memory.
    for operation in [c::PR_SET_NAME as u64, c::PR_SET_NO_NEW_PRIVS as u64, 0x5356_4D41] {
        when(&mut rules, c::SYS_prctl, [(0, Eq, operation)])?;
    }
    // Limits are asked, of this process alone, and not set.
    when(&mut rules, c::SYS_prlimit64, [(0, Eq, 0), (2, Eq, 0)])?;
    if needs.internet || needs.local {
        rules.extend(SOCKETS.iter().map(|call| (*call, Vec::new())));
        let internet = [c::AF_INET, c::AF_INET6, c::AF_NETLINK];
        let families = internet.iter().filter(|_| needs.internet).chain([&c::AF_UNIX]);
        for family in families {
            when(&mut rules, c::SYS_socket, [(0, Eq, *family as u64)])?;
        }
    }
    Ok(rules)
}

fn programs(needs: &Needs) -> Result<[BpfProgram; 2], seccompiler::Error> {
    let arch = std::env::consts::ARCH.try_into()?;
    // Its arguments lie in memory, where no filter looks: as if it did not exist, so that `clone` is used.
    let clone3 = SeccompFilter::new(
        [(c::SYS_clone3, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(c::ENOSYS as u32),
        arch,
    )?;
    let rest = SeccompFilter::new(
        allowed(needs)?,
        SeccompAction::Errno(c::EPERM as u32),
        SeccompAction::Allow,
        arch,
    )?;
    Ok([clone3.try_into()?, rest.try_into()?])
}

/// Shuts all threads in.
pub(super) fn limit(needs: &Needs) -> Result<(), Failure> {
    let installed =
        programs(needs).and_then(|programs| programs.iter().try_for_each(|p| apply_filter_all_threads(p)));
    installed.map_err(|error| {
        Failure::configuration(format!(
            "--sandbox: this system does not limit system calls ({error}); it needs a kernel with \
             CONFIG_SECCOMP_FILTER; leave --sandbox out to run without it"
        ))
    })
}
