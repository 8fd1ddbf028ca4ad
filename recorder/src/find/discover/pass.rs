//! One pass over some processes: what they map is looked at, each file once.

mod mapped;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::find::binary::{Binary, Contents};
use crate::find::discover::{Discovery, FoundFile, Scan};
use crate::find::facts::{Facts, FileId};
use crate::find::known::Standing;
use crate::find::look::lookers::{Lookers, Reader, Reply};
use crate::find::look::{Found, Query, Reading, Unread};
use crate::find::mapping::Mapping;
use crate::find::root::Identity;
use crate::host::helper::wire::Wire;
use crate::host::process;

/// One pass over some processes.
pub(super) struct Pass<'a> {
    pub(super) discovery: &'a mut Discovery,
    pub(super) scan: Scan,
    /// Files looked at in this pass, as `/proc/PID/maps` names them to processes with the same root and mounts, and the file
    /// that was found there.
    mapped: HashMap<(Identity, FileId, PathBuf), FileId>,
    /// The process that is looked at.
    pub(super) pid: u32,
    /// Files looked at in this pass.
    pub(super) seen: HashSet<FileId>,
    /// Positions in `scan.found`.
    positions: HashMap<FileId, usize>,
    /// Processes that may not be looked into, and might have been recorded: their ids and names.
    pub(super) forbidden: Vec<(u32, String)>,
    /// Whether it is the first pass over all processes.
    first: bool,
    /// The files that the user named, once they were looked for in this pass.
    named: Option<HashSet<FileId>>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(discovery: &'a mut Discovery) -> Self {
        let first = !discovery.scanned;
        Pass {
            discovery,
            scan: Scan::default(),
            mapped: HashMap::new(),
            pid: 0,
            seen: HashSet::new(),
            positions: HashMap::new(),
            forbidden: Vec::new(),
            first,
            named: None,
        }
    }

    /// Takes the lookers, for files that one of them has found for process `pid`; they are to be put back.
    pub(super) fn take_lookers(&mut self, pid: u32) -> Lookers {
        self.pid = pid;
        self.are_named();
        std::mem::take(&mut self.discovery.lookers)
    }

    /// Asks about a file of process `pid`; an error of the kind `WouldBlock` if there is no answer.
    fn ask<A: Wire>(&mut self, pid: u32, question: &Query) -> io::Result<Reply<A>> {
        let answer = self.discovery.lookers.ask(pid, question, None);
        answer.map_err(|_| io::ErrorKind::WouldBlock.into())
    }

    /// Looks at the files that the user named. One may be away for a moment, for instance while it is built again.
    pub(super) fn named(&mut self) {
        for path in self.discovery.filter.files.clone() {
            let file = self.facts(&path).and_then(|facts| self.file(0, (&path, &path), &facts));
            self.scan.mapped.extend(file.ok().filter(|file| self.discovery.known.has_probes(*file)));
        }
    }

    fn facts(&mut self, path: &Path) -> io::Result<Facts> {
        let (found, _) = self.ask::<Found>(0, &Query::Facts(vec![(path.to_owned(), None)]))?;
        Ok(found?.0)
    }

    /// The files that are at the paths that the user named.
    fn are_named(&mut self) -> &HashSet<FileId> {
        if self.named.is_none() {
            let paths = self.discovery.filter.files.clone();
            self.named = Some(paths.iter().filter_map(|path| Some(self.facts(path).ok()?.id())).collect());
        }
        self.named.get_or_insert_default()
    }

    /// Whether this file is wanted: any, or one of those that the user named.
    fn is_wanted(&mut self, facts: &Facts) -> bool {
        self.discovery.filter.files.is_empty() || self.are_named().contains(&facts.id())
    }

    /// Looks at one file that a process maps, behind its link in `map_files`.
    pub(super) fn mapped(&mut self, pid: u32, link: &Path, facts: &Facts) {
        self.pid = pid;
        let named = |path: &Path| fs::read_link(path).map(|path| process::undeleted(&path));
        let (Ok(executable), Ok(path)) = (named(&process::folder(pid).join("exe")), named(link)) else {
            return;
        };
        if !self.discovery.wants(&executable) {
            return;
        }
        // What keeps it from being read is told by the look at the process.
        let file = self.file(pid, (link, &path), facts).ok();
        if let Some(file) = file.filter(|file| self.discovery.known.has_probes(*file)) {
            self.note_mapped(pid, file);
        }
    }

    /// Notes that a process maps a file with requested probes.
    fn note_mapped(&mut self, pid: u32, file: FileId) {
        self.scan.pids.insert(pid);
        self.scan.mapped.insert(file);
        if let Some(position) = self.positions.get(&file) {
            self.scan.found[*position].pids.push(pid);
        }
    }

    /// Tells why a process has no executable, if the user asked for it or anything can be done about it.
    fn tell_no_executable(&mut self, pid: u32, error: &io::Error) {
        if pid == std::process::id() {
            // The recorder itself, which has capabilities that a helper has not.
            return;
        }
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
    fn mapped_file(&mut self, pid: u32, folder: &Path, mapping: &Mapping) -> io::Result<FileId> {
        let mut choices = vec![(folder.join("map_files").join(&mapping.range), None)];
        if let Ok(path) = mapping.path.strip_prefix("/") {
            choices.push((folder.join("root").join(path), Some(mapping.file.1)));
        }
        let (found, _) = self.ask::<Found>(pid, &Query::Facts(choices.clone()))?;
        let (facts, choice) = found?;
        let choice = usize::try_from(choice).ok().and_then(|choice| choices.get(choice));
        let (link, _) = choice.ok_or(io::ErrorKind::InvalidData)?;
        self.file(pid, (link, &mapping.path), &facts)
    }

    fn recall(&mut self, facts: &Facts) -> Option<FileId> {
        let known = &self.discovery.known;
        // What was written just now is read once in each pass.
        let seen = || known.original(facts.id()).filter(|_| self.seen.contains(&facts.id()));
        let file = known.recall(facts).or_else(seen)?;
        self.seen.extend([facts.id(), file]);
        Some(file)
    }

    /// What is known of a file, or that it is not wanted.
    fn without_reading(&mut self, facts: &Facts) -> Option<FileId> {
        if let Some(file) = self.recall(facts) {
            return Some(file);
        }
        if self.is_wanted(facts) {
            return None;
        }
        let _ = self.discovery.known.enrol(facts, None, false);
        self.seen.insert(facts.id());
        Some(facts.id())
    }

    /// Reads the file behind a link unless it is known; the second path is its name for the user.
    pub(super) fn file(
        &mut self,
        pid: u32,
        (link, path): (&Path, &Path),
        facts: &Facts,
    ) -> io::Result<FileId> {
        if let Some(file) = self.without_reading(facts) {
            return Ok(file);
        }
        let (reading, place) = self.ask::<io::Result<Reading>>(pid, &Query::Read(link.to_owned()))?;
        let reading = reading?;
        // It may be another file by now.
        Ok(self.without_reading(&reading.facts).unwrap_or_else(|| self.take(reading, place, path)))
    }

    /// Takes a file that a program will map.
    pub(super) fn launched(&mut self, path: &Path, facts: &Facts, reader: &mut Reader<'_>) {
        if self.without_reading(facts).is_some() {
            return;
        }
        match reader.read() {
            Some((Ok(reading), place)) => drop(self.take(reading, place, path)),
            Some((Err(error), _)) => self.skip_known(facts, path, error.to_string()),
            None => {}
        }
    }

    /// Takes a file that was read.
    fn take(&mut self, reading: Reading, place: Option<OwnedFd>, path: &Path) -> FileId {
        let Reading { facts, is_overlay, is_served, contents } = reading;
        let owner = if is_served { u32::MAX } else { facts.owner };
        let binary = self.binary(contents, &facts, place, path).map(|binary| Binary { owner, ..binary });
        let (standing, result) = self.discovery.known.enrol(&facts, binary.as_ref(), is_overlay);
        if let Err(error) = result {
            let what = "cannot tell whether it is the same file as another one, its events may come twice";
            let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
            let needs = if is_denied { " (needs CAP_SYS_ADMIN)" } else { "" };
            self.skip_known(&facts, path, format!("{what}: {error}{needs}"));
        }
        let id = facts.id();
        let original = if let Standing::Seen(original) = standing { original } else { id };
        self.seen.extend([id, original]);
        if let Some(binary) = binary.filter(|_| standing == Standing::New) {
            self.positions.insert(id, self.scan.found.len());
            self.scan.found.push(FoundFile { binary, pids: Vec::new() });
        }
        original
    }

    /// What was read of a file for the first time, if it has requested sites; tells what is wrong with it.
    fn binary(
        &mut self,
        contents: Result<Option<Contents>, Unread>,
        facts: &Facts,
        place: Option<OwnedFd>,
        path: &Path,
    ) -> Option<Binary> {
        match contents {
            Ok(contents) => {
                let contents = contents?;
                if let Some(problem) = &contents.problem {
                    self.skip_known(facts, path, problem.clone());
                }
                if contents.sites.is_empty() {
                    return None;
                }
                match place {
                    Some(place) => return Binary::of(File::from(place), facts, path, contents),
                    None => {
                        self.discovery.short.push(facts.id());
                        let reason = "no descriptor is left for it (see ulimit -n)";
                        self.skip_known(facts, path, reason.to_owned());
                    }
                }
            }
            // There may be hundreds of them, and one is enough to know.
            Err(Unread { reason, is_of_class: true }) => {
                if self.is_news(self.pid, reason.clone()) {
                    self.skip_file(path, format!("{reason} (further ones are skipped without a word)"));
                }
            }
            Err(Unread { reason, .. }) => self.skip_known(facts, path, reason),
        }
        None
    }
}
