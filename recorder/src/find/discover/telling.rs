//! What a pass tells of what cannot be looked into: nothing twice, and not too much.

use std::path::Path;

use tracer_format::log::skipped_text;
use tracer_format::{Skipped, SkippedKind};

use crate::find::discover::Scan;
use crate::find::discover::pass::Pass;
use crate::find::discover::said::{Saying, listed};
use crate::find::facts::Facts;
use crate::host::process;

impl Pass<'_> {
    /// Tells what is wrong with a file, once, whatever the paths that lead to it.
    pub(super) fn skip_known(&mut self, facts: &Facts, path: &Path, reason: String) {
        if !self.discovery.told.knows(facts, &reason) {
            self.skip_file(path, reason);
        }
    }

    pub(super) fn skip_file(&mut self, path: &Path, reason: String) {
        let path = path.to_string_lossy().into_owned();
        self.skip(Skipped { kind: SkippedKind::Files, count: 1, path, reason, ..Skipped::default() });
    }

    pub(super) fn skip_process(&mut self, pid: u32, reason: String) {
        let count = u64::from(pid != 0);
        self.skip(Skipped { kind: SkippedKind::Processes, count, pid, reason, ..Skipped::default() });
    }

    /// Notes what was not noted before.
    fn skip(&mut self, skipped: Skipped) {
        if self.is_news(self.pid, skipped_text(&skipped)) {
            self.scan.skipped.push(skipped);
        }
    }

    /// Whether a problem of process `pid` is to be told: it was not before, and there are not too many.
    pub(super) fn is_news(&mut self, pid: u32, text: String) -> bool {
        match self.discovery.told.judge(text, || process::owner(pid).user) {
            Saying::Tell => return true,
            Saying::Known => {}
            Saying::Cut(reason) => {
                self.scan.skipped.push(Skipped { kind: SkippedKind::Files, reason, ..Skipped::default() });
            }
        }
        false
    }

    pub(super) fn finish(mut self) -> Scan {
        self.pid = 0;
        self.scan.outdated = self.discovery.known.take_outdated();
        for path in self.discovery.known.take_parted() {
            let reason = "a file that was the same changed, so it is attached to again: what it fires meanwhile is missing";
            self.skip_file(Path::new(&path), reason.to_owned());
        }
        self.discovery.lookers.take_skipped().into_iter().for_each(|skipped| self.skip(skipped));
        let mut forbidden = std::mem::take(&mut self.forbidden);
        forbidden.retain(|(pid, name)| self.is_news(*pid, format!("forbidden {pid} {name}")));
        if let Some(processes) = listed(&forbidden) {
            let note = format!("{processes} cannot be looked into: permission denied (needs CAP_SYS_PTRACE)");
            self.scan.notes.push(note);
        }
        self.scan
    }
}
