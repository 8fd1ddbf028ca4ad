//! What a helper that only reads cannot do, even if a file that it reads takes it over: write, run programs, end or change
//! processes, ask devices for anything, reach the network.
//!
//! Landlock is of no use here: the kernel lets none that it confines look into other processes.

use std::io;

use rustix::thread::set_no_new_privs;

use crate::host::capability;

/// The user that reads where it makes a difference: one that owns nothing.
const NOBODY: u32 = 65534;

/// Gives up all but reading. What the kernel does not support is left out: it still reads nothing but what it is asked to.
pub(crate) fn to_reading() {
    let _ = set_no_new_privs(true);
    if rustix::process::geteuid().is_root() {
        // SAFETY: no memory is concerned. Files of root are as those of any other user from here on.
        unsafe { libc::setfsuid(NOBODY) };
    }
    // Of what that took away, looking is given back.
    capability::keep(capability::LOOKING);
    let _ = deny();
}

/// System calls that are refused.
const DENIED: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_writev,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_pidfd_send_signal,
    libc::SYS_pidfd_getfd,
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_setuid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setfsuid,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
];

/// The same by their older numbers.
#[cfg(target_arch = "x86_64")]
const DENIED_BEFORE: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_unlink,
    libc::SYS_rmdir,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_fork,
    libc::SYS_vfork,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_BEFORE: &[libc::c_long] = &[];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// What the kernel is asked about a mapping of a process: `_IOWR('f', 17, struct procmap_query)` of its `include/uapi/linux/fs.h`.
pub(crate) const PROCMAP_QUERY: libc::Ioctl = 0xc068_6611_u32 as libc::Ioctl;

/// Refuses [`DENIED`], opening for writing, requests of `ioctl` other than [`PROCMAP_QUERY`], and the calls of other architectures.
fn deny() -> io::Result<()> {
    let filter = filter();
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the program lives until the call returns, and the kernel only reads it.
    let result = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::c_ulong::from(libc::SECCOMP_MODE_FILTER), &raw const program)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A program of classic BPF: see `Documentation/userspace-api/seccomp_filter.rst` of the kernel. It looks at `struct seccomp_data`:
/// number, architecture, instruction, arguments.
fn filter() -> Vec<libc::sock_filter> {
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const AT_LEAST: u16 = 0x35;
    const ANY_BIT: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    /// Calls of x86-64 in another way begin there.
    const X32: u32 = 0x4000_0000;
    const FLAGS_OF_OPENAT: u32 = 16 + 2 * 8;
    const REQUEST_OF_IOCTL: u32 = 16 + 8;
    const WRITING: u32 = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) as u32;
    let line = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut filter = vec![
        line(LOAD, 0, 0, 4),
        line(EQUAL, 1, 0, ARCHITECTURE),
        line(RETURN, 0, 0, REFUSE),
        line(LOAD, 0, 0, 0),
        line(AT_LEAST, 0, 1, X32),
        line(RETURN, 0, 0, REFUSE),
    ];
    for number in DENIED.iter().chain(DENIED_BEFORE) {
        filter.extend([
            line(EQUAL, 0, 1, u32::try_from(*number).unwrap_or(u32::MAX)),
            line(RETURN, 0, 0, REFUSE),
        ]);
    }
    let openat = u32::try_from(libc::SYS_openat).unwrap_or(u32::MAX);
    let ioctl = u32::try_from(libc::SYS_ioctl).unwrap_or(u32::MAX);
    let query = u32::try_from(PROCMAP_QUERY).unwrap_or(u32::MAX);
    // The kernel takes the lower half of the request only.
    filter.extend([
        line(EQUAL, 0, 4, ioctl),
        line(LOAD, 0, 0, REQUEST_OF_IOCTL),
        line(EQUAL, 1, 0, query),
        line(RETURN, 0, 0, REFUSE),
        line(RETURN, 0, 0, ALLOW),
    ]);
    filter.extend([
        line(EQUAL, 0, 3, openat),
        line(LOAD, 0, 0, FLAGS_OF_OPENAT),
        line(ANY_BIT, 0, 1, WRITING),
        line(RETURN, 0, 0, REFUSE),
        line(RETURN, 0, 0, ALLOW),
    ]);
    filter
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use super::*;
    use crate::host::helper::process::Helper;

    /// The error that a request has.
    fn asked(path: &Path, request: libc::Ioctl) -> Option<i32> {
        use std::os::fd::AsRawFd;
        let file = File::open(path).ok()?;
        // SAFETY: there is no memory at this address, for whatever the kernel does with it.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), request, std::ptr::null_mut::<u8>()) };
        (result != 0).then(|| io::Error::last_os_error().raw_os_error())?
    }

    #[test]
    fn a_helper_that_reads_can_do_nothing_else() {
        let path = std::env::temp_dir().join(format!("tracer-confined-{}", std::process::id()));
        std::fs::write(&path, "mine").unwrap();
        let tries = |path: &Path| {
            [
                std::fs::read_to_string("/proc/self/status").is_ok_and(|text| text.contains("Seccomp:\t2")),
                File::open(path).is_ok(),
                std::fs::write(path, "theirs").is_err(),
                std::fs::remove_file(path).is_err(),
                std::process::Command::new("/bin/true").status().is_err(),
                std::os::unix::net::UnixStream::connect("/nowhere")
                    .is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied),
                asked(path, libc::FIONREAD) == Some(libc::EPERM),
                // There is nothing that could be answered, or the kernel knows no such question.
                matches!(
                    asked(Path::new("/proc/self/maps"), PROCMAP_QUERY),
                    Some(libc::EFAULT | libc::ENOTTY)
                ),
            ]
        };
        let mut helper = Helper::start(c"test-confined", &[], |channel| {
            to_reading();
            let _ = channel.send(&tries(&path).map(u8::from), &[]);
        })
        .unwrap();
        assert_eq!(helper.receive().unwrap().0, [1; 8]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        std::fs::remove_file(&path).unwrap();
    }
}
