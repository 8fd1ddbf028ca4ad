//! What processes map: the kernel (perf) tells of every file that is mapped to be executed, by a loader or `dlopen`, in any process.
//!
//! One perf event for each processor counts nothing and only tells. Its buffer follows the protocol of
//! `include/uapi/linux/perf_event.h`: a page with positions, then the records, in a ring of a power of two bytes.
#![expect(
    clippy::cast_possible_truncation,
    reason = "on the 64-bit machines that record, usize holds any position"
)]

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use aya_obj::generated::perf_event_attr;
use memmap2::{MmapOptions, MmapRaw};
use rustix::event::epoll;

use crate::kernel::bpf;

/// Bytes of records for each processor, a power of two: some hundred.
const RING_BYTES: usize = 64 << 10;

/// Where a `perf_event_mmap_page` has the position of the kernel, and the reader's.
const DATA_HEAD: usize = 1024;
const DATA_TAIL: usize = 1032;

/// `enum perf_event_type`.
const RECORD_LOST: u32 = 2;
const RECORD_MMAP2: u32 = 10;

/// A file that a process has mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MappedFile {
    /// The process.
    pub(crate) pid: u32,
    /// Addresses of its first byte and behind its last.
    pub(crate) range: (u64, u64),
    /// When: CLOCK_MONOTONIC, ns.
    pub(crate) time_ns: u64,
    /// Path and inode of the file.
    pub(crate) path: PathBuf,
    pub(crate) inode: u64,
}

/// Tells what processes map, until it is dropped.
#[derive(Debug)]
pub(crate) struct Mapped {
    rings: Vec<Records>,
    /// Readable when there is something to tell.
    ready: OwnedFd,
}

impl Mapped {
    /// Begins to tell.
    ///
    /// # Errors
    /// When the kernel does not allow it (no CAP_PERFMON, or a container that forbids the call), or memory is short.
    pub(crate) fn open() -> io::Result<Self> {
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut rings = Vec::new();
        for cpu in 0..i32::try_from(cpus).unwrap_or(i32::MAX) {
            match Records::open(cpu) {
                Ok(ring) => {
                    epoll::add(&ready, &ring.event, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
                    rings.push(ring);
                }
                // It is switched off.
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { rings, ready })
    }

    /// Takes all that there is to tell; `None` if more happened than there was room for. To be called by one thread at a time.
    pub(crate) fn take(&self) -> Option<Vec<MappedFile>> {
        let (mut files, mut is_whole) = (Vec::new(), true);
        for ring in &self.rings {
            is_whole &= ring.take(&mut files);
        }
        is_whole.then_some(files)
    }
}

impl AsFd for Mapped {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

/// The records of one processor.
#[derive(Debug)]
struct Records {
    event: OwnedFd,
    map: MmapRaw,
    page_bytes: usize,
}

impl Records {
    fn open(cpu: i32) -> io::Result<Self> {
        let event = open_event(cpu)?;
        let page_bytes = rustix::param::page_size();
        // Raw: the kernel writes to it at any time, and nothing here makes a reference to its bytes.
        let map = MmapOptions::new().len(page_bytes + RING_BYTES).map_raw(&event)?;
        Ok(Self { event, map, page_bytes })
    }

    /// Moves the records to `files`; false if some were lost.
    fn take(&self, files: &mut Vec<MappedFile>) -> bool {
        // Acquire: what lies before this position is written.
        let head = self.position(DATA_HEAD).load(Ordering::Acquire);
        let mut tail = self.position(DATA_TAIL).load(Ordering::Relaxed);
        let mut is_whole = true;
        while tail < head {
            let first = self.word(tail, 0);
            let (kind, size) = (first as u32, first >> 48);
            match kind {
                RECORD_MMAP2 => files.extend(self.mapped(tail, size as usize / 8)),
                RECORD_LOST => is_whole = false,
                _ => {}
            }
            // A record has a size; without one there is no way on.
            tail = if size == 0 { head } else { tail + size };
        }
        // Release: the records are read before the kernel may write here again.
        self.position(DATA_TAIL).store(tail, Ordering::Release);
        is_whole
    }

    /// The file that the record of `words` words at `position` tells of.
    fn mapped(&self, position: u64, words: usize) -> Option<MappedFile> {
        /// The first word of the path, with NUL behind it, and how many there are at least besides it: the last has the time.
        const PATH: usize = 9;
        let [_, ids, start, length, _, _, inode] = std::array::from_fn(|index| self.word(position, index));
        let pid = ids as u32;
        // Without an inode it is no file but code that was just made; without a pid, of a process outside of this container.
        if inode == 0 || pid == 0 || words <= PATH {
            return None;
        }
        let path = (PATH..words - 1).flat_map(|index| self.word(position, index).to_le_bytes());
        let path: Vec<u8> = path.take_while(|byte| *byte != 0).collect();
        Some(MappedFile {
            pid,
            range: (start, start.wrapping_add(length)),
            time_ns: self.word(position, words - 1),
            path: OsString::from_vec(path).into(),
            inode,
        })
    }

    /// Word `index` of the record at `position`; it may run into the begin of the ring.
    fn word(&self, position: u64, index: usize) -> u64 {
        let at = (position as usize + index * 8) & (RING_BYTES - 1);
        assert!(at.is_multiple_of(8), "records are of whole words");
        // SAFETY: inside the mapping, as the ring has RING_BYTES, and aligned; the kernel does not write to records that were
        // not taken. Words beyond the record are of another one, and not used.
        unsafe { self.map.as_ptr().add(self.page_bytes + at).cast::<u64>().read() }
    }

    fn position(&self, at: usize) -> &AtomicU64 {
        // SAFETY: in the first page of the mapping, and aligned; both sides access it only whole.
        unsafe { &*self.map.as_ptr().add(at).cast::<AtomicU64>() }
    }
}

/// Opens an event that tells of what processor `cpu` maps to be executed.
fn open_event(cpu: i32) -> io::Result<OwnedFd> {
    const SOFTWARE: u32 = 1;
    const DUMMY: u64 = 9;
    const SAMPLE_TIME: u64 = 1 << 2;
    const FD_CLOEXEC: libc::c_ulong = 8;
    const ANY: libc::pid_t = -1;
    const NO_GROUP: libc::c_int = -1;
    // SAFETY: a plain struct of the kernel's interface; all zero is its documented initial state.
    let mut attr: perf_event_attr = unsafe { std::mem::zeroed() };
    attr.type_ = SOFTWARE;
    attr.config = DUMMY;
    attr.size = bpf::bytes_of::<perf_event_attr>();
    attr.set_mmap(1);
    attr.set_mmap2(1);
    attr.sample_type = SAMPLE_TIME;
    attr.set_sample_id_all(1);
    attr.set_use_clockid(1);
    attr.clockid = libc::CLOCK_MONOTONIC;
    attr.set_exclude_kernel(1);
    attr.set_exclude_hv(1);
    // Every record makes it readable.
    attr.set_watermark(1);
    attr.__bindgen_anon_2.wakeup_watermark = 1;
    // SAFETY: `attr` lives until the call returns, and the kernel only reads it.
    let fd =
        unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attr, ANY, cpu, NO_GROUP, FD_CLOEXEC) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the call returned a new descriptor, which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
