//! Files that nothing is attached to for now, because a translator runs them: Valgrind, QEMU's user mode and the like.
//!
//! A translator reads the code of the program that it runs, and with it the breakpoints of probes, which it does not understand: the
//! program would die of SIGTRAP. A breakpoint is in every process that maps the file, so while a translator does, the file is
//! recorded for none.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::attach::hold::is_translator;
use crate::find::discover::Discovery;
use crate::find::facts::FileId;
use crate::host::process;

/// A translator that runs.
pub(super) struct Translator {
    pub(super) pid: u32,
    pub(super) path: PathBuf,
    /// The files that it maps.
    pub(super) files: HashSet<FileId>,
}

impl Translator {
    /// All that run now.
    pub(super) fn all(discovery: &mut Discovery) -> Vec<Self> {
        let pids = process::pids().unwrap_or_default();
        pids.into_iter().filter_map(|pid| Self::of_process(pid, discovery)).collect()
    }

    fn of_process(pid: u32, discovery: &mut Discovery) -> Option<Self> {
        let path = process::executable(pid).ok().filter(|path| is_translator(path))?;
        Some(Self { pid, path, files: discovery.mapped_files(pid) })
    }
}

/// The files, each with the translators that run it.
#[derive(Default)]
pub(super) struct Spared {
    files: HashMap<FileId, HashSet<u32>>,
}

impl Spared {
    /// Spares `file` as long as the translator `pid` runs.
    pub(super) fn add(&mut self, file: FileId, pid: u32) {
        self.files.entry(file).or_default().insert(pid);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether `file` is spared.
    pub(super) fn has(&self, file: FileId) -> bool {
        self.files.contains_key(&file)
    }

    /// Forgets translators that have ended; gives the files that no other one runs.
    pub(super) fn end(&mut self) -> Vec<FileId> {
        let mut ended = Vec::new();
        self.files.retain(|file, pids| {
            pids.retain(|pid| process::executable(*pid).is_ok_and(|path| is_translator(&path)));
            if pids.is_empty() {
                ended.push(*file);
            }
            !pids.is_empty()
        });
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_spared_as_long_as_a_translator_runs() {
        let mut spared = Spared::default();
        spared.add((1, 2), std::process::id());
        assert!(spared.has((1, 2)) && !spared.has((2, 1)));
        // This process is no translator.
        assert_eq!(spared.end(), [(1, 2)]);
        assert!(!spared.has((1, 2)));
    }
}
