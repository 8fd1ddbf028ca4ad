//! Whether two files are one to the kernel: an overlay, as the images of containers are, shows a file of another file system
//! under a device and an inode of its own, and a breakpoint in one is a breakpoint in the other.
//!
//! The kernel does not tell, so it is tried: a breakpoint that only this process would meet goes into the one file, and appears
//! in a mapping of the other or does not. Nothing runs there, and no other process is touched.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use memmap2::MmapOptions;

use crate::host::helper::process::Helper;
use crate::host::helper::wire::{from_bytes, to_bytes};
use crate::kernel::link;

/// `OVERLAYFS_SUPER_MAGIC` of the kernel's `linux/magic.h`.
pub(crate) const OVERLAY_MAGIC: i64 = 0x794c_7630;
/// Bytes of the longest breakpoint instruction of any processor, and more.
const LOOK_BYTES: usize = 4;
/// Places that are tried; the kernel does not take each instruction.
const MAX_TRIES: usize = 8;

/// Whether breakpoints in `one` are breakpoints in `other`, which has the same bytes; `sites` are offsets of probes in them. Both
/// need be open for nothing, and count as what they are now: a file of an overlay may have become another one since it was opened.
///
/// # Errors
/// When the kernel lets no such breakpoint be made, or one of the files does not answer.
pub(crate) fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>, sites: &[u64]) -> io::Result<bool> {
    let mut helper = Helper::start(c"tracer-twin", &[one, other], |channel| {
        let mut options = File::options();
        options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        let result = options.open(path_of(other)).and_then(|other| try_places(one, &other, sites));
        // The recorder may be gone.
        let _ = channel.send(&to_bytes(&result), &[]);
    })?;
    let (answer, _) = helper.receive().map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
    from_bytes::<io::Result<bool>>(&answer).ok_or(io::ErrorKind::InvalidData)?
}

fn path_of(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn try_places(one: BorrowedFd<'_>, other: &File, sites: &[u64]) -> io::Result<bool> {
    let path = CString::new(path_of(one))?;
    let memory = File::open("/proc/self/mem")?;
    let mut result = Err(io::ErrorKind::Unsupported.into());
    // Behind the site's instruction first: no recorder has a breakpoint there.
    for offset in sites.iter().flat_map(|site| [site + NOP_LEN, *site]).take(MAX_TRIES) {
        let page = rustix::param::page_size() as u64;
        // SAFETY: the mapping is read through /proc/self/mem only, which gives an error where the file was cut.
        let mapping = unsafe { MmapOptions::new().offset(offset).len(LOOK_BYTES).map_copy_read_only(other)? };
        let address = mapping.as_ptr().addr() as u64;
        if page - offset % page < LOOK_BYTES as u64 {
            continue;
        }
        let look = || {
            let mut bytes = [0; LOOK_BYTES];
            memory.read_exact_at(&mut bytes, address).map(|()| bytes)
        };
        let before = look()?;
        let mut in_file = [0; LOOK_BYTES];
        other.read_exact_at(&mut in_file, offset)?;
        if before != in_file {
            // There is one already, of which nothing can be said.
            continue;
        }
        match link::open_own_breakpoint(&path, offset) {
            Ok(breakpoint) => return changed(&look, before, breakpoint),
            Err(error) => result = Err(error),
        }
    }
    result
}

/// Bytes of the instruction at a site.
#[cfg(target_arch = "x86_64")]
const NOP_LEN: u64 = 1;
#[cfg(target_arch = "aarch64")]
const NOP_LEN: u64 = 4;

fn changed(
    look: &dyn Fn() -> io::Result<[u8; LOOK_BYTES]>,
    before: [u8; LOOK_BYTES],
    breakpoint: OwnedFd,
) -> io::Result<bool> {
    let is_changed = look()? != before;
    drop(breakpoint);
    Ok(is_changed)
}
