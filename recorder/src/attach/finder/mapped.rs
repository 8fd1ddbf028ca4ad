//! Files that processes map while they run.

use std::collections::HashMap;
use std::time::Duration;

use tracer_format::Skipped;

use crate::attach::agenda::Agenda;
use crate::attach::finder::Finder;
use crate::attach::finder::attaching::Since;
use crate::error::Result;
use crate::find::discover::Looked;
use crate::host::{monotonic_ns, process};
use crate::kernel::mapped::MappedFile;
use crate::site::plan::PlannedSite;

/// Files of one process that are looked at on their own, of those that are told at a time.
const MAX_SINGLE_FILES: usize = 16;
/// A loader maps a file bit by bit: what it has mapped is looked at again after this time.
pub(super) const SETTLING: Duration = Duration::from_millis(50);

impl Finder {
    /// Looks at files that processes have mapped.
    pub(super) fn look_at_mapped(
        &mut self,
        files: Vec<MappedFile>,
        agenda: &mut Agenda,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        // A process that maps very many is looked at as a whole.
        let mut looks: HashMap<u32, usize> = HashMap::new();
        for file in files {
            self.unheld.mapped(&file);
            let count = looks.entry(file.pid).or_default();
            if *count == MAX_SINGLE_FILES {
                continue;
            }
            let is_seen = self.is_wanted(file.pid) && !process::is_gone(file.pid);
            let looked = is_seen.then(|| self.discovery.scan_mapped(file.pid, file.range));
            if let Some((_, Looked::Known(known))) = looked {
                self.note_known(known, &file, true);
            }
            let looked = looked.filter(|(_, what)| !matches!(what, Looked::Known(_)));
            let is_found = looked.as_ref().is_some_and(|(scan, _)| !scan.found.is_empty());
            // It may map it no more, and run on.
            let is_whole = looked.as_ref().is_some_and(|(_, what)| *what == Looked::Process);
            if !is_found && (is_whole || process::is_gone(file.pid)) {
                self.look_at_left(&file, announce, skip)?;
            }
            let Some((scan, what)) = looked else { continue };
            *count = if what == Looked::Process { MAX_SINGLE_FILES } else { *count + 1 };
            if !scan.found.is_empty() {
                self.unheld.seen(file.pid, monotonic_ns());
            }
            self.attach_late(scan, Since::of(file.pid, file.time_ns), announce, skip)?;
            agenda.look_again(file.pid, SETTLING);
        }
        Ok(())
    }
}
