//! Finds the probes of running processes: their executables and the shared libraries that they map, each file once.
//!
//! Files are opened through `/proc/PID`, so that those of other mount namespaces and those that were deleted or replaced
//! are found as well. Processes come and go meanwhile and some cannot be read: neither ends a scan. A second scan looks
//! only into files that are new or were changed.

mod left;
mod named;
mod pass;
mod programs;
mod said;
mod telling;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracer_format::Skipped;
use tracer_format::grammar::{ProgramPattern, Request};
use tracer_format::log::escape;

use crate::find::binary::Binary;
use crate::find::discover::pass::Pass;
use crate::find::discover::said::Said;
use crate::find::facts::{Facts, FileId};
use crate::find::known::KnownFiles;
use crate::find::look::lookers::Lookers;
use crate::find::look::{Found, MappedFiles, Query, States};
use crate::host::process;

pub(crate) use crate::find::discover::left::LeftFile;
pub use crate::find::discover::named::file;

/// How often what waits for an answer is asked for again, where nothing looks again later.
const MAX_ROUNDS: usize = 8;

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

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// Nothing: the process maps a file that is known, the one with this number.
    Known(FileId),
    /// A file that a process maps.
    File,
    /// All that it maps.
    Process,
}

/// Looks for probes again and again, and remembers what it has seen.
#[derive(Debug)]
pub struct Discovery {
    filter: Filter,
    known: KnownFiles,
    /// Files with requested probes that no descriptor was left for.
    short: Vec<FileId>,
    lookers: Lookers,
    told: Said,
    /// Processes that did not show a file as it should be seen, when they were last looked at: they may have been loading it.
    /// With the clock tick at which each began: a number may be that of another process by the next look.
    doubtful: HashMap<(u32, FileId), u64>,
    /// The processes among them that are to be looked at once more.
    doubts: BTreeSet<u32>,
    /// Files that were known after the last look at all processes.
    kept: usize,
    /// Whether all processes were looked at before; those that the user named may end after that.
    scanned: bool,
}

impl Discovery {
    /// Starts with nothing seen.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Discovery {
            lookers: Lookers::new(filter.requests.clone()),
            filter,
            known: KnownFiles::default(),
            short: Vec::new(),
            told: Said::default(),
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
        for _ in 0..MAX_ROUNDS {
            if !self.lookers.is_waiting() {
                break;
            }
            self.settle();
            scan.extend(self.scan());
        }
        let doubts = self.take_doubts();
        if !doubts.is_empty() {
            std::thread::sleep(SETTLING);
            doubts.into_iter().for_each(|pid| scan.extend(self.scan_process(pid)));
        }
        scan.skipped.extend(self.close());
        scan
    }

    /// The processes that did not show their files as they should be seen, and are to be looked at again in a moment.
    pub(crate) fn take_doubts(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.doubts)
    }

    /// Waits for files that do not answer at once, for a short time. What had an answer is seen by the next look.
    pub(crate) fn settle(&mut self) {
        self.lookers.settle();
    }

    /// Whether something is to be asked for again.
    pub(crate) fn is_waiting(&self) -> bool {
        self.lookers.is_waiting()
    }

    /// Gives up on what has not answered yet; tells how many problems were not named.
    pub(crate) fn close(&mut self) -> Vec<Skipped> {
        let mut skipped = self.lookers.close();
        skipped.extend(self.told.close());
        skipped
    }

    /// Looks at these processes, whatever the filter's pids are.
    pub fn scan_processes(&mut self, pids: Vec<u32>) -> Scan {
        self.scan_listed(Ok(pids))
    }

    fn scan_listed(&mut self, listed: io::Result<Vec<u32>>) -> Scan {
        let mut pass = Pass::new(self);
        pass.named();
        match listed {
            Ok(mut pids) => {
                pids.sort_unstable();
                pids.dedup();
                pass.discovery.doubtful.retain(|(pid, _), _| pids.binary_search(pid).is_ok());
                pass.processes(&pids);
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
        let mut pass = Pass::new(self);
        pass.process(pid);
        pass.finish()
    }

    /// Looks at the file that a process maps there, unless it is one that is known. How the process maps it is seen by a look at the
    /// process in a moment, or by this one already, if the file does not show: tells which.
    pub(crate) fn scan_mapped(&mut self, pid: u32, (start, end): (u64, u64)) -> (Scan, Looked) {
        let link = process::folder(pid).join(format!("map_files/{start:x}-{end:x}"));
        match self.lookers.ask::<Found>(pid, &Query::Facts(vec![(link.clone(), None)]), None) {
            Ok((Ok((facts, _)), _)) => {
                if let Some(file) = self.known.recall(&facts) {
                    return (Scan::default(), Looked::Known(file));
                }
                // At once: what the process fires until it is attached to is missing.
                let mut pass = Pass::new(self);
                pass.mapped(pid, &link, &facts);
                (pass.finish(), Looked::File)
            }
            // It may map it no more, or this process may not follow the link: then all that it maps is looked at.
            _ => (self.scan_process(pid), Looked::Process),
        }
    }

    /// Looks at the files that the user named, and at no process.
    pub(crate) fn scan_named(&mut self) -> Scan {
        let mut pass = Pass::new(self);
        pass.named();
        pass.finish()
    }

    /// Whether files were named.
    pub(crate) fn has_named(&self) -> bool {
        !self.filter.files.is_empty()
    }

    /// Files with requested probes that no descriptor was left for since this was last asked.
    pub(crate) fn take_short(&mut self) -> Vec<FileId> {
        std::mem::take(&mut self.short)
    }

    /// Whether so many files were looked at since the last look at all processes that those that are gone should be forgotten.
    pub(crate) fn is_crowded(&self) -> bool {
        self.known.len() > self.kept + MAX_FRESH
    }

    /// Files that process `pid` maps, as `/proc/PID/maps` names them.
    pub(crate) fn mapped_files(&mut self, pid: u32) -> HashSet<FileId> {
        let answer = self.lookers.ask::<MappedFiles>(pid, &Query::Mapped(process::folder(pid)), None);
        answer.map(|(files, _)| files.into_iter().collect()).unwrap_or_default()
    }

    /// What a looker answers to a question for the states of files of process `pid`.
    pub(crate) fn states(&mut self, pid: u32, question: &Query) -> Option<States> {
        Some(self.lookers.ask(pid, question, None).ok()?.0)
    }

    /// Whether a file is as it was when it was read, and a change since would show.
    pub(crate) fn is_sure(&self, facts: &Facts) -> bool {
        self.known.is_sure(facts)
    }

    /// Whether a file with probes is another one now than when it was read. It is, where it cannot be found any more.
    pub(crate) fn has_changed(&mut self, file: FileId) -> bool {
        let Some((facts, place)) = self.known.probed(file) else { return false };
        let asked = self.lookers.ask::<io::Result<Facts>>(0, &Query::Place(file), place);
        !matches!(asked, Ok((Ok(now), _)) if now == *facts)
    }

    /// The file that this one is a path to.
    pub(crate) fn original(&self, file: FileId) -> FileId {
        self.known.original(file).unwrap_or(file)
    }

    /// Path of a file with probes, as it was found.
    pub(crate) fn path(&self, file: FileId) -> &str {
        self.known.path(file)
    }

    /// Forgets a file with probes: it is found again when a process maps it again.
    pub(crate) fn forget(&mut self, file: FileId) {
        self.known.forget(file);
    }

    /// Forgets all without freeing it, for the end of the process: there may be hundreds of thousands of sites.
    pub(crate) fn leak(&mut self) {
        std::mem::forget(std::mem::take(&mut self.known));
    }

    /// Whether processes of all programs are wanted.
    pub(crate) fn wants_all(&self) -> bool {
        self.filter.programs.is_empty()
    }

    /// Whether processes of the program at `path` are wanted.
    pub(crate) fn wants(&self, path: &Path) -> bool {
        self.filter.wants(&path.file_name().unwrap_or_default().to_string_lossy())
    }
}

pub(super) fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}
