//! Parts: traces that stand in one file one after the other, each with ids of its own (SPEC.md "Several parts").

use super::trace::Trace;
use crate::encode::BlockDecoder;
use crate::error::Damage;
use crate::layout::header::FileHeader;
use crate::limits::{MAX_DEFINITIONS, MAX_DEFINITIONS_WEIGHT, MIN_DEFINITIONS_WEIGHT, WEIGHT_PER_BYTE};
use crate::model::{Definition, HostId, Placed, ProcessId, SiteId, ThreadId};

/// Where a part begins in the file, and its ids in the lists of the whole file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) offset: u64,
    pub(crate) trace_id: u64,
    pub(crate) hosts: u32,
    pub(crate) processes: u32,
    pub(crate) threads: u32,
    pub(crate) sites: u32,
    pub(crate) stages: u32,
    pub(crate) exits: u32,
    pub(crate) skipped: u32,
    pub(crate) gaps: usize,
    pub(crate) clocks: usize,
}

impl Trace<'_> {
    pub(crate) fn begin_part(&mut self, header: &FileHeader, offset: usize) {
        self.end_part();
        self.cuts = None;
        let all = &self.definitions;
        let id = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        self.bases.push(Base {
            offset: offset as u64,
            trace_id: header.trace_id.get(),
            hosts: id(all.hosts.len()),
            processes: id(all.processes.len()),
            threads: id(all.threads.len()),
            sites: id(all.sites.len()),
            stages: id(all.stages.len()),
            exits: id(all.exits.len()),
            skipped: id(all.skipped.len()),
            gaps: self.gaps.len(),
            clocks: self.clocks.len(),
        });
        self.cut_part |= !self.trace_ids.is_empty() && !self.complete;
        self.trace_ids.push(header.trace_id.get());
        self.complete = false;
    }

    /// Another part follows: what refers to definitions that this one lacks must not come to mean the next part's.
    pub(crate) fn end_part(&mut self) {
        self.settle_part();
        let Some(base) = self.bases.last() else { return };
        let all = &mut self.definitions;
        let (hosts, processes, sites) = (all.hosts.len(), all.processes.len(), all.sites.len());
        let host = |id: HostId| if id.index() < hosts { id } else { HostId::NONE };
        let process = |id: ProcessId| if id.index() < processes { id } else { ProcessId::NONE };
        let site = |id: SiteId| if id.index() < sites { id } else { SiteId::NONE };
        all.threads[base.threads as usize..]
            .iter_mut()
            .for_each(|thread| thread.process = process(thread.process));
        all.exits[base.exits as usize..].iter_mut().for_each(|exit| exit.process = process(exit.process));
        all.skipped[base.skipped as usize..].iter_mut().for_each(|skipped| skipped.host = host(skipped.host));
        all.processes[base.processes as usize..]
            .iter_mut()
            .filter(|process| process.host.index() >= hosts && process.host != HostId::NONE)
            // Its host is not known, but the process is.
            .for_each(|process| process.host = HostId(HostId::NONE.0 - 1));
        for gap in &mut self.gaps[base.gaps..] {
            (gap.host, gap.site) = (host(gap.host), site(gap.site));
        }
        self.clocks[base.clocks..].iter_mut().for_each(|anchor| anchor.host = host(anchor.host));
    }

    /// Gaps and clock anchors of a part may stand twice, and damage may have taken some: the longer list has them all.
    pub(crate) fn settle_part(&mut self) {
        let base = self.base();
        if self.gaps.len() - base.gaps < self.restated_gaps.len() {
            self.gaps.truncate(base.gaps);
            self.gaps.append(&mut self.restated_gaps);
        }
        if self.clocks.len() - base.clocks < self.restated_clocks.len() {
            self.clocks.truncate(base.clocks);
            self.clocks.append(&mut self.restated_clocks);
        }
        self.restated_gaps.clear();
        self.restated_clocks.clear();
    }

    pub(crate) fn base(&self) -> Base {
        self.bases.last().copied().unwrap_or_default()
    }

    /// Number of the part that was begun last.
    pub(crate) fn part(&self) -> u32 {
        u32::try_from(self.bases.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Puts a definition of the current part in its place among those of the whole file.
    pub(crate) fn place(
        &mut self,
        id: u32,
        mut definition: Definition,
        weight: usize,
        part_bytes: u64,
    ) -> Result<(), Damage> {
        let base = self.base();
        let first = match &mut definition {
            Definition::Host(_) => base.hosts,
            Definition::Process(process) => {
                process.host = process.host.plus(base.hosts);
                base.processes
            }
            Definition::Thread(thread) => {
                thread.process = thread.process.plus(base.processes);
                base.threads
            }
            Definition::Site(_) => base.sites,
            Definition::Stage(_) => base.stages,
            Definition::Exit(exit) => {
                exit.process = exit.process.plus(base.processes);
                base.exits
            }
            Definition::Cost(_) => 0,
            Definition::Skipped(skipped) => {
                skipped.host = skipped.host.plus(base.hosts);
                base.skipped
            }
        };
        // Writers keep ids below the bytes of the part, so that lists cannot become longer than the file.
        if u64::from(id) >= part_bytes {
            return Err(Damage::Limit { what: "definition id", len: id.into(), max: part_bytes - 1 });
        }
        let limit = |what, len: u64, max: u64| Err(Damage::Limit { what, len, max });
        match self.definitions.place(first.saturating_add(id), definition, MAX_DEFINITIONS) {
            Placed::Known => Ok(()),
            Placed::TooMany => limit("definitions", id.into(), MAX_DEFINITIONS as u64),
            Placed::New => {
                self.definitions_weight += weight as u64;
                let max = MIN_DEFINITIONS_WEIGHT as u64 + WEIGHT_PER_BYTE as u64 * (base.offset + part_bytes);
                let max = max.min(MAX_DEFINITIONS_WEIGHT as u64);
                if self.definitions_weight <= max {
                    return Ok(());
                }
                limit("weight of all definitions", self.definitions_weight, max)
            }
        }
    }

    /// Whether the threads and sites of the block decoded last are defined in its part.
    pub(crate) fn defines(&self, base: &Base, part: u32, decoder: &BlockDecoder) -> bool {
        let next = self.bases.get(part as usize + 1);
        let (threads_end, sites_end) =
            next.map_or((ThreadId::NONE, SiteId::NONE), |next| (ThreadId(next.threads), SiteId(next.sites)));
        let mut threads = decoder.threads.iter().map(|id| id.plus(base.threads));
        let mut sites = decoder.sites.iter().map(|&(id, args)| (id.plus(base.sites), args));
        threads.all(|id| id < threads_end && self.definitions.has_thread(id))
            && sites.all(|(id, args)| id < sites_end && self.definitions.has_site(id, args))
    }
}
