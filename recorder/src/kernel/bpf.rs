//! The `bpf` system call: maps, programs, links. Thin and typed; what is made of them stands in `program.rs`.
//!
//! The attribute structs follow `union bpf_attr` of `include/uapi/linux/bpf.h` (Linux 6.18) up to the last field used
//! here; the kernel takes the size given as the version of the layout.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use aya_obj::generated::{bpf_insn, bpf_prog_info};

/// Map types used here; `enum bpf_map_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum MapType {
    Hash = 1,
    Array = 2,
    PerCpuArray = 6,
    LruHash = 9,
    ArrayOfMaps = 12,
    RingBuffer = 27,
}

/// Map flag: the program may only read it, so the verifier knows its values once it is frozen.
pub(crate) const READ_ONLY_FOR_PROGRAM: u32 = 1 << 7;
/// Map flag: the values can be mapped into memory.
pub(crate) const MAPPABLE: u32 = 1 << 10;

/// What a map is created from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapLayout<'a> {
    pub kind: MapType,
    pub key_bytes: u32,
    pub value_bytes: u32,
    pub entries: u32,
    pub flags: u32,
    /// Example of the maps that are the values of an array of maps.
    pub inner: Option<BorrowedFd<'a>>,
}

/// Program types used here; `enum bpf_prog_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum ProgramType {
    Kprobe = 2,
    RawTracepoint = 17,
}

/// Attach types used here; `enum bpf_attach_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum AttachType {
    /// Also what the kernel takes for "none" in kprobe programs.
    None = 0,
    PerfEvent = 41,
    UprobeMulti = 48,
}

const MAP_CREATE: libc::c_int = 0;
const MAP_LOOKUP_ELEM: libc::c_int = 1;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const MAP_DELETE_ELEM: libc::c_int = 3;
const MAP_GET_NEXT_KEY: libc::c_int = 4;
const PROG_LOAD: libc::c_int = 5;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const MAP_FREEZE: libc::c_int = 22;
const LINK_CREATE: libc::c_int = 28;

#[repr(C)]
#[derive(Default)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
}

#[repr(C)]
#[derive(Default)]
struct MapElement {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

#[repr(C)]
#[derive(Default)]
struct RawTracepoint {
    name: u64,
    prog_fd: u32,
    padding: u32,
}

#[repr(C)]
struct InfoByFd {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// `link_create` with the arm `perf_event`.
#[repr(C)]
#[derive(Default)]
struct LinkPerf {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    cookie: u64,
}

/// `link_create` with the arm `uprobe_multi`.
#[repr(C)]
#[derive(Default)]
struct LinkUprobeMulti {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    link_flags: u32,
    path: u64,
    offsets: u64,
    ref_ctr_offsets: u64,
    cookies: u64,
    count: u32,
    flags: u32,
    pid: u32,
    padding: u32,
}

/// How often loading is tried again when the kernel says so.
const MAX_LOAD_TRIES: u32 = 10;

/// Bytes of a type, as the kernel's interfaces count them.
#[expect(clippy::cast_possible_truncation, reason = "only for types of some kilobytes")]
pub(crate) const fn bytes_of<T>() -> u32 {
    size_of::<T>() as u32
}

/// A map of the kernel, closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Map {
    fd: OwnedFd,
    key_bytes: usize,
    /// Bytes of a value as the system call passes it: of a per-CPU map, one value for each CPU.
    value_bytes: usize,
    entries: u32,
}

impl Map {
    /// Creates a map; `cpus` is the number of possible CPUs.
    pub(crate) fn create(layout: &MapLayout<'_>, cpus: u32) -> io::Result<Self> {
        let attr = MapCreate {
            map_type: layout.kind as u32,
            key_size: layout.key_bytes,
            value_size: layout.value_bytes,
            max_entries: layout.entries,
            map_flags: layout.flags,
            inner_map_fd: layout.inner.map_or(0, number),
        };
        let values = if layout.kind == MapType::PerCpuArray { cpus as usize } else { 1 };
        Ok(Self {
            fd: call_fd(MAP_CREATE, &attr)?,
            key_bytes: layout.key_bytes as usize,
            value_bytes: layout.value_bytes as usize * values,
            entries: layout.entries,
        })
    }

    /// The descriptor, for programs and other maps that refer to the map.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Most elements it holds; of a ring buffer, its bytes.
    pub(crate) fn entries(&self) -> u32 {
        self.entries
    }

    /// Sets the value of `key`.
    pub(crate) fn update(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        assert_eq!(value.len(), self.value_bytes, "the kernel reads as many bytes as a value has");
        call(MAP_UPDATE_ELEM, &self.element(key, value.as_ptr().expose_provenance())).map(drop)
    }

    /// Reads the value of `key`.
    pub(crate) fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<()> {
        assert_eq!(value.len(), self.value_bytes, "the kernel writes as many bytes as a value has");
        call(MAP_LOOKUP_ELEM, &self.element(key, value.as_mut_ptr().expose_provenance())).map(drop)
    }

    /// The key behind `key`, or the first; an error behind the last.
    pub(crate) fn next_key(&self, key: Option<u32>) -> io::Result<u32> {
        assert_eq!(self.key_bytes, 4, "the kernel writes as many bytes as a key has");
        let bytes = key.unwrap_or(0).to_le_bytes();
        let mut next = [0; 4];
        let mut attr = self.element(&bytes, next.as_mut_ptr().expose_provenance());
        if key.is_none() {
            attr.key = 0;
        }
        call(MAP_GET_NEXT_KEY, &attr)?;
        Ok(u32::from_le_bytes(next))
    }

    /// Removes `key`.
    pub(crate) fn delete(&self, key: &[u8]) -> io::Result<()> {
        call(MAP_DELETE_ELEM, &self.element(key, 0)).map(drop)
    }

    /// Makes the map constant for system calls.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        call(MAP_FREEZE, &MapElement { map_fd: number(self.as_fd()), ..Default::default() }).map(drop)
    }

    fn element(&self, key: &[u8], value: usize) -> MapElement {
        assert_eq!(key.len(), self.key_bytes, "the kernel reads as many bytes as a key has");
        MapElement {
            map_fd: number(self.as_fd()),
            key: key.as_ptr().expose_provenance() as u64,
            value: value as u64,
            ..Default::default()
        }
    }
}

/// Whether a program may wait, for memory to be brought in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    Never,
    /// Linux 6.0 and newer.
    ForMemory,
}

/// Loads a program. On failure `log` holds what the verifier said, if it was asked (`log` not empty).
pub(crate) fn load_program(
    kind: ProgramType,
    attach: AttachType,
    waits: Waits,
    instructions: &[bpf_insn],
    log: &mut [u8],
) -> io::Result<OwnedFd> {
    /// `BPF_F_SLEEPABLE` of include/uapi/linux/bpf.h.
    const SLEEPABLE: u32 = 1 << 4;
    let license: &CStr = c"Dual MIT/GPL";
    let mut prog_name = [0; 16];
    prog_name[..6].copy_from_slice(b"tracer");
    let attr = ProgLoad {
        prog_type: kind as u32,
        insn_cnt: u32::try_from(instructions.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        insns: instructions.as_ptr().expose_provenance() as u64,
        license: license.as_ptr().expose_provenance() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: u32::try_from(log.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        log_buf: if log.is_empty() { 0 } else { log.as_mut_ptr().expose_provenance() as u64 },
        prog_flags: if waits == Waits::ForMemory { SLEEPABLE } else { 0 },
        prog_name,
        expected_attach_type: attach as u32,
        ..Default::default()
    };
    // The verifier gives up when a signal is pending, which says nothing about the program.
    let mut tries = 0..MAX_LOAD_TRIES;
    loop {
        match call_fd(PROG_LOAD, &attr) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) && tries.next().is_some() => {}
            result => return result,
        }
    }
}

/// Lets a program run at a tracepoint until the descriptor is closed.
pub(crate) fn open_raw_tracepoint(program: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let attr = RawTracepoint {
        name: name.as_ptr().expose_provenance() as u64,
        prog_fd: number(program),
        ..Default::default()
    };
    call_fd(RAW_TRACEPOINT_OPEN, &attr)
}

/// Time that a program took, ns, and for how many runs, while it was measured.
pub(crate) fn run_time(program: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let mut info = std::mem::MaybeUninit::<bpf_prog_info>::zeroed();
    let attr = InfoByFd {
        bpf_fd: number(program),
        info_len: bytes_of::<bpf_prog_info>(),
        info: info.as_mut_ptr().expose_provenance() as u64,
    };
    call(OBJ_GET_INFO_BY_FD, &attr)?;
    // SAFETY: zeros are a valid value, and the kernel wrote no more bytes than the structure has.
    let info = unsafe { info.assume_init() };
    Ok((info.run_time_ns, info.run_cnt))
}

/// Links a program to an open perf event; the program sees `cookie`.
pub(crate) fn link_perf(program: BorrowedFd<'_>, event: BorrowedFd<'_>, cookie: u64) -> io::Result<OwnedFd> {
    let attr = LinkPerf {
        prog_fd: number(program),
        target_fd: number(event),
        attach_type: AttachType::PerfEvent as u32,
        flags: 0,
        cookie,
    };
    call_fd(LINK_CREATE, &attr)
}

/// Places of one file, as three lists with one element for each of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UprobeSites<'a> {
    pub offsets: &'a [u64],
    pub semaphore_offsets: &'a [u64],
    pub cookies: &'a [u64],
}

/// Links a program to many places of one file, in all processes or in `pid` alone.
pub(crate) fn link_uprobe_multi(
    program: BorrowedFd<'_>,
    path: &CStr,
    sites: &UprobeSites<'_>,
    pid: Option<u32>,
) -> io::Result<OwnedFd> {
    let UprobeSites { offsets, semaphore_offsets, cookies } = sites;
    assert!(
        offsets.len() == semaphore_offsets.len() && offsets.len() == cookies.len(),
        "lists of one length"
    );
    let attr = LinkUprobeMulti {
        prog_fd: number(program),
        attach_type: AttachType::UprobeMulti as u32,
        path: path.as_ptr().expose_provenance() as u64,
        offsets: offsets.as_ptr().expose_provenance() as u64,
        ref_ctr_offsets: semaphore_offsets.as_ptr().expose_provenance() as u64,
        cookies: cookies.as_ptr().expose_provenance() as u64,
        count: u32::try_from(offsets.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        pid: pid.unwrap_or(0),
        ..Default::default()
    };
    call_fd(LINK_CREATE, &attr)
}

/// The number of an open descriptor, as the attributes hold it.
fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

fn call_fd<T>(command: libc::c_int, attr: &T) -> io::Result<OwnedFd> {
    let fd = call(command, attr)?;
    // SAFETY: the commands passed here return a new descriptor, which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn call<T>(command: libc::c_int, attr: &T) -> io::Result<i32> {
    // SAFETY: `attr` is a prefix of `union bpf_attr` and lives until the call returns; so do the buffers whose addresses
    // the callers above put into it. Their lengths are what the kernel takes from the map (asserted) or from the
    // attribute. The kernel writes only to those that were given as mutable (`lookup`, `next_key`, `run_time`, the verifier's log).
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    i32::try_from(result).ok().filter(|result| *result >= 0).ok_or_else(io::Error::last_os_error)
}
