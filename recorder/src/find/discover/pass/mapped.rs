//! Looking at what processes map.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use tracer_format::{Skipped, SkippedKind};

use crate::find::discover::pass::Pass;
use crate::find::facts::{Facts, FileId};
use crate::find::look::lookers::{MAX_AHEAD, MAX_QUESTIONS};
use crate::find::look::{Query, View};
use crate::find::mapping::{MappedPart, Mapping, view};
use crate::host::process;

/// Processes that are to be looked at twice, at most.
const MAX_DOUBTFUL: usize = 10_000;

/// A process that is looked at.
struct Candidate {
    pid: u32,
    /// Its folder in `/proc`.
    folder: PathBuf,
    executable: PathBuf,
    /// What is asked about it.
    question: Query,
}

impl Pass<'_> {
    /// Looks at processes, one after the other; helpers are ahead of it.
    pub(crate) fn processes(&mut self, pids: &[u32]) {
        let mut asked = VecDeque::new();
        for pids in pids.chunks(MAX_QUESTIONS) {
            let processes: Vec<Candidate> = pids.iter().filter_map(|pid| self.wanted(*pid)).collect();
            self.discovery.lookers.ask_ahead(processes.iter().map(|process| &process.question));
            asked.push_back(processes);
            if asked.len() > MAX_AHEAD {
                asked.pop_front().into_iter().flatten().for_each(|process| self.look(process));
            }
        }
        asked.into_iter().flatten().for_each(|process| self.look(process));
    }

    /// Looks at one process. It may vanish at any moment, which is not worth a word.
    pub(crate) fn process(&mut self, pid: u32) {
        if let Some(process) = self.wanted(pid) {
            self.look(process);
        }
    }

    /// A process, if it is to be looked at.
    fn wanted(&mut self, pid: u32) -> Option<Candidate> {
        match process::program(pid) {
            (folder, Ok(executable)) if self.discovery.wants(&executable) => {
                let question = Query::Process(folder.clone(), executable.clone());
                Some(Candidate { pid, folder, executable, question })
            }
            (_, Ok(_)) => None,
            (_, Err(error)) => {
                self.tell_no_executable(pid, &error);
                None
            }
        }
    }

    fn look(&mut self, process: Candidate) {
        let Candidate { pid, folder, executable, question } = process;
        self.pid = pid;
        let Ok((view, _)) = self.ask::<View>(pid, &question) else { return };
        if view.is_closed {
            return self.tell_no_executable(pid, &io::Error::from_raw_os_error(libc::EACCES));
        }
        let View { root, own: facts, is_read, is_cut, mappings, .. } = view;
        if is_cut {
            self.skip_process(pid, "maps more than is looked at".to_owned());
        }
        // In most cases it is mapped as well, but it comes first.
        let program = facts.as_ref().ok().map(Facts::id);
        let own = facts.and_then(|facts| self.file(pid, (&folder.join("exe"), &executable), &facts)).ok();
        let mut files: Vec<(FileId, &[MappedPart])> = Vec::new();
        for mapping in &mappings {
            let key = (root, mapping.file, mapping.path.clone());
            let known = self.mapped.get(&key).copied();
            if let Some(file) = known.or_else(|| self.still_mapped_file(pid, &question, mapping)) {
                self.mapped.insert(key, file);
                files.push((file, &mapping.parts));
            }
        }
        if let Some(own) = own.filter(|own| files.iter().all(|(file, _)| file != own)) {
            let mapped = mappings.iter().find(|mapping| mapping.path == executable);
            files.push((own, mapped.map_or(&[], |mapping| &mapping.parts)));
        }
        files.retain(|(file, _)| self.discovery.known.has_probes(*file));
        let distinct: BTreeSet<FileId> = files.iter().map(|(file, _)| *file).collect();
        distinct.into_iter().for_each(|file| self.note_mapped(pid, file));
        if let Some(program) = program.filter(|_| is_read) {
            files.into_iter().for_each(|(file, parts)| self.check_view((pid, &folder, program), file, parts));
        }
    }

    /// Whether a process still runs the program that it had before its mappings were looked at, and these were all that it has, rather
    /// than those of a moment in which it began.
    fn is_whole(&mut self, (pid, folder, program): (u32, &Path, FileId)) -> bool {
        let begun = self.ask::<Option<FileId>>(pid, &Query::Begun(folder.to_owned()));
        begun.is_ok_and(|(now, _)| now == Some(program))
    }

    /// Tells of probes of a file that the kernel cannot reach in a process, once that was seen twice: the loader maps a file
    /// bit by bit.
    fn check_view(&mut self, process: (u32, &Path, FileId), file: FileId, parts: &[MappedPart]) {
        let pid = process.0;
        let doubt = (pid, file);
        let Some(problem) = view::problem(self.discovery.known.places(file), parts) else {
            self.discovery.doubtful.remove(&doubt);
            return;
        };
        if !self.is_whole(process) {
            return;
        }
        let Some(start) = process::start(pid) else { return };
        if self.discovery.doubtful.get(&doubt) == Some(&start) {
            let path = self.discovery.known.path(file).to_owned();
            // One process is enough to know.
            if self.is_news(pid, format!("{file:?} {problem}")) {
                let reason = problem.to_string();
                let kind = SkippedKind::Sites;
                self.scan.skipped.push(Skipped { kind, pid, path, reason, ..Skipped::default() });
            }
        } else if self.discovery.doubtful.len() < MAX_DOUBTFUL {
            self.discovery.doubtful.insert(doubt, start);
            self.discovery.doubts.insert(pid);
        } else {
            self.skip_process(0, "too many do not show their files as they should".to_owned());
        }
    }

    /// Whether the process still maps the same file at the same place.
    fn is_mapped(&mut self, pid: u32, question: &Query, mapping: &Mapping) -> bool {
        let is_same = |now: &Mapping| now.range == mapping.range && now.file == mapping.file;
        self.ask::<View>(pid, question).is_ok_and(|(view, _)| view.mappings.iter().any(is_same))
    }

    /// Looks at the file of a mapping. Once more if that fails though the process maps it: another one with the same pid may, such as
    /// a child of the same parent, which has the same addresses.
    fn still_mapped_file(&mut self, pid: u32, question: &Query, mapping: &Mapping) -> Option<FileId> {
        let mut last = None;
        for _ in 0..2 {
            match self.mapped_file(pid, &process::folder(pid), mapping) {
                Ok(file) => return Some(file),
                // A device, or one that does not answer.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::WouldBlock) =>
                {
                    return None;
                }
                Err(error) if self.is_mapped(pid, question, mapping) => last = Some(error),
                // The process has ended, or begun another program.
                Err(_) => return None,
            }
        }
        self.skip_file(&mapping.path, format!("mapped but cannot be opened: {}", last?));
        None
    }
}
