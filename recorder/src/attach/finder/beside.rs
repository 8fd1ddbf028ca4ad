//! Libraries beside those of a program that begins. It may load them only once it runs, so its own files come first; then it
//! waits for these, too, but not for as long as for its own, and what else waits is not kept by them.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracer_format::Skipped;

use crate::attach::finder::{Finder, MAX_REMEMBERED};
use crate::attach::hold::{Answer, MappedStates, Question};
use crate::attach::missing;
use crate::error::Result;
use crate::find::discover::Scan;
use crate::find::facts::{Facts, FileId};
use crate::find::look::lookers::Starting;
use crate::find::root::Identity;
use crate::host::monotonic_ns;
use crate::kernel::mapped::MappedFile;
use crate::site::plan::PlannedSite;

/// How long after it asked a program waits for what lies beside its libraries.
const PATIENCE: Duration = Duration::from_millis(500);
/// Programs whose libraries have others beside them that were not all looked at, at most: each has a helper.
const MAX_BESIDE: usize = 4;

/// A process that waits to run a program.
#[derive(Debug)]
pub(super) struct WaitingProcess {
    /// What it asked, if the answer holds for the next that asks the same.
    pub(super) question: Option<Question>,
    /// The files that the program maps.
    pub(super) states: MappedStates,
    pub(super) answer: Answer,
}

/// What is to be looked at beside the libraries of programs.
#[derive(Debug, Default)]
pub(super) struct BesidePrograms {
    programs: VecDeque<BeginningProgram>,
    /// Files that were attached to while a program that may load them ran, and what is to be said of one that had done so by then.
    late: HashMap<FileId, Skipped>,
}

/// A program that begins.
#[derive(Debug)]
struct BeginningProgram {
    /// The same for those that have the same beside them.
    key: Option<(Vec<u64>, Identity)>,
    launches: VecDeque<Starting>,
    waiting: Vec<WaitingProcess>,
    /// Whether a process runs it already.
    is_running: bool,
    /// What was found so far.
    states: MappedStates,
}

impl BesidePrograms {
    pub(super) fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }
}

impl Finder {
    /// Looks, when there is time, beside the files of a program that were looked at; `waiting` is the process that runs it after that.
    pub(super) fn look_beside(
        &mut self,
        launches: Vec<Starting>,
        waiting: Option<WaitingProcess>,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        if launches.is_empty() {
            self.finish(waiting.into_iter().collect(), &[]);
            return Ok(());
        }
        let root = waiting.as_ref().and_then(|waiting| Some(waiting.question.as_ref()?.root));
        let key = root.map(|root| (launches.iter().map(|launch| launch.identity).collect(), root));
        let programs = &mut self.beside.programs;
        if let Some(program) = programs.iter_mut().find(|program| key.is_some() && program.key == key) {
            program.waiting.extend(waiting);
            launches.into_iter().for_each(|launch| self.discovery.leave(launch));
            return Ok(());
        }
        let is_running = waiting.is_none();
        let waiting = waiting.into_iter().collect();
        let launches = launches.into();
        programs.push_back(BeginningProgram { key, launches, waiting, is_running, states: Vec::new() });
        while self.beside.programs.len() > MAX_BESIDE {
            self.go_on_beside(announce, skip)?;
        }
        Ok(())
    }

    /// Looks at some more files beside those of a program, and lets the processes go that have waited for long enough.
    pub(super) fn go_on_beside(
        &mut self,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        for program in &mut self.beside.programs {
            let before = program.waiting.len();
            program.waiting.retain(|waiting| waiting.answer.age() < PATIENCE);
            program.is_running |= program.waiting.len() < before;
        }
        let Some(mut program) = self.beside.programs.pop_front() else { return Ok(()) };
        if let Some(launch) = program.launches.pop_front() {
            let states = &mut program.states;
            let mut note = |path: &Path, facts: &Facts| states.push((path.to_owned(), *facts));
            let (scan, more) = self.discovery.files_beside(launch, &mut note);
            more.into_iter().for_each(|more| program.launches.push_front(more));
            self.attach_beside(scan, program.is_running, announce, skip)?;
        }
        if program.launches.is_empty() {
            self.finish(program.waiting, &program.states);
        } else {
            self.beside.programs.push_front(program);
        }
        Ok(())
    }

    /// Lets processes go, and remembers that all is done for what they asked.
    fn finish(&self, waiting: Vec<WaitingProcess>, beside: &[(PathBuf, Facts)]) {
        for WaitingProcess { question, mut states, answer } in waiting {
            states.extend(beside.iter().cloned());
            if let (Some(holder), Some(question)) = (&self.holder, question) {
                holder.familiar.remember(question, states);
            }
            drop(answer);
        }
    }

    fn attach_beside(
        &mut self,
        scan: Scan,
        is_running: bool,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        let attached = self.attach_found(scan, announce, skip)?;
        if !is_running {
            return Ok(());
        }
        let now_ns = monotonic_ns();
        let late = &mut self.beside.late;
        for prepared in &attached {
            let count = prepared.sites.iter().filter(|site| site.site.announced).count() as u64;
            if late.len() >= MAX_REMEMBERED {
                late.clear();
            }
            let said = Skipped { count, ..missing::late(&prepared.binary, (0, now_ns)) };
            late.insert((prepared.binary.dev, prepared.binary.ino), said);
        }
        Ok(())
    }

    /// A process, which is known to be recorded or not, has mapped a file that is known: says so if it was attached to after that
    /// only.
    pub(super) fn note_known(&mut self, known: FileId, file: &MappedFile, is_sure: bool) {
        let is_late = |said: &Skipped| file.time_ns < said.until_ns;
        if !self.beside.late.get(&known).is_some_and(is_late) {
            return;
        }
        let Some(said) = self.beside.late.remove(&known) else { return };
        let reason = missing::late_reason(file.time_ns, said.until_ns);
        let said = Skipped { pid: file.pid, from_ns: file.time_ns, reason, ..said };
        self.unheld.add_late((file.time_ns, is_sure), said);
    }
}
