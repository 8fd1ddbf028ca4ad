//! What is left over: files that a process had mapped which has ended by the time they are looked at, and what is not looked at before the
//! end.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracer_format::Skipped;

use crate::attach::finder::attaching::Since;
use crate::attach::finder::{Finder, MAX_REMEMBERED, Tip};
use crate::attach::hold::Told;
use crate::attach::missing;
use crate::drain::queue::Queue;
use crate::error::Result;
use crate::find::discover::LeftFile;
use crate::host::{monotonic_ns, process};
use crate::kernel::mapped::MappedFile;
use crate::site::plan::PlannedSite;

/// How long a file is taken for the one that was found at its path.
const RECENT: Duration = Duration::from_secs(1);

/// Processes that began to run a program, whether they have ended or not.
#[derive(Debug, Default)]
pub(super) struct BegunProcesses(HashMap<u32, Begun>);

/// A process that began to run a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub(super) parent: u32,
    pub(super) is_wanted: bool,
}

impl BegunProcesses {
    pub(super) fn add(&mut self, pid: u32, begun: Begun) {
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.insert(pid, begun);
    }

    /// Whether a process is wanted, if that is known.
    pub(super) fn are_wanted(&self, pid: u32) -> Option<bool> {
        self.0.get(&pid).map(|begun| begun.is_wanted)
    }

    fn parent(&self, pid: u32) -> Option<u32> {
        self.0.get(&pid).map(|begun| begun.parent)
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
    /// Looks at a file that a process had mapped which has ended, where its path leads to the same file still.
    pub(super) fn look_at_left(
        &mut self,
        file: &MappedFile,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        let is_any =
            self.options.pids.is_empty() && !self.options.only_admitted && self.discovery.wants_all();
        let is_wanted = is_any || self.options.pids.contains(&file.pid);
        let wanted = if is_wanted { Some(true) } else { self.begun.are_wanted(file.pid) };
        if wanted == Some(false) || self.recent.has(file) {
            return Ok(());
        }
        let inside = file.path.strip_prefix("/").unwrap_or(&file.path);
        let by_parent = |parent: u32| process::folder(parent).join("root").join(inside);
        let paths: Vec<PathBuf> =
            [file.path.clone()].into_iter().chain(self.begun.parent(file.pid).map(by_parent)).collect();
        match self.discovery.scan_left(&paths, file.inode) {
            LeftFile::Known => self.recent.add(file),
            LeftFile::Seen(scan) => {
                let since = Since { pid: file.pid, ns: file.time_ns, is_of_unknown: wanted.is_none() };
                self.attach_late(scan, since, announce, skip)?;
            }
            LeftFile::Gone if wanted == Some(true) => {
                let (count, _) = self.lost.get_or_insert_with(|| (0, file.path.clone()));
                *count += 1;
            }
            LeftFile::Gone => {}
        }
        Ok(())
    }

    /// Counts processes that were not held for as long as it took, or could not be looked at.
    pub(super) fn count(&mut self, told: &Told, skip: &mut dyn FnMut(Skipped)) {
        if let Told::Released(count) = told {
            self.unheld.counted(monotonic_ns());
            skip(missing::released(*count));
        } else {
            skip(missing::released(1));
        }
    }

    /// The end: counts what is not looked at any more, and says what was said of it.
    pub(super) fn leave(&mut self, tips: &Queue<Tip>, skip: &mut dyn FnMut(Skipped)) {
        let mut left = 0;
        while let Some(tip) = tips.pop() {
            match tip {
                Tip::Told(told @ (Told::Released(_) | Told::Unseen)) => self.count(&told, skip),
                Tip::Told(Told::Skipped(skipped)) => skip(skipped),
                Tip::Told(Told::Held(_)) | Tip::Started(_) | Tip::Seen(_) => left += 1,
            }
        }
        if left > 0 {
            skip(missing::unseen(left));
        }
    }

    /// The files that nothing led to any more, at the end.
    pub(super) fn lost(&mut self) -> Option<Skipped> {
        self.lost.take().map(|(count, path)| missing::lost(count, &path))
    }
}
