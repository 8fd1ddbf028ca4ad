//! Finds the probes of running processes: their executables and the shared libraries that they map, each file once.
//!
//! Files are opened through `/proc/PID`, so that those of other mount namespaces and those that were deleted or replaced
//! are found as well. Processes come and go meanwhile and some cannot be read: neither ends a scan. A second scan looks
//! only into files that are new or were changed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Damage, Error, Result};
use crate::find::binary::Binary;
use crate::find::known::{self, FileId, KnownFiles, Standing};
use crate::find::launch::{self, Launch};
use crate::find::mapping::{self, MappedPart, Mapping, view};
use crate::find::root::{self, Identity};
use crate::host::process;
use tracer_format::grammar::{ProgramPattern, Request};
use tracer_format::log::{escape, skipped_text};
use tracer_format::{Skipped, SkippedKind};

/// Problems that are remembered, so that none is told twice.
const MAX_PROBLEMS: usize = 10_000;

/// Files that are looked at before those that nothing maps any more are forgotten.
const MAX_FRESH: usize = 4096;

/// How long the loader may take to map a file bit by bit.
const SETTLING: Duration = Duration::from_millis(50);

/// What to look for, and where.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Probes; none at all finds nothing.
    pub requests: Vec<Request>,
    /// Process ids; empty for all.
    pub pids: Vec<u32>,
    /// Globs for the file name of the executable; empty for all.
    pub programs: Vec<ProgramPattern>,
    /// Programs and libraries whose probes are wanted, whether a process maps them or not. If there are any, those of other files
    /// are not.
    pub files: Vec<PathBuf>,
}

impl Filter {
    /// Whether processes of this program are wanted, by the file name of its executable.
    #[must_use]
    pub fn wants(&self, program: &str) -> bool {
        self.programs.is_empty() || self.programs.iter().any(|pattern| pattern.matches(program))
    }

    /// Whether this file is wanted: one of those that are at the named paths now.
    fn wants_file(&self, facts: &Metadata) -> bool {
        let is_at =
            |path: &PathBuf| fs::metadata(path).is_ok_and(|named| known::id(&named) == known::id(facts));
        self.files.is_empty() || self.files.iter().any(is_at)
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
    /// The files with requested probes that these processes map.
    pub(crate) mapped: BTreeSet<FileId>,
    /// Files with requested probes that were rewritten in place since they were found: what is attached to them is out of
    /// date, whether they are found again or have no such probes any more.
    pub(crate) outdated: Vec<FileId>,
    /// What could not be looked into, at most one for a file, none told before.
    pub skipped: Vec<Skipped>,
    /// Words about what may be missing, though nothing that was asked for is known to be.
    pub notes: Vec<String>,
}

impl Scan {
    /// Adds what a later look gave: what was found again counts instead of what was found first.
    pub(crate) fn extend(&mut self, later: Scan) {
        let Scan { found, pids, mapped, outdated, skipped, notes } = later;
        let id = |found: &FoundFile| (found.binary.dev, found.binary.ino);
        let again: HashSet<FileId> = found.iter().map(id).chain(outdated.iter().copied()).collect();
        self.found.retain(|found| !again.contains(&id(found)));
        self.found.extend(found);
        self.pids.extend(pids);
        self.mapped.extend(mapped);
        self.outdated.extend(outdated);
        self.skipped.extend(skipped);
        self.notes.extend(notes);
    }
}

/// Looks for probes again and again, and remembers what it has seen.
#[derive(Debug)]
pub struct Discovery {
    filter: Filter,
    known: KnownFiles,
    told: HashSet<String>,
    /// Processes that did not show a file as it should be seen, when they were last looked at: they may have been loading it.
    /// With the time at which each began, ns: a number may be that of another process by the next look.
    doubtful: HashMap<(u32, FileId), u64>,
    /// The processes among them that are to be looked at once more.
    doubts: BTreeSet<u32>,
    /// Files that were known after the last look at all processes.
    kept: usize,
    /// Whether all processes were looked at before; those that the user named may end after that.
    scanned: bool,
}

/// One pass over some processes.
struct Pass<'a> {
    discovery: &'a mut Discovery,
    scan: Scan,
    /// Files looked at in this pass, as `/proc/PID/maps` names them to processes with the same root and mounts, and the file
    /// that was found there.
    mapped: HashMap<(Identity, FileId, PathBuf), FileId>,
    /// Files looked at in this pass.
    seen: HashSet<FileId>,
    /// Positions in `scan.found`.
    positions: HashMap<FileId, usize>,
    /// Processes that may not be looked into, and might have been recorded: their ids and names.
    forbidden: Vec<(u32, String)>,
    /// Whether it is the first pass over all processes.
    first: bool,
}

impl Discovery {
    /// Starts with nothing seen.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Discovery {
            filter,
            known: KnownFiles::default(),
            told: HashSet::new(),
            doubtful: HashMap::new(),
            doubts: BTreeSet::new(),
            kept: 0,
            scanned: false,
        }
    }

    /// Looks at all processes that pass the filter.
    pub fn scan(&mut self) -> Scan {
        let listed = if self.filter.pids.is_empty() { process::pids() } else { Ok(self.filter.pids.clone()) };
        self.scan_listed(listed)
    }

    /// As [`scan`](Self::scan), and again where a process does not show its files as it should: for a caller that looks only once.
    pub fn scan_settled(&mut self) -> Scan {
        let mut scan = self.scan();
        if !self.doubtful.is_empty() {
            std::thread::sleep(SETTLING);
            let after = self.scan();
            scan.skipped.extend(after.skipped);
            scan.notes.extend(after.notes);
        }
        scan
    }

    /// The processes that did not show their files as they should be seen, and are to be looked at again in a moment.
    pub(crate) fn take_doubts(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.doubts)
    }

    /// Looks at these processes, whatever the filter's pids are.
    pub fn scan_processes(&mut self, pids: Vec<u32>) -> Scan {
        self.scan_listed(Ok(pids))
    }

    fn scan_listed(&mut self, listed: io::Result<Vec<u32>>) -> Scan {
        let mut pass = self.pass();
        pass.named();
        match listed {
            Ok(mut pids) => {
                pids.sort_unstable();
                pids.dedup();
                pass.discovery.doubtful.retain(|(pid, _), _| pids.binary_search(pid).is_ok());
                pids.into_iter().for_each(|pid| pass.process(pid));
            }
            Err(error) => pass.skip_process(0, format!("cannot list /proc: {error}")),
        }
        // Files that nothing maps any more are forgotten, so that memory stays bounded by what runs.
        let alive = std::mem::take(&mut pass.seen);
        let scan = pass.finish();
        self.scanned = true;
        self.known.keep(|file| alive.contains(file));
        self.kept = self.known.len();
        scan
    }

    /// Looks at one process, for example one that just started another program, whatever the filter's pids are.
    pub fn scan_process(&mut self, pid: u32) -> Scan {
        let mut pass = self.pass();
        pass.process(pid);
        pass.finish()
    }

    /// Looks at a process that maps a file there, unless it is one that is known.
    pub(crate) fn scan_mapped(&mut self, pid: u32, (start, end): (u64, u64)) -> Option<Scan> {
        let link = process::folder(pid).join(format!("map_files/{start:x}-{end:x}"));
        // It may map it no more, or this process may not follow the link: then all that it maps is looked at.
        let is_known = fs::metadata(link).is_ok_and(|facts| self.known.recall(&facts).is_some());
        (!is_known).then(|| self.scan_process(pid))
    }

    /// Looks at the files that the user named, and at no process.
    pub(crate) fn scan_named(&mut self) -> Scan {
        let mut pass = self.pass();
        pass.named();
        pass.finish()
    }

    /// Whether files were named.
    pub(crate) fn has_named(&self) -> bool {
        !self.filter.files.is_empty()
    }

    /// Whether so many files were looked at since the last look at all processes that those that are gone should be forgotten.
    pub(crate) fn is_crowded(&self) -> bool {
        self.known.len() > self.kept + MAX_FRESH
    }

    /// Looks at the files that a command will map when it is started: the executable, what runs it, and shared libraries. The
    /// filter's pids and programs do not count.
    ///
    /// # Errors
    /// [`Error::Command`] if there is no such program in `PATH`, [`Error::File`] if it cannot be read.
    pub fn command(&mut self, command: &[OsString]) -> Result<Scan> {
        Ok(self.files(Launch::of_command(command)?))
    }

    /// The program at `path`, which process `pid` has just begun to run, if it passes the filter. The process may be gone
    /// already, or be stopped before its first instruction.
    pub(crate) fn launch(&self, pid: u32, path: &Path) -> Option<Launch> {
        let program = path.file_name().unwrap_or_default().to_string_lossy();
        if self.filter.wants(&program) { Launch::of_process(pid, path) } else { None }
    }

    /// Looks at the files that a program will map.
    pub(crate) fn files(&mut self, launch: Launch) -> Scan {
        self.files_noted(launch, &mut |_, _| {})
    }

    /// The same; hands each file to `note` before it is looked at.
    pub(crate) fn files_noted(&mut self, launch: Launch, note: &mut dyn FnMut(&Path, &File)) -> Scan {
        let mut pass = self.pass();
        let program = launch.path().to_owned();
        let is_all = launch.files(&mut |path, file| {
            note(path, &file);
            if let Err(error) = pass.file(file, path) {
                pass.skip_file(path, error.to_string());
            }
        });
        if !is_all {
            let reason =
                "there are too many places to look for its libraries: what those fire first may be missing";
            pass.skip_file(&program, reason.to_owned());
        }
        pass.finish()
    }

    /// Whether a file is as it was when it was read, and a change since would show.
    pub(crate) fn is_sure(&self, file: &File) -> bool {
        file.metadata().is_ok_and(|facts| self.known.is_sure(&facts))
    }

    /// Whether a file with probes is another one now than when it was read.
    pub(crate) fn has_changed(&self, file: FileId) -> bool {
        self.known.has_changed(file)
    }

    /// Path of a file with probes, as it was found.
    pub(crate) fn path(&self, file: FileId) -> &str {
        self.known.path(file)
    }

    /// Forgets a file with probes: it is found again when a process maps it again.
    pub(crate) fn forget(&mut self, file: FileId) {
        self.known.forget(file);
    }

    /// Whether processes of the program at `path` are wanted.
    pub(crate) fn wants(&self, path: &Path) -> bool {
        self.filter.wants(&path.file_name().unwrap_or_default().to_string_lossy())
    }

    fn pass(&mut self) -> Pass<'_> {
        let first = !self.scanned;
        Pass {
            discovery: self,
            scan: Scan::default(),
            mapped: HashMap::new(),
            seen: HashSet::new(),
            positions: HashMap::new(),
            forbidden: Vec::new(),
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
    let program = if path.exists() { None } else { launch::find_program(path.as_os_str()) };
    let path = program.as_deref().unwrap_or(path);
    let refused = |source| Error::File { path: path.to_owned(), source };
    let file = root::open(path).map_err(refused)?;
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
    /// Looks at the files that the user named. One may be away for a moment, for instance while it is built again.
    fn named(&mut self) {
        for path in self.discovery.filter.files.clone() {
            let file = root::open(&path).and_then(|file| self.file(file, &path));
            self.scan.mapped.extend(file.ok().filter(|file| self.discovery.known.has_probes(*file)));
        }
    }

    /// Looks at one process. It may vanish at any moment, which is not worth a word.
    fn process(&mut self, pid: u32) {
        let folder = process::folder(pid);
        let executable = match fs::read_link(folder.join("exe")) {
            Ok(path) => process::undeleted(&path),
            Err(error) => return self.tell_no_executable(pid, &error),
        };
        if !self.discovery.filter.wants(&executable.file_name().unwrap_or_default().to_string_lossy()) {
            return;
        }
        let mappings = mapping::read(&folder).unwrap_or_default();
        // In most cases it is mapped as well, but it comes first.
        let own = self.link(&folder.join("exe"), &executable).ok();
        let mut files: Vec<(FileId, &[MappedPart])> = Vec::new();
        let root = root::identity(&pid.to_string());
        for mapping in mappings.iter().filter(|mapping| mapping.is_executable()) {
            let key = (root, mapping.file, mapping.path.clone());
            let known = self.mapped.get(&key).copied();
            match known.map_or_else(|| self.mapped_file(&folder, mapping), Ok) {
                Ok(file) => {
                    self.mapped.insert(key, file);
                    files.push((file, &mapping.parts));
                }
                // A device, or the process has ended or begun another program meanwhile.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput || !is_mapped(&folder, mapping) => {
                }
                Err(error) => {
                    self.skip_file(&mapping.path, format!("mapped but cannot be opened: {error}"));
                }
            }
        }
        if let Some(own) = own.filter(|own| files.iter().all(|(file, _)| file != own)) {
            let mapped = mappings.iter().find(|mapping| mapping.path == executable);
            files.push((own, mapped.map_or(&[], |mapping| &mapping.parts)));
        }
        files.retain(|(file, _)| self.discovery.known.has_probes(*file));
        let distinct: BTreeSet<FileId> = files.iter().map(|(file, _)| *file).collect();
        for file in distinct {
            self.scan.pids.insert(pid);
            self.scan.mapped.insert(file);
            if let Some(position) = self.positions.get(&file) {
                self.scan.found[*position].pids.push(pid);
            }
        }
        if !mappings.is_empty() {
            files.into_iter().for_each(|(file, parts)| self.check_view(pid, file, parts));
        }
    }

    /// Tells of probes of a file that the kernel cannot reach in a process, once that was seen twice: the loader maps a file
    /// bit by bit.
    fn check_view(&mut self, pid: u32, file: FileId, parts: &[MappedPart]) {
        let doubt = (pid, file);
        let Some(problem) = view::problem(self.discovery.known.places(file), parts) else {
            self.discovery.doubtful.remove(&doubt);
            return;
        };
        let Some(start_ns) = process::read(pid).map(|process| process.start_ns) else { return };
        if self.discovery.doubtful.get(&doubt) == Some(&start_ns) {
            let path = self.discovery.known.path(file).to_owned();
            // One process is enough to know.
            if self.discovery.told.insert(format!("{file:?} {problem}")) {
                let reason = problem.to_string();
                self.skip(Skipped { kind: SkippedKind::Sites, pid, path, reason, ..Skipped::default() });
            }
        } else if self.discovery.doubtful.len() < MAX_PROBLEMS {
            self.discovery.doubtful.insert(doubt, start_ns);
            self.discovery.doubts.insert(pid);
        }
    }

    /// Tells why a process has no executable, if the user asked for it or anything can be done about it.
    fn tell_no_executable(&mut self, pid: u32, error: &io::Error) {
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        if !self.discovery.filter.pids.contains(&pid) {
            if denied && let Some(name) = self.might_matter(pid) {
                self.forbidden.push((pid, name));
            }
        } else if denied {
            self.skip_process(pid, format!("{error} (needs CAP_SYS_PTRACE)"));
        } else if self.first && Path::new(&format!("/proc/{pid}")).exists() {
            self.skip_process(pid, "has no executable: a kernel thread, or it is ending".to_owned());
        } else if self.first {
            self.skip_process(pid, "does not exist, expected the pid of a running process".to_owned());
        }
    }

    /// The name of a process that may not be looked into, if it might have been recorded: the kernel's own threads run no program,
    /// and of others the name that they have is most likely that of their program, cut to 15 bytes.
    fn might_matter(&self, pid: u32) -> Option<String> {
        let found = process::status(pid).filter(|found| !found.is_kernel_thread)?;
        let is_cut = found.name.len() >= 15;
        (is_cut || self.discovery.filter.wants(&found.name)).then_some(found.name)
    }

    /// Looks at the file of a mapping: the very file through `map_files`, or, without the privilege for that, the one at
    /// its path if that is still the same.
    fn mapped_file(&mut self, folder: &Path, mapping: &Mapping) -> io::Result<FileId> {
        let link = folder.join("map_files").join(&mapping.range);
        self.link(&link, &mapping.path).or_else(|error| {
            let denied = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound);
            let Some(path) = mapping.path.strip_prefix("/").ok().filter(|_| denied) else {
                return Err(error);
            };
            let link = folder.join("root").join(path);
            if fs::metadata(&link)?.ino() == mapping.file.1 {
                self.link(&link, &mapping.path)
            } else {
                Err(error)
            }
        })
    }

    /// Reads the file behind `link` unless it is known; `path` is its name for the user.
    fn link(&mut self, link: &Path, path: &Path) -> io::Result<FileId> {
        if let Some(file) = self.recall(&fs::metadata(link)?) {
            return Ok(file);
        }
        self.file(root::open(link)?, path)
    }

    fn recall(&mut self, facts: &Metadata) -> Option<FileId> {
        let known = &self.discovery.known;
        // What was written just now is read once in each pass.
        let seen = || known.original(known::id(facts)).filter(|_| self.seen.contains(&known::id(facts)));
        let file = known.recall(facts).or_else(seen)?;
        self.seen.extend([known::id(facts), file]);
        Some(file)
    }

    /// Reads an open file unless it is known; `path` is its name for the user.
    fn file(&mut self, file: File, path: &Path) -> io::Result<FileId> {
        let facts = file.metadata()?;
        if let Some(file) = self.recall(&facts) {
            return Ok(file);
        }
        let again = file.try_clone()?;
        let is_wanted = self.discovery.filter.wants_file(&facts);
        let binary = if is_wanted { self.read(file, path) } else { None };
        let (standing, result) = self.discovery.known.enrol(&again, &facts, binary.as_ref());
        if let Err(error) = result {
            let what = "cannot tell whether it is the same file as another one, its events may come twice";
            self.scan.notes.push(format!("{}: {what}: {error}", shown(path)));
        }
        let id = known::id(&facts);
        let original = if let Standing::Seen(original) = standing { original } else { id };
        self.seen.extend([id, original]);
        if let Some(binary) = binary.filter(|_| standing == Standing::New) {
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
                    self.skip_file(path, problem);
                }
                return binary;
            }
            // There may be hundreds of them, and one is enough to know.
            Err(damage @ Damage::Class) => {
                if self.discovery.told.insert(damage.to_string()) {
                    self.skip_file(path, format!("{damage} (further ones are skipped without a word)"));
                }
            }
            Err(damage) => self.skip_file(path, damage.to_string()),
        }
        None
    }

    fn skip_file(&mut self, path: &Path, reason: String) {
        let path = path.to_string_lossy().into_owned();
        self.skip(Skipped { kind: SkippedKind::Files, count: 1, path, reason, ..Skipped::default() });
    }

    fn skip_process(&mut self, pid: u32, reason: String) {
        let count = u64::from(pid != 0);
        self.skip(Skipped { kind: SkippedKind::Processes, count, pid, reason, ..Skipped::default() });
    }

    /// Notes what was not noted before.
    fn skip(&mut self, skipped: Skipped) {
        if self.discovery.told.len() < MAX_PROBLEMS && self.discovery.told.insert(skipped_text(&skipped)) {
            self.scan.skipped.push(skipped);
        }
    }

    fn finish(mut self) -> Scan {
        self.scan.outdated = self.discovery.known.take_outdated();
        let told = &mut self.discovery.told;
        self.forbidden.retain(|(pid, name)| told.insert(format!("forbidden {pid} {name}")));
        if let Some(processes) = listed(&self.forbidden) {
            let note = format!("{processes} cannot be looked into: permission denied (needs CAP_SYS_PTRACE)");
            self.scan.notes.push(note);
        }
        self.scan
    }
}

/// Files that process `pid` maps, as `/proc/PID/maps` names them.
pub(crate) fn mapped_files(pid: u32) -> HashSet<FileId> {
    let mappings = mapping::read(&process::folder(pid)).unwrap_or_default();
    mappings.into_iter().map(|mapping| mapping.file).collect()
}

/// Processes in words, the first few by id and name; `None` if there are none.
fn listed(processes: &[(u32, String)]) -> Option<String> {
    const MAX_LISTED: usize = 8;
    let shown = processes.iter().take(MAX_LISTED).map(|(pid, name)| format!("{pid} ({})", escape(name)));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match processes.len() {
        0 => None,
        1 => Some(format!("process {shown}")),
        count if count <= MAX_LISTED => Some(format!("processes {shown}")),
        count => Some(format!("processes {shown} and {} more", count - MAX_LISTED)),
    }
}

/// Whether the process that `folder` in `/proc` is of still maps the same file at the same place.
fn is_mapped(folder: &Path, mapping: &Mapping) -> bool {
    let mappings = mapping::read(folder).unwrap_or_default();
    mappings.iter().any(|now| now.range == mapping.range && now.file == mapping.file)
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that has ended and whose parent has not asked how keeps its folder in `/proc`.
    #[test]
    fn what_a_process_does_not_map_any_more_is_not_there() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let folder = process::folder(child.id());
        let mappings = loop {
            let mappings = mapping::read(&folder).unwrap();
            if fs::read_link(folder.join("exe")).is_ok_and(|path| path != std::env::current_exe().unwrap())
                && !mappings.is_empty()
            {
                break mappings;
            }
            std::thread::yield_now();
        };
        assert!(is_mapped(&folder, &mappings[0]));
        child.kill().unwrap();
        while is_mapped(&folder, &mappings[0]) {
            std::thread::yield_now();
        }
        assert!(folder.exists());
        child.wait().unwrap();
        assert!(!is_mapped(&folder, &mappings[0]));
    }

    #[test]
    fn processes_are_named_unless_there_are_many() {
        let some = |count: u32| (1..=count).map(|pid| (pid, format!("p{pid}\x1b"))).collect::<Vec<_>>();
        assert_eq!(listed(&some(0)), None);
        assert_eq!(listed(&some(1)).unwrap(), "process 1 (p1\\x1b)");
        assert_eq!(listed(&some(2)).unwrap(), "processes 1 (p1\\x1b), 2 (p2\\x1b)");
        assert!(listed(&some(10)).unwrap().ends_with(", 8 (p8\\x1b) and 2 more"));
    }
}
