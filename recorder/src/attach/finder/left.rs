//! What is left over: files that a process had mapped which has ended by the time they are looked at, and what is not looked at before the
//! end.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracer_format::Skipped;

use crate::attach::finder::attaching::Since;
use crate::attach::finder::{Finder, LAST_LOOKS, MAX_REMEMBERED, Tip};
use crate::attach::hold::Told;
use crate::attach::lookout::Sighting;
use crate::attach::missing;
use crate::drain::queue::Queue;
use crate::drain::{Forked, ProcessEvent, Started};
use crate::error::Result;
use crate::find::discover::LeftFile;
use crate::host::{monotonic_ns, process};
use crate::kernel::mapped::MappedFile;
use crate::site::plan::PlannedSite;

/// How long a file is taken for the one that was found at its path.
const RECENT: Duration = Duration::from_secs(1);

/// Processes that began to run a program or were forked, whether they have ended or not.
#[derive(Debug, Default)]
pub(super) struct BegunProcesses {
    latest: HashMap<u32, Begun>,
    /// Those before, which are forgotten when there are as many again.
    earlier: HashMap<u32, Begun>,
}

/// A process that began to run a program, or was forked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub(super) parent: u32,
    pub(super) is_wanted: bool,
}

impl BegunProcesses {
    pub(super) fn add(&mut self, pid: u32, begun: Begun) {
        if self.latest.len() >= MAX_REMEMBERED {
            self.earlier = std::mem::take(&mut self.latest);
        }
        self.latest.insert(pid, begun);
    }

    /// Whether a process is wanted, if that is known.
    pub(super) fn are_wanted(&self, pid: u32) -> Option<bool> {
        self.get(pid).map(|begun| begun.is_wanted)
    }

    fn parent(&self, pid: u32) -> Option<u32> {
        self.get(pid).map(|begun| begun.parent)
    }

    fn get(&self, pid: u32) -> Option<&Begun> {
        self.latest.get(&pid).or_else(|| self.earlier.get(&pid))
    }
}

/// Files that processes had mapped which ended before these were looked at, and that nothing leads to any more.
#[derive(Debug, Default)]
pub(super) struct LostFiles {
    /// How many, and the path of one.
    count: u64,
    path: PathBuf,
    /// Those of processes of which it is not known yet whether they are recorded, likewise.
    unknown: HashMap<u32, (u64, PathBuf)>,
}

impl LostFiles {
    fn add(&mut self, pid: u32, path: &Path, wanted: Option<bool>) {
        if wanted.is_none() && self.unknown.len() < MAX_REMEMBERED {
            self.unknown.entry(pid).or_insert_with(|| (0, path.to_owned())).0 += 1;
        } else if wanted == Some(true) {
            self.add_wanted(1, path.to_owned());
        }
    }

    fn add_wanted(&mut self, count: u64, path: PathBuf) {
        self.count += count;
        self.path = path;
    }

    /// It is known whether process `pid` is recorded.
    fn settle(&mut self, pid: u32, is_wanted: bool) {
        if let Some((count, path)) = self.unknown.remove(&pid).filter(|_| is_wanted) {
            self.add_wanted(count, path);
        }
    }

    /// What is to be said at the end.
    pub(super) fn take(&mut self) -> Option<Skipped> {
        let count = std::mem::take(&mut self.count);
        (count > 0).then(|| missing::lost(count, &self.path))
    }
}

/// Files that were at a path a moment ago and are known: many processes that live for milliseconds map the same ones.
#[derive(Debug, Default)]
pub(super) struct RecentFiles(HashMap<(u64, PathBuf), Instant>);

impl RecentFiles {
    fn has(&self, file: &MappedFile) -> bool {
        self.0.get(&(file.inode, file.path.clone())).is_some_and(|at| at.elapsed() < RECENT)
    }

    fn add(&mut self, file: &MappedFile) {
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.insert((file.inode, file.path.clone()), Instant::now());
    }
}

impl Finder {
    /// Notes that a process began to run a program, or was forked.
    pub(super) fn note_begun(&mut self, pid: u32, begun: Begun) {
        self.begun.add(pid, begun);
        self.lost.settle(pid, begun.is_wanted);
    }

    /// Notes a process that was forked by one that is recorded.
    pub(super) fn note_forked(&mut self, Forked { pid, parent_pid: parent }: Forked) {
        // Of processes that the user named children are not recorded.
        if self.begun.are_wanted(parent) == Some(true) && !self.options.pids.contains(&parent) {
            self.note_begun(pid, Begun { parent, is_wanted: true });
        }
    }

    /// Looks at a file that a process does not map any more, where its path leads to the same file still.
    pub(super) fn look_at_left(
        &mut self,
        file: &MappedFile,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        let is_any =
            self.options.pids.is_empty() && !self.options.only_admitted && self.discovery.wants_all();
        let is_named = self.options.pids.contains(&file.pid);
        let runs = |executable: PathBuf| self.discovery.wants(&executable);
        let is_wanted = is_any || is_named || process::executable(file.pid).is_ok_and(runs);
        let wanted = if is_wanted { Some(true) } else { self.begun.are_wanted(file.pid) };
        if wanted == Some(false) || self.recent.has(file) {
            return Ok(());
        }
        let inside = file.path.strip_prefix("/").unwrap_or(&file.path);
        let seen_by = |pid: u32| process::folder(pid).join("root").join(inside);
        let others = [file.pid].into_iter().chain(self.begun.parent(file.pid)).map(seen_by);
        let paths: Vec<PathBuf> = [file.path.clone()].into_iter().chain(others).collect();
        match self.discovery.scan_left(&paths, file.inode) {
            LeftFile::Known(known) => {
                known.into_iter().for_each(|known| self.note_known(known, file, wanted.is_some()));
                self.recent.add(file);
            }
            LeftFile::Seen(scan) => {
                let since = Since { pid: file.pid, ns: file.time_ns, is_of_unknown: wanted.is_none() };
                self.attach_late(scan, since, announce, skip)?;
            }
            LeftFile::Gone => self.lost.add(file.pid, &file.path, wanted),
        }
        Ok(())
    }

    /// The responder let so many processes go before they were looked at, or one could not be looked at: of those that began until now it
    /// is said so if something of them may be missing. Where nothing can be told of them, it is said of all.
    pub(super) fn note_released(&mut self, count: u64) {
        let of_unknown = if self.is_inside { count } else { 0 };
        self.unheld.note_released(of_unknown, monotonic_ns());
    }

    /// The end: counts what is not looked at any more, and says what was said of it. A program that was held is none of that: it was
    /// looked at before it ran, or waits still.
    pub(super) fn leave(
        &mut self,
        tips: &Queue<Tip>,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        let holder = self.holder.clone().filter(|_| !self.is_inside);
        let was_held =
            |it: &Started| holder.as_ref().is_some_and(|holder| holder.has_held(it.pid, it.time_ns));
        let (mut left, mut mapped) = (HashSet::new(), HashMap::new());
        while let Some(tip) = tips.pop() {
            match tip {
                Tip::Told(Told::Released(count)) => self.note_released(count),
                Tip::Told(Told::Unseen) => self.note_released(1),
                Tip::Told(Told::Skipped(skipped)) => skip(skipped),
                Tip::Told(Told::Held(_)) => {}
                Tip::Processes(events) => {
                    for event in events {
                        match event {
                            ProcessEvent::Forked(forked) => self.note_forked(forked),
                            ProcessEvent::Started(started) => {
                                // What it or its children map is of a process that is recorded.
                                self.note_started(&started);
                                left.extend(Some(started.pid).filter(|_| !was_held(&started)));
                            }
                        }
                    }
                }
                Tip::Seen(Sighting::Mapped(files)) => {
                    // Of many processes that map one file any tells of it.
                    mapped.extend(files.into_iter().map(|file| ((file.inode, file.path.clone()), file)));
                }
                Tip::Seen(Sighting::Missed) => drop(left.insert(0)),
                Tip::Seen(Sighting::Written(_)) => {}
            }
        }
        let until = Instant::now() + LAST_LOOKS / 3;
        for file in mapped.into_values() {
            if Instant::now() < until {
                self.look_at_left(&file, announce, skip)?;
            } else {
                left.insert(file.pid);
            }
        }
        if !left.is_empty() {
            skip(missing::unseen(left.len() as u64));
        }
        Ok(())
    }
}
