//! Whether two files are one to the kernel: an overlay, as the images of containers are, shows a file of another file system
//! under a device and an inode of its own, and a breakpoint in one is a breakpoint in the other.
//!
//! The kernel does not tell, so it is tried: a breakpoint that only this process would meet goes into the one file, and appears
//! in a mapping of the other or does not. Nothing runs there, and no other process is touched.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use memmap2::{Mmap, MmapOptions};

use crate::kernel::link;

/// `OVERLAYFS_SUPER_MAGIC` of the kernel's `linux/magic.h`.
const OVERLAY_MAGIC: i64 = 0x794c_7630;
/// Bytes of the longest breakpoint instruction of any processor, and more.
const LOOK_BYTES: usize = 4;
/// Places that are tried; the kernel does not take each instruction.
const MAX_TRIES: usize = 8;

/// Whether a file is on an overlay file system.
#[must_use]
pub(crate) fn is_overlay(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|facts| facts.f_type == OVERLAY_MAGIC)
}

/// A way to a file that costs no descriptor: its first page, mapped and never read.
#[derive(Debug)]
pub(crate) struct Anchor(Mmap);

impl Anchor {
    /// # Errors
    /// When the file cannot be mapped.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        // SAFETY: nothing reads the mapping, so it does not matter that its owner may change or cut the file. It is shared: the
        // kernel puts no breakpoints there.
        Ok(Self(unsafe { MmapOptions::new().len(1).map(file)? }))
    }

    /// Opens the file again.
    ///
    /// # Errors
    /// Without CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
    pub(crate) fn open(&self) -> io::Result<File> {
        let start = self.0.as_ptr().addr();
        File::open(format!("/proc/self/map_files/{start:x}-{:x}", start + rustix::param::page_size()))
    }
}

/// Whether breakpoints in `one` are breakpoints in `other`, which has the same bytes; `sites` are offsets of probes in them.
///
/// # Errors
/// When the kernel lets no such breakpoint be made.
pub(crate) fn is_same(one: &File, other: &File, sites: impl Iterator<Item = u64>) -> io::Result<bool> {
    let path = CString::new(format!("/proc/self/fd/{}", one.as_raw_fd()))?;
    let memory = File::open("/proc/self/mem")?;
    let mut result = Err(io::ErrorKind::Unsupported.into());
    // Behind the site's instruction first: no recorder has a breakpoint there.
    for offset in sites.flat_map(|site| [site + NOP_LEN, site]).take(MAX_TRIES) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_leads_to_the_file_when_its_path_does_not() {
        let path = std::env::temp_dir().join(format!("tracer-anchor-{}", std::process::id()));
        std::fs::write(&path, "anchored").unwrap();
        let file = File::open(&path).unwrap();
        let anchor = Anchor::of(&file).unwrap();
        drop(file);
        std::fs::remove_file(&path).unwrap();
        match anchor.open() {
            Ok(file) => assert_eq!(io::read_to_string(file).unwrap(), "anchored"),
            Err(error) => eprintln!("skipped: {error}"),
        }
    }
}
