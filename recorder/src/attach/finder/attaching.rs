//! Files with probes that were found become sites that are attached.

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;

use tracer_format::grammar::key_argument;
use tracer_format::{Site, Skipped};

use super::Finder;
use crate::arch::nop;
use crate::attach::links::AttachOutcome;
use crate::attach::missing;
use crate::attach::prepared::{Prepared, in_file};
use crate::error::Result;
use crate::find::binary::{self, Binary};
use crate::find::discover::{FoundFile, Scan};
use crate::find::facts::FileId;
use crate::host::monotonic_ns;
use crate::kernel::link::Place;
use crate::site::plan::{Plan, PlannedSite};

/// Since when a process has had what is found now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Since {
    /// 0: any that maps it.
    pub(super) pid: u32,
    /// CLOCK_MONOTONIC; 0 if it is not known.
    pub(super) ns: u64,
    /// Whether it is not known yet that this process is recorded.
    pub(super) is_of_unknown: bool,
}

impl Since {
    pub(super) fn of(pid: u32, ns: u64) -> Self {
        Self { pid, ns, is_of_unknown: false }
    }
}

impl Finder {
    /// Tells the program of the sites that were found; those that would do harm, to the program or to the other sites, are left out.
    pub(crate) fn prepare(
        &mut self,
        mut found: Vec<FoundFile>,
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<Vec<Prepared>> {
        self.spare(&mut found, skip);
        let mut room = self.program.room() as usize;
        found.retain(|FoundFile { binary, .. }| match self.shares.take(binary, room) {
            Ok(()) => {
                room -= binary.sites.len();
                true
            }
            Err(reason) => {
                skip(Skipped { count: binary.sites.len() as u64, ..in_file(binary, reason) });
                false
            }
        });
        let mut prepared = Vec::with_capacity(found.len());
        for FoundFile { binary, .. } in found {
            let (mut places, mut sites) = (Vec::new(), Vec::new());
            for site in &binary.sites {
                if self.is_harmful(site, &binary, skip) {
                    continue;
                }
                // With -p, all that is recorded runs already.
                if site.semaphore_is_shadowed && self.options.pids.is_empty() {
                    skip(missing::at(site, &binary, missing::SHADOWED.to_owned()));
                }
                let (plan, spec) = Plan::new(&site.arguments, &site.strings);
                let id = self.program.add_site(&spec)?;
                places.push(Place { offset: site.offset, semaphore_offset: site.semaphore_offset, site: id });
                sites.push(PlannedSite { plan, site: self.definition(site, &binary) });
            }
            self.unwaiting(&binary, &places).into_iter().for_each(&mut *skip);
            if !places.is_empty() {
                prepared.push(Prepared { binary, places, sites });
            }
        }
        Ok(prepared)
    }

    /// What is said of sites in a file whose arguments are in memory that is not waited for, though this kernel could.
    fn unwaiting(&self, binary: &Binary, places: &[Place]) -> Option<Skipped> {
        let count = places.iter().filter(|place| self.program.sites.is_of_memory(place.site)).count() as u64;
        let (reason, _) = (count > 0)
            .then(|| self.program.variants.unwaiting())
            .flatten()
            .filter(|(_, is_limit)| !is_limit)?;
        Some(Skipped { count, ..in_file(binary, reason) })
    }

    /// Attaches to files, and says which sites are not recorded, or not whole.
    pub(crate) fn attach(&mut self, prepared: &mut [Prepared], skip: &mut dyn FnMut(Skipped)) {
        let (mut binaries, mut outcomes) = (Vec::new(), Vec::new());
        for Prepared { binary, places, .. } in prepared.iter() {
            binaries.push(((binary.dev, binary.ino), binary.file.as_fd(), &places[..]));
        }
        self.links.attach(&binaries, &mut |index, attached| outcomes.push((index, attached)));
        if let Some(detacher) = self.links.take_stuck() {
            skip(missing::undetached("", detacher));
        }
        for (index, attached) in outcomes {
            let prepared = &mut prepared[index];
            let skipped = match attached {
                Ok(AttachOutcome { refusals, watched }) => {
                    // It may have been written to since it was read.
                    self.is_unsure |= !watched.is_some_and(|facts| self.discovery.is_sure(&facts));
                    prepared.refuse(&refusals)
                }
                Err(reason) => prepared.refuse_all(reason),
            };
            skipped.into_iter().chain(prepared.folded()).for_each(&mut *skip);
        }
    }

    /// Attaches to what was found while recording, before a process runs it.
    pub(super) fn attach_later(
        &mut self,
        scan: Scan,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        self.attach_found(scan, announce, skip).map(drop)
    }

    /// Attaches to what was found while recording, and says of what a process runs already how late that is.
    pub(super) fn attach_late(
        &mut self,
        scan: Scan,
        since: Since,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<()> {
        // Of those it is said that they were written to.
        let outdated: HashSet<FileId> = scan.outdated.iter().copied().collect();
        let by_process = |found: &FoundFile| {
            let file = (found.binary.dev, found.binary.ino);
            let pid = Some(since.pid).filter(|pid| *pid != 0).or(found.pids.first().copied())?;
            (!outdated.contains(&file)).then_some((file, pid))
        };
        let late: HashMap<FileId, u32> = scan.found.iter().filter_map(by_process).collect();
        let attached = self.attach_found(scan, announce, skip)?;
        let now_ns = monotonic_ns();
        for Prepared { binary, sites, .. } in &attached {
            let count = sites.iter().filter(|site| site.site.announced).count() as u64;
            let Some(pid) = late.get(&(binary.dev, binary.ino)).filter(|_| count > 0) else { continue };
            let mapped_ns = if since.ns == 0 { now_ns } else { since.ns };
            let late = missing::late(binary, (since.ns, now_ns));
            let is_sure = !since.is_of_unknown;
            self.unheld.add_late((mapped_ns, is_sure), Skipped { pid: *pid, count, ..late });
        }
        Ok(())
    }

    pub(super) fn attach_found(
        &mut self,
        scan: Scan,
        announce: &mut dyn FnMut(&[PlannedSite]),
        skip: &mut dyn FnMut(Skipped),
    ) -> Result<Vec<Prepared>> {
        scan.skipped.into_iter().for_each(&mut *skip);
        let found = scan.found;
        scan.outdated.into_iter().for_each(|file| self.detach_old(file, true, skip));
        let mut prepared = self.prepare(found, skip)?;
        prepared.iter().for_each(|prepared| announce(&prepared.sites));
        self.attach(&mut prepared, skip);
        Ok(prepared)
    }

    fn is_harmful(&self, site: &binary::Site, binary: &Binary, skip: &mut dyn FnMut(Skipped)) -> bool {
        let hazard = nop::hazard(site.nop).filter(|hazard| hazard.applies_to(self.kernel.0, self.kernel.1));
        let Some(hazard) = hazard else { return false };
        skip(missing::at(site, binary, format!("{hazard}; left out")));
        true
    }

    fn definition(&self, site: &binary::Site, binary: &Binary) -> Site {
        Site {
            provider: site.provider.as_str().into(),
            probe: site.probe.as_str().into(),
            program: binary.program.as_str().into(),
            path: binary.path.to_string_lossy().into(),
            build_id: binary.build_id.as_slice().into(),
            offset: site.offset,
            semaphore_offset: site.semaphore_offset,
            spec: site.spec.as_str().into(),
            args: site.arguments.iter().map(|argument| argument.kind).collect(),
            key_arg: key_argument(&self.options.keys, &site.provider, &site.probe),
            announced: true,
            found_ns: 0,
        }
    }
}
