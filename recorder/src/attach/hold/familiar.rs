//! Programs that were looked at: as long as neither they nor their libraries change, they run without a second look.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::find::facts::Facts;
use crate::find::look;
use crate::find::root;

/// Programs that are remembered at a time.
const MAX_PROGRAMS: usize = 4096;

/// Files, and what the system said of them.
pub(crate) type MappedStates = Vec<(PathBuf, Facts)>;

/// What was asked for: the file that the kernel has opened, the one that the process has named, and what the environment tells the
/// loader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(super) opened: Facts,
    pub(super) named: Facts,
    pub(super) variables: Vec<OsString>,
    /// Where the process finds its files.
    pub(crate) root: root::Identity,
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
    programs: Mutex<HashMap<Question, MappedStates>>,
}

impl Familiar {
    /// Whether the answer holds for process `pid`: all files are what they were. `ask` tells what the files of that process are.
    pub(crate) fn knows(
        &self,
        question: &Question,
        pid: u32,
        ask: &mut dyn FnMut(u32, &look::Query) -> Option<look::States>,
    ) -> bool {
        let Some(files) = self.programs().get(question).cloned() else { return false };
        let ours = root::identity("self") == question.root;
        let seen = |path: &PathBuf| match path.strip_prefix("/") {
            Ok(inside) if !ours => PathBuf::from(format!("/proc/{pid}/root")).join(inside),
            Ok(_) => path.clone(),
            Err(_) => PathBuf::from(format!("/proc/{pid}/cwd")).join(path),
        };
        let paths = files.iter().map(|(path, _)| seen(path)).collect();
        let Some(states) = ask(pid, &look::Query::States(paths)) else { return false };
        states.into_iter().eq(files.iter().map(|(_, state)| Some(*state)))
    }

    /// Remembers that everything is done for `question`, which maps `files`.
    pub(crate) fn remember(&self, question: Question, files: MappedStates) {
        let mut states = files.iter().map(|(_, state)| state).chain([&question.opened, &question.named]);
        let are_settled = states.all(Facts::is_settled);
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

    fn programs(&self) -> MutexGuard<'_, HashMap<Question, MappedStates>> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
