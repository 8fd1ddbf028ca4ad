//! Finds the probes of running processes: their executables and the shared libraries that they map, each file once.
//!
//! Files are opened through `/proc/PID`, so that those of other mount namespaces and those that were deleted or replaced
//! are found as well. Processes come and go meanwhile and some cannot be read: neither ends a scan. A second scan looks
//! only into files that are new or were changed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use glob::Pattern;

use crate::error::{Damage, Error, Result};
use crate::find::binary::Binary;
use crate::find::library;
use crate::find::mapping::{self, Mapping};
use crate::find::pattern::Request;
use crate::host::process;
use tracer_format::log::escape;

/// `OVERLAYFS_SUPER_MAGIC` of the kernel's `linux/magic.h`.
const OVERLAY_MAGIC: i64 = 0x794c_7630;

/// Problems that are remembered, so that none is told twice.
const MAX_PROBLEMS: usize = 10_000;

/// What to look for, and where.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Probes; none at all finds nothing.
    pub requests: Vec<Request>,
    /// Process ids; empty for all.
    pub pids: Vec<u32>,
    /// Globs for the file name of the executable; empty for all.
    pub programs: Vec<Pattern>,
}

impl Filter {
    /// Whether processes of this program are wanted, by the file name of its executable.
    #[must_use]
    pub fn wants(&self, program: &str) -> bool {
        self.programs.is_empty() || self.programs.iter().any(|pattern| pattern.matches(program))
    }
}

/// A file with requested probes, found now.
#[derive(Debug)]
pub struct FoundFile {
    /// The file and its sites.
    pub binary: Binary,
    /// Processes that map it and pass the filter, ascending; empty if found for a command that is yet to start.
    pub pids: Vec<u32>,
}

/// What one look at the system gave.
#[derive(Debug, Default)]
pub struct Scan {
    /// Files found for the first time, by the lowest pid that maps them, then executable before libraries. A file that
    /// was rewritten in place since is found again: what was attached to the same device and inode is out of date.
    pub found: Vec<FoundFile>,
    /// Processes that pass the filter and map any file with requested probes, found now or earlier.
    pub pids: BTreeSet<u32>,
    /// What could not be looked into, one line each, at most one for a file, none told before.
    pub problems: Vec<String>,
}

/// Looks for probes again and again, and remembers what it has seen.
#[derive(Debug)]
pub struct Discovery {
    filter: Filter,
    /// Files by device and inode.
    known: HashMap<FileId, KnownFile>,
    told: HashSet<String>,
    /// Whether all processes were looked at before; those that the user named may end after that.
    scanned: bool,
}

/// Device and inode.
type FileId = (u64, u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KnownFile {
    version: Version,
    has_probes: bool,
    overlay: bool,
    /// The file itself, or the one found first where two containers show the same file as two: the kernel attaches to
    /// what lies below both, so attaching to each would give every event twice.
    original: FileId,
}

/// What tells a file from one that took its inode later, or was written over it.
///
/// Not the time of the last status change: deleting a running program changes that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    modified: (i64, i64),
    size: u64,
}

impl Version {
    fn of(facts: &Metadata) -> Self {
        Version { modified: (facts.mtime(), facts.mtime_nsec()), size: facts.size() }
    }
}

/// One pass over some processes.
struct Pass<'a> {
    discovery: &'a mut Discovery,
    scan: Scan,
    /// Files looked at in this pass, as `/proc/PID/maps` names them, and the file that was found there.
    seen: HashMap<FileId, FileId>,
    /// Positions in `scan.found`.
    positions: HashMap<FileId, usize>,
    /// Processes that may not be looked into.
    forbidden: usize,
    /// Whether it is the first pass over all processes.
    first: bool,
}

impl Discovery {
    /// Starts with nothing seen.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Discovery { filter, known: HashMap::new(), told: HashSet::new(), scanned: false }
    }

    /// Looks at all processes that pass the filter.
    pub fn scan(&mut self) -> Scan {
        let listed = if self.filter.pids.is_empty() { process::pids() } else { Ok(self.filter.pids.clone()) };
        self.scan_listed(listed)
    }

    /// Looks at these processes, whatever the filter's pids are.
    pub fn scan_processes(&mut self, pids: Vec<u32>) -> Scan {
        self.scan_listed(Ok(pids))
    }

    fn scan_listed(&mut self, listed: io::Result<Vec<u32>>) -> Scan {
        let mut pass = self.pass();
        match listed {
            Ok(mut pids) => {
                pids.sort_unstable();
                pids.dedup();
                pids.into_iter().for_each(|pid| pass.process(pid));
            }
            Err(error) => pass.tell(format!("cannot list processes: /proc: {error}")),
        }
        // Files that nobody maps any more are forgotten, so that memory stays bounded by what runs.
        let alive: HashSet<FileId> = pass.seen.iter().flat_map(|(link, file)| [*link, *file]).collect();
        let scan = pass.finish();
        self.scanned = true;
        self.known.retain(|file, known| known.has_probes || alive.contains(file));
        scan
    }

    /// Looks at one process, for example one that just started another program, whatever the filter's pids are.
    pub fn scan_process(&mut self, pid: u32) -> Scan {
        let mut pass = self.pass();
        pass.process(pid);
        pass.finish()
    }

    /// Looks at the executable of a command that is yet to start, and the shared libraries that it will load; the
    /// filter's pids and programs do not count.
    ///
    /// # Errors
    /// [`Error::Command`] if there is no such program in `PATH`.
    pub fn command(&mut self, name: &std::ffi::OsStr) -> Result<Scan> {
        Ok(self.files(library::of_command(name)?))
    }

    /// Looks at the program at `path`, which process `pid` has just begun to run, and the shared libraries that it will
    /// load, if it passes the filter. The process may be gone already, or be stopped before its first instruction.
    pub fn starting(&mut self, pid: u32, path: PathBuf) -> Scan {
        let program = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !self.filter.wants(&program) || !path.is_file() {
            return Scan::default();
        }
        self.files(library::of_process(pid, path))
    }

    fn files(&mut self, paths: Vec<PathBuf>) -> Scan {
        let mut pass = self.pass();
        for path in paths {
            if let Err(error) = pass.file(&path, &path) {
                pass.tell(format!("{}: {error}", shown(&path)));
            }
        }
        pass.finish()
    }

    /// The file with these facts, if it was looked at and has not changed since.
    fn recall(&self, facts: &Metadata) -> Option<FileId> {
        let known = self.known.get(&id(facts)).filter(|known| known.version == Version::of(facts))?;
        Some(known.original)
    }

    fn pass(&mut self) -> Pass<'_> {
        let first = !self.scanned;
        Pass {
            discovery: self,
            scan: Scan::default(),
            seen: HashMap::new(),
            positions: HashMap::new(),
            forbidden: 0,
            first,
        }
    }
}

/// Reads the requested sites of one file that the user named, and says what was left out, if anything. A name that is no file
/// is looked for in `PATH`.
///
/// # Errors
/// If the file cannot be opened, is no ELF file, or is damaged. No matching probe is no error: the list is empty.
pub fn file(path: &Path, requests: &[Request]) -> Result<(Option<Binary>, Option<String>)> {
    let program = if path.exists() { None } else { library::find_program(path.as_os_str()) };
    let path = program.as_deref().unwrap_or(path);
    let refused = |source| Error::File { path: path.to_owned(), source };
    let (file, _) = open(path).map_err(refused)?;
    let mut magic = [0; 4];
    let read = std::os::unix::fs::FileExt::read_at(&file, &mut magic, 0).map_err(refused)?;
    if read < magic.len() || magic != object::elf::ELFMAG {
        return Err(Error::NotElf(path.to_owned()));
    }
    let (binary, problem) = Binary::read(file, path, requests)
        .map_err(|damage| Error::Binary { path: path.to_owned(), damage })?;
    Ok((binary, problem.map(|problem| format!("{}: {problem}", shown(path)))))
}

impl Pass<'_> {
    /// Looks at one process. It may vanish at any moment, which is not worth a word.
    fn process(&mut self, pid: u32) {
        let executable = match process::executable(pid) {
            Ok(path) => path,
            Err(error) => return self.tell_no_executable(pid, &error),
        };
        if !self.discovery.filter.wants(&executable.file_name().unwrap_or_default().to_string_lossy()) {
            return;
        }
        let folder = PathBuf::from(format!("/proc/{pid}"));
        // In most cases it is mapped as well, but it comes first.
        let mut files: BTreeSet<FileId> = self.file(&folder.join("exe"), &executable).into_iter().collect();
        for mapping in mapping::read(pid).unwrap_or_default() {
            let known = self.seen.get(&mapping.file).copied();
            match known.map_or_else(|| self.mapped_file(&folder, &mapping), Ok) {
                Ok(file) => {
                    self.seen.insert(mapping.file, file);
                    files.insert(file);
                }
                // A device, or the process is gone.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput || is_gone(&folder, &error) => {}
                Err(error) => {
                    self.tell(format!("{}: mapped but cannot be opened: {error}", shown(&mapping.path)))
                }
            }
        }
        let known = &self.discovery.known;
        for file in files.into_iter().filter(|file| known.get(file).is_some_and(|known| known.has_probes)) {
            self.scan.pids.insert(pid);
            if let Some(position) = self.positions.get(&file) {
                self.scan.found[*position].pids.push(pid);
            }
        }
    }

    /// Tells why a process has no executable, if the user asked for it or anything can be done about it.
    fn tell_no_executable(&mut self, pid: u32, error: &io::Error) {
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        if !self.discovery.filter.pids.contains(&pid) {
            self.forbidden += usize::from(denied);
        } else if denied {
            self.tell(format!("process {pid}: {error} (needs CAP_SYS_PTRACE)"));
        } else if self.first && Path::new(&format!("/proc/{pid}")).exists() {
            self.tell(format!("process {pid} has no executable: a kernel thread, or it is ending"));
        } else if self.first {
            self.tell(format!("process {pid} does not exist, expected the pid of a running process"));
        }
    }

    /// Looks at the file of a mapping: the very file through `map_files`, or, without the privilege for that, the one at
    /// its path if that is still the same.
    fn mapped_file(&mut self, folder: &Path, mapping: &Mapping) -> io::Result<FileId> {
        let link = folder.join("map_files").join(&mapping.range);
        self.file(&link, &mapping.path).or_else(|error| {
            let denied = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound);
            let Some(path) = mapping.path.strip_prefix("/").ok().filter(|_| denied) else {
                return Err(error);
            };
            let link = folder.join("root").join(path);
            if fs::metadata(&link)?.ino() == mapping.file.1 {
                self.file(&link, &mapping.path)
            } else {
                Err(error)
            }
        })
    }

    /// Reads the file behind `link` unless it is known; `path` is its name for the user.
    fn file(&mut self, link: &Path, path: &Path) -> io::Result<FileId> {
        let facts = fs::metadata(link)?;
        if let Some(file) = self.discovery.recall(&facts) {
            self.seen.insert(id(&facts), file);
            return Ok(file);
        }
        let (file, facts) = open(link)?;
        let (id, version) = (id(&facts), Version::of(&facts));
        let overlay = is_overlay(&file);
        let binary = self.read(file, path);
        let has_probes = binary.is_some();
        let twin = self.discovery.known.iter().find(|(other, known)| {
            overlay
                && has_probes
                && known.overlay
                && known.has_probes
                && known.version == version
                && other.1 == id.1
        });
        let original = twin.map_or(id, |(_, known)| known.original);
        self.discovery.known.insert(id, KnownFile { version, has_probes, overlay, original });
        self.seen.insert(id, original);
        if let Some(binary) = binary.filter(|_| original == id) {
            self.positions.insert(id, self.scan.found.len());
            self.scan.found.push(FoundFile { binary, pids: Vec::new() });
        }
        Ok(original)
    }

    /// Reads a file for the first time and tells what is wrong with it.
    fn read(&mut self, file: File, path: &Path) -> Option<Binary> {
        match Binary::read(file, path, &self.discovery.filter.requests) {
            Ok((binary, problem)) => {
                if let Some(problem) = problem {
                    self.tell(format!("{}: {problem}", shown(path)));
                }
                return binary;
            }
            // There may be hundreds of them, and one is enough to know.
            Err(damage @ Damage::Class) => {
                if self.discovery.told.insert(damage.to_string()) {
                    self.tell(format!("{}: {damage} (further ones are skipped without a word)", shown(path)));
                }
            }
            Err(damage) => self.tell(format!("{}: {damage}", shown(path))),
        }
        None
    }

    /// Notes a problem that was not told before.
    fn tell(&mut self, problem: String) {
        if self.discovery.told.len() < MAX_PROBLEMS && self.discovery.told.insert(problem.clone()) {
            self.scan.problems.push(problem);
        }
    }

    fn finish(mut self) -> Scan {
        if self.forbidden > 0 && self.discovery.told.insert("forbidden".to_owned()) {
            let count = self.forbidden;
            let processes = if count == 1 { "process" } else { "processes" };
            let problem = format!(
                "{count} {processes} cannot be looked into: permission denied (needs CAP_SYS_PTRACE)"
            );
            self.scan.problems.push(problem);
        }
        self.scan
    }
}

/// Whether the process is gone, or is ending: it has no memory any more then.
fn is_gone(folder: &Path, error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) || !folder.exists()
}

/// Opens a regular file for reading without waiting for anything.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // Opening a device can have effects, so it is asked for first and, as paths change, checked again.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok((file, facts))
}

/// Device and inode.
fn id(facts: &Metadata) -> FileId {
    (facts.dev(), facts.ino())
}

/// Whether a file is on an overlay file system, as the images of containers are.
fn is_overlay(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|facts| facts.f_type == OVERLAY_MAGIC)
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}
