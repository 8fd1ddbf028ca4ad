//! Attaching the program to the sites of one binary: all at once (`uprobe_multi`), or one perf event for each site on
//! kernels before 6.6.
//!
//! Both ways attach to the inode, so every process that maps it is recorded, now and later. The kernel increments the
//! semaphore of each attached site in every such process, and decrements it when the link goes, however the recorder ends.

use std::ffi::{CString, c_int};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use aya_obj::generated::perf_event_attr;

use crate::error::{Error, Result};
use crate::host;
use crate::host::descriptors::make_room;
use crate::kernel::bpf;
use crate::kernel::program::Program;
use tracer_format::SiteId;

/// How sites are attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// `Multi` where the kernel has it, else `Perf`.
    #[default]
    Auto,
    /// One link for all sites of a binary; Linux 6.6 and newer.
    Multi,
    /// One perf event for each site; Linux 5.15 and newer.
    Perf,
}

/// One place to attach to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset of the instruction in the file, bytes.
    pub offset: u64,
    /// Offset of the semaphore in the file, bytes; 0 if the probe has none.
    pub semaphore_offset: u64,
    /// What [`Program::add_site`] gave.
    pub site: SiteId,
}

/// Attached sites; they are detached when this is dropped.
#[derive(Debug)]
pub struct Link {
    fds: Vec<OwnedFd>,
    /// How it was attached, never `Auto`.
    pub mode: AttachMode,
}

impl Link {
    /// What another process has attached.
    pub(crate) fn of(fds: Vec<OwnedFd>, mode: AttachMode) -> Self {
        Self { fds, mode }
    }

    pub(crate) fn fds(&self) -> &[OwnedFd] {
        &self.fds
    }
}

/// Attaches the program to `places` of the file `path`.
///
/// # Errors
/// [`Error::Unsupported`] when `mode` is not possible on this kernel; [`Error::Attach`] when the kernel refuses, for
/// instance because the file is on a file system without mapping, or a place is not at an instruction.
pub fn attach(program: &Program, mode: AttachMode, path: &Path, places: &[Place]) -> Result<Link> {
    attach_filtered(program, mode, path, places, None)
}

/// Whether this kernel has `mode`.
///
/// # Errors
/// [`Error::Unsupported`] if it has not.
pub(crate) fn check_mode(program: &Program, mode: AttachMode) -> Result<()> {
    match (mode, &program.variants.multi) {
        (AttachMode::Multi, Err(error)) => {
            let source =
                error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            Err(Error::Unsupported {
                doing: "attach many probes at once (--attach multi)",
                needs: "Linux 6.6 or newer",
                source,
            })
        }
        _ => Ok(()),
    }
}

/// Whether many sites are attached to at once in this mode.
pub(crate) fn is_multi(program: &Program, mode: AttachMode) -> bool {
    mode != AttachMode::Perf && program.variants.multi.is_ok()
}

/// Attaches as [`attach`] does, but for process `pid` alone where one is given: in all others there is no breakpoint, and
/// no semaphore is raised. Only where [`can_filter`].
///
/// # Errors
/// As [`attach`]; ESRCH when there is no such process.
pub(crate) fn attach_filtered(
    program: &Program,
    mode: AttachMode,
    path: &Path,
    places: &[Place],
    pid: Option<u32>,
) -> Result<Link> {
    let c_path = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| attach_error(path, io::ErrorKind::InvalidInput.into()))?;
    check_mode(program, mode)?;
    let (mode, plain) = match program.variants.multi.as_ref().ok().filter(|_| mode != AttachMode::Perf) {
        Some(fd) => (AttachMode::Multi, fd.as_fd()),
        None => (AttachMode::Perf, program.variants.single().map_err(|source| attach_error(path, source))?),
    };
    let is_of_memory = |place: &Place| program.sites.is_of_memory(place.site);
    let (in_memory, others): (Vec<Place>, Vec<Place>) = places.iter().copied().partition(is_of_memory);
    let of_memory = match in_memory.is_empty() {
        true => plain,
        false => program.variants.of_memory(mode == AttachMode::Multi).unwrap_or(plain),
    };
    let groups = [(plain, others), (of_memory, in_memory)];
    let mut fds = Vec::new();
    for (program, places) in groups.into_iter().filter(|(_, places)| !places.is_empty()) {
        let attached = match mode {
            AttachMode::Multi => attach_multi(program, &c_path, &places, pid).map(|fd| vec![fd]),
            _ => attach_perf(program, &c_path, &places),
        };
        fds.extend(attached.map_err(|source| attach_error(path, source))?);
    }
    Ok(Link { fds, mode })
}

/// Attaches any program loaded for `uprobe_multi`, without cookies that mean something. For benchmarks.
///
/// # Errors
/// [`Error::Attach`] as [`attach`].
#[doc(hidden)]
pub fn attach_empty(program: BorrowedFd<'_>, path: &Path, places: &[Place]) -> Result<Link> {
    let c_path = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| attach_error(path, io::ErrorKind::InvalidInput.into()))?;
    let fd = attach_multi(program, &c_path, places, None).map_err(|source| attach_error(path, source))?;
    Ok(Link { fds: vec![fd], mode: AttachMode::Multi })
}

fn attach_error(path: &Path, source: io::Error) -> Error {
    Error::Attach { path: path.to_owned(), source }
}

/// Whether one process can be attached to alone. The kernel has had that since 6.6, but only its main thread was recorded
/// before 6.10, and none that had lost its main thread before 6.12.
pub(crate) fn can_filter(program: &Program, mode: AttachMode) -> bool {
    /// The first kernel that asks whether two threads are of one process: `uprobe_prog_run` of kernel/trace/bpf_trace.c.
    const BY_PROCESS: (u32, u32) = (6, 12);
    is_multi(program, mode) && host::kernel_version() >= BY_PROCESS
}

fn attach_multi(
    program: BorrowedFd<'_>,
    path: &CString,
    places: &[Place],
    pid: Option<u32>,
) -> io::Result<OwnedFd> {
    make_room();
    let offsets: Vec<u64> = places.iter().map(|place| place.offset).collect();
    let semaphores: Vec<u64> = places.iter().map(|place| place.semaphore_offset).collect();
    let cookies: Vec<u64> = places.iter().map(|place| place.site.into()).collect();
    let sites = bpf::UprobeSites { offsets: &offsets, semaphore_offsets: &semaphores, cookies: &cookies };
    bpf::link_uprobe_multi(program, path, &sites, pid)
}

fn attach_perf(program: BorrowedFd<'_>, path: &CString, places: &[Place]) -> io::Result<Vec<OwnedFd>> {
    let pmu = perf_uprobe_type()?;
    make_room();
    let link = |place: &Place| {
        // The link keeps the event, which so needs no descriptor of its own.
        let event = open_perf_event(pmu, path, place, Meets::All)?;
        bpf::link_perf(program, event.as_fd(), place.site.into())
    };
    places.iter().map(link).collect()
}

/// The number of the perf event source for uprobes on this machine.
fn perf_uprobe_type() -> io::Result<u32> {
    let text = std::fs::read_to_string("/sys/bus/event_source/devices/uprobe/type")?;
    text.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Puts a breakpoint at `offset` of a file that only this process would meet, and that does nothing.
///
/// # Errors
/// When the kernel does not allow it, or cannot put one on this instruction.
pub(crate) fn open_own_breakpoint(path: &CString, offset: u64) -> io::Result<OwnedFd> {
    open_perf_event(
        perf_uprobe_type()?,
        path,
        &Place { offset, semaphore_offset: 0, site: SiteId(0) },
        Meets::Us,
    )
}

/// Which processes meet a breakpoint.
#[derive(Clone, Copy)]
enum Meets {
    All,
    Us,
}

fn open_perf_event(pmu: u32, path: &CString, place: &Place, meets: Meets) -> io::Result<OwnedFd> {
    /// `PERF_UPROBE_REF_CTR_OFFSET_SHIFT` of kernel/events/core.c: the upper half of `config`.
    const SEMAPHORE_SHIFT: u32 = 32;
    const FD_CLOEXEC: libc::c_ulong = 8;
    const ANY: c_int = -1;
    const NO_GROUP: c_int = -1;

    let semaphore = u32::try_from(place.semaphore_offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: a plain struct of the kernel's interface; all zero is its documented initial state.
    let mut attr: perf_event_attr = unsafe { std::mem::zeroed() };
    attr.type_ = pmu;
    attr.size = bpf::bytes_of::<perf_event_attr>();
    attr.config = u64::from(semaphore) << SEMAPHORE_SHIFT;
    attr.__bindgen_anon_3.uprobe_path = path.as_ptr().expose_provenance() as u64;
    attr.__bindgen_anon_4.probe_offset = place.offset;
    // With any process, one CPU is as good as another: a uprobe with a BPF program runs on all of them. This process is 0.
    let (process, cpu): (libc::pid_t, c_int) = match meets {
        Meets::All => (ANY, 0),
        Meets::Us => (0, ANY),
    };
    // SAFETY: `attr` and the path it points to live until the call returns, and the kernel only reads them.
    let fd = unsafe {
        libc::syscall(libc::SYS_perf_event_open, &raw const attr, process, cpu, NO_GROUP, FD_CLOEXEC)
    };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the call returned a new descriptor, which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
