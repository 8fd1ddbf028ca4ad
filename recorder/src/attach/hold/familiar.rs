//! Programs that were looked at: as long as neither they nor their libraries change, they run without a second look.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::find::root;

/// Programs that are remembered at a time.
const MAX_PROGRAMS: usize = 4096;

/// A file that was written so shortly before it was looked at may be written again without a trace: the time of the last change moves on
/// in steps of up to 10 ms.
const UNSETTLED: Duration = Duration::from_millis(50);

/// What tells a file from all others, and from itself after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    pub(crate) fn of(facts: &Metadata) -> Self {
        Self {
            device: facts.dev(),
            inode: facts.ino(),
            size: facts.size(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        }
    }

    /// Whether a change from now on would show.
    pub(crate) fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = |(seconds, nanoseconds): (i64, i64)| {
            Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0))
        };
        // A time in the future says nothing.
        now.checked_sub(changed(self.modified).max(changed(self.changed))).is_some_and(|age| age > UNSETTLED)
    }
}

/// What was asked for: the file that the kernel has opened, the one that the process has named, and what the environment tells the
/// loader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(super) opened: FileState,
    pub(super) named: FileState,
    pub(super) variables: Vec<OsString>,
    /// Where the process finds its files.
    pub(super) root: root::Identity,
}

impl Question {
    /// Whether the process named another file than the one that the kernel has opened.
    pub(super) fn is_of_two(&self) -> bool {
        self.opened != self.named
    }
}

/// Programs that were looked at, with the files that they map.
#[derive(Debug, Default)]
pub(crate) struct Familiar {
    programs: Mutex<HashMap<Question, Vec<(PathBuf, FileState)>>>,
}

impl Familiar {
    /// Whether the answer holds for process `pid`: all files are what they were.
    pub(super) fn knows(&self, question: &Question, pid: u32) -> bool {
        let files = self.programs().get(question).cloned();
        let ours = root::identity("self") == question.root;
        let is_same = |(path, state): &(PathBuf, FileState)| {
            let path = match path.strip_prefix("/") {
                Ok(inside) if !ours => PathBuf::from(format!("/proc/{pid}/root")).join(inside),
                Ok(_) => path.clone(),
                Err(_) => PathBuf::from(format!("/proc/{pid}/cwd")).join(path),
            };
            std::fs::metadata(path).is_ok_and(|facts| FileState::of(&facts) == *state)
        };
        files.is_some_and(|files| files.iter().all(is_same))
    }

    /// Remembers that everything is done for `question`, which maps `files`.
    pub(crate) fn remember(&self, question: Question, files: Vec<(PathBuf, FileState)>) {
        let mut states = files.iter().map(|(_, state)| state).chain([&question.opened, &question.named]);
        let are_settled = states.all(FileState::is_settled);
        drop(states);
        if !are_settled {
            return;
        }
        let mut programs = self.programs();
        if programs.len() >= MAX_PROGRAMS {
            programs.clear();
        }
        programs.insert(question, files);
    }

    /// Forgets all: something was detached.
    pub(crate) fn forget(&self) {
        self.programs().clear();
    }

    fn programs(&self) -> MutexGuard<'_, HashMap<Question, Vec<(PathBuf, FileState)>>> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
