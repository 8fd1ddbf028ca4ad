//! Programs that begin: what is looked at, and attached to, before they run or as soon as they do.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_format::Skipped;

use crate::attach::agenda::Agenda;
use crate::attach::finder::attaching::Since;
use crate::attach::finder::beside::WaitingProcess;
use crate::attach::finder::left::Begun;
use crate::attach::finder::{Finder, MAX_REMEMBERED};
use crate::attach::hold::{AboutToRun, Held, Holder, is_translator};
use crate::attach::missing;
use crate::attach::spared::Translator;
use crate::drain::Started;
use crate::error::Result;
use crate::find::discover::FoundFile;
use crate::find::facts::Facts;
use crate::find::look::Start;
use crate::find::look::lookers::Silence;
use crate::host::{monotonic_ns, process};
use crate::site::plan::PlannedSite;

/// When a process is looked at again after it began to run a program: its loader maps libraries meanwhile.
const AGAIN: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(2), Duration::from_millis(10), Duration::from_millis(50)];
/// How long what was seen of a program holds for its next process.
const REMEMBERED: Duration = Duration::from_secs(1);

/// The path that a process gave for its program; a relative one most likely counts from its parent's folder.
fn given_path(started: &Started) -> PathBuf {
    Path::new(&format!("/proc/{}/cwd", started.parent_pid)).join(&started.path)
}

/// What was seen of a program that began.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// It has probes that were not attached to when it began.
    New,
    /// It has none, or they were.
    Known,
    /// It is no program that is recorded, or its file is not where it was said to be.
    Gone,
}

/// A process that began to run a program.
pub(super) struct Beginner {
    /// Path of the program.
    path: PathBuf,
    /// Whether it has ended, and was one of those that are recorded.
    is_over: bool,
    /// Whether it is, or was, one of the processes that are recorded.
    is_looked_at: bool,
    /// Whether its program is among those, too.
    is_wanted: bool,
}

impl Finder {
    /// Looks at a process that began to run a program.
    pub(super) fn look_at_started(
        &mut self,
        started: &Started,
        agenda: &mut Agenda,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        let pid = started.pid;
        let has_held = |holder: &Arc<Holder>| holder.has_held(pid, started.time_ns);
        // Of another pid than this process sees nothing can be told.
        let is_held = self.is_inside || self.holder.as_ref().is_none_or(has_held);
        if let Some(holder) = self.holder.as_ref().filter(|_| !is_held) {
            // On something that was mounted just now, where no process tells of it: the next one there is held.
            holder.look_at_mounts(pid);
        }
        if self.holder.is_none() && self.is_wanted(pid) {
            self.widen(announce, skip)?;
        }
        let Beginner { path, is_over, is_looked_at, is_wanted } = self.note_started(started);
        if !is_wanted {
            self.unheld.forget(pid, started.time_ns);
        }
        let look =
            if is_looked_at { self.look_at_program(started, agenda, announce, skip)? } else { Look::Known };
        let is_new = self.unheld.was_seen(pid, started.time_ns) || look == Look::New;
        let is_missed = is_new || is_over && (look == Look::Gone || started.is_nameless());
        if !is_held {
            let unheld = is_missed.then(|| missing::unheld(pid, &path));
            self.unheld.add(pid, started.time_ns, unheld);
        }
        Ok(())
    }

    /// Notes that a process began to run a program, and tells what is known of it.
    pub(super) fn note_started(&mut self, started: &Started) -> Beginner {
        let (pid, parent) = (started.pid, started.parent_pid);
        // In this order: one that ends is among the wanted no more a moment after that shows.
        let is_still_wanted = self.is_wanted(pid);
        let is_of_wanted = self.is_wanted(parent)
            || parent == std::process::id()
            || self.begun.are_wanted(parent).unwrap_or(false);
        let is_over = is_of_wanted && process::is_ending(pid);
        let is_looked_at = is_still_wanted || is_over;
        let path = process::executable(pid).unwrap_or_else(|_| started.path.clone());
        let is_wanted = is_looked_at && self.discovery.wants(&path);
        self.note_begun(pid, Begun { parent, is_wanted });
        Beginner { path, is_over, is_looked_at, is_wanted }
    }

    /// Looks at the program that a process began to run, unless that was looked at just now.
    fn look_at_program(
        &mut self,
        started: &Started,
        agenda: &mut Agenda,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<Look> {
        let (pid, now) = (started.pid, Instant::now());
        // It may be gone already, or not have its new name yet; another one will be of the same file.
        let executable = process::executable(pid).unwrap_or_default();
        let path = if executable.as_os_str().is_empty() { given_path(started) } else { executable };
        let Some(launch) = self.discovery.launch(pid, &path) else { return Ok(Look::Gone) };
        let identity = launch.identity;
        let known = self.looked.get(&identity).filter(|(at, _)| now.duration_since(*at) < REMEMBERED);
        if let Some((_, attached_ns)) = known {
            self.discovery.leave(launch);
            return Ok(if started.time_ns < *attached_ns { Look::New } else { Look::Known });
        }
        if self.looked.len() >= MAX_REMEMBERED {
            self.looked.clear();
        }
        let mut files = Vec::new();
        let (scan, beside) = self.discovery.own_files(launch, &mut |_, facts| files.push(facts.id()));
        let is_new = !scan.found.is_empty();
        if self.holder.is_some() {
            self.attach_later(scan, announce, skip)?;
        } else {
            self.attach_late(scan, Since::of(pid, started.time_ns), announce, skip)?;
        }
        // Of some it was so late because of another process.
        let attached = files.into_iter().filter_map(|file| self.links.since(self.discovery.original(file)));
        let attached_ns = attached.max().unwrap_or(0);
        self.looked.insert(identity, (now, attached_ns));
        self.look_beside(beside.into_iter().collect(), None, announce, skip)?;
        AGAIN.into_iter().for_each(|after| agenda.look(pid, after));
        Ok(if is_new || started.time_ns < attached_ns { Look::New } else { Look::Known })
    }

    /// Looks at a process that waits to run a program, which it does after that.
    pub(super) fn look_at_held(
        &mut self,
        held: Held,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        if is_translator(&held.programs[0].path) {
            if self.links.reach(held.pid) {
                self.make_way(&held, skip);
            }
            return Ok(());
        }
        if held.is_by_other_thread && self.is_wanted(held.pid) {
            self.widen(announce, skip)?;
        }
        let is_wanted = held.programs.iter().any(|program| self.discovery.wants(&program.path));
        if !is_wanted || !self.is_wanted(held.pid) || self.is_familiar(&held) {
            return Ok(());
        }
        let Held { pid, programs, variables, question, mut answer, .. } = held;
        let (mut states, mut beside) = (Vec::new(), Vec::new());
        let mut is_whole = true;
        for AboutToRun { path, file, arguments } in programs {
            let start = Start::Waiting(pid, path.clone(), (arguments, variables.clone()));
            let launch = match self.discovery.waiting(start, file.as_fd()) {
                Ok(launch) => launch,
                Err(silence) => {
                    is_whole = false;
                    match silence {
                        Silence::Waiting => skip(missing::unheld(pid, &path)),
                        // Looked at once it runs.
                        Silence::Silent => answer.is_seen = false,
                    }
                    continue;
                }
            };
            let mut note = |path: &Path, facts: &Facts| states.push((path.to_owned(), *facts));
            let (scan, next) = self.discovery.own_files(launch, &mut note);
            self.attach_later(scan, announce, skip)?;
            beside.extend(next);
        }
        let waiting = WaitingProcess { question: question.filter(|_| is_whole), states, answer };
        self.look_beside(beside, Some(waiting), announce, skip)
    }

    /// Whether what a process waits to run was looked at since it asked, for another one that asked the same.
    fn is_familiar(&mut self, held: &Held) -> bool {
        let (Some(holder), Some(question)) = (&self.holder, &held.question) else { return false };
        let discovery = &mut self.discovery;
        holder.familiar.knows(question, held.pid, &mut |pid, question| discovery.states(pid, question))
    }

    /// Attaches for all processes, where it was for some alone; the program records those alone all the same. To be called when
    /// one of them runs a program from a thread that is not its first, or may do so.
    pub(super) fn widen(
        &mut self,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        let from_ns = monotonic_ns();
        let files = self.links.widen();
        if files.is_empty() {
            return Ok(());
        }
        files.into_iter().for_each(|file| self.discovery.forget(file));
        self.holder.iter().for_each(|holder| holder.familiar.forget());
        let scan = self.scan();
        self.attach_later(scan, announce, skip)?;
        skip(missing::widened((from_ns, monotonic_ns())));
        Ok(())
    }

    /// Detaches from what a translator is about to run.
    fn make_way(&mut self, held: &Held, skip: &mut dyn FnMut(Skipped)) {
        let translator = &held.programs[0].path;
        let arguments = held.programs.last().map_or(&[][..], |program| &program.arguments);
        for word in arguments {
            for (path, file) in self.discovery.of_argument(held.pid, word, &held.variables) {
                self.spared.add(file, held.pid);
                if self.links.remove(&file) {
                    skip(missing::spared(&path, translator, held.pid));
                }
            }
        }
        if let Some(holder) = &self.holder {
            holder.familiar.forget();
        }
    }

    /// Leaves out the files that a translator runs.
    pub(super) fn spare(&mut self, found: &mut Vec<FoundFile>, skip: &mut dyn FnMut(Skipped)) {
        if found.is_empty() {
            return;
        }
        for Translator { pid, path, files } in Translator::all(&mut self.discovery) {
            if !self.links.reach(pid) {
                continue;
            }
            for FoundFile { binary, .. } in found.iter() {
                let file = (binary.dev, binary.ino);
                if files.contains(&file) {
                    self.spared.add(file, pid);
                    skip(missing::spared(&binary.path, &path, pid));
                }
            }
        }
        found.retain(|FoundFile { binary, .. }| !self.spared.has((binary.dev, binary.ino)));
    }
}
