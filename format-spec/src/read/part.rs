//! Parts: traces that stand in one file one after the other, each with ids of its own (SPEC.md "Several parts").

use std::sync::Arc;

use super::gathering::Gathering;
use crate::encode::Shared;
use crate::error::Damage;
use crate::layout::header::FileHeader;
use crate::limits::{MAX_DEFINITIONS, MAX_DEFINITIONS_WEIGHT, MIN_DEFINITIONS_WEIGHT, WEIGHT_PER_BYTE};
use crate::model::{Definition, HostId, Placed, Process, ProcessId, SiteId};

/// Where a part begins in the file, and its ids in the lists of the whole file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) offset: u64,
    pub(super) trace_id: u64,
    pub(super) hosts: u32,
    pub(super) processes: u32,
    pub(super) threads: u32,
    pub(super) sites: u32,
    pub(super) stages: u32,
    pub(super) exits: u32,
    pub(super) skipped: u32,
    pub(super) gaps: usize,
    pub(super) clocks: usize,
}

impl Gathering {
    pub(super) fn begin_part(&mut self, header: &FileHeader, offset: usize) {
        self.end_part();
        self.cuts = None;
        let all = &self.known.definitions;
        let id = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        self.known.bases.push(Base {
            offset: offset as u64,
            trace_id: header.trace_id.get(),
            hosts: id(all.hosts.len()),
            processes: id(all.processes.len()),
            threads: id(all.threads.len()),
            sites: id(all.sites.len()),
            stages: id(all.stages.len()),
            exits: id(all.exits.len()),
            skipped: self.listed.next,
            gaps: self.known.gaps.len(),
            clocks: self.known.clocks.len(),
        });
        self.cut_part |= !self.known.trace_ids.is_empty() && !self.known.complete;
        self.known.trace_ids.push(header.trace_id.get());
        self.known.complete = false;
    }

    /// Another part follows: what refers to definitions that this one lacks must not come to mean the next part's.
    pub(super) fn end_part(&mut self) {
        self.settle_part();
        let Some(base) = self.known.bases.last() else { return };
        let all = &mut self.known.definitions;
        let (hosts, processes, sites) = (all.hosts.len(), all.processes.len(), all.sites.len());
        let host = |id: HostId| if id.index() < hosts { id } else { HostId::NONE };
        let process = |id: ProcessId| if id.index() < processes { id } else { ProcessId::NONE };
        let site = |id: SiteId| if id.index() < sites { id } else { SiteId::NONE };
        all.threads[base.threads as usize..]
            .iter_mut()
            .for_each(|thread| thread.process = process(thread.process));
        all.exits[base.exits as usize..].iter_mut().for_each(|exit| exit.process = process(exit.process));
        let skipped = all.skipped.iter_mut().skip(base.skipped as usize);
        skipped.for_each(|skipped| skipped.host = host(skipped.host));
        all.processes[base.processes as usize..]
            .iter_mut()
            .filter(|process| process.host.index() >= hosts && process.host != HostId::NONE)
            // Its host is not known, but the process is.
            .for_each(|process| {
                let host = HostId(HostId::NONE.0 - 1);
                *process = self.shared.process(Process { host, ..Process::clone(process) });
            });
        for gap in &mut self.known.gaps[base.gaps..] {
            (gap.host, gap.site) = (host(gap.host), site(gap.site));
        }
        self.known.clocks[base.clocks..].iter_mut().for_each(|anchor| anchor.host = host(anchor.host));
    }

    /// Gaps and clock anchors of a part may stand twice, and damage may have taken some: the longer list has them all.
    pub(super) fn settle_part(&mut self) {
        let base = self.known.base();
        if self.known.gaps.len() - base.gaps < self.restated_gaps.len() {
            self.known.gaps.truncate(base.gaps);
            self.known.gaps.append(&mut self.restated_gaps);
        }
        if self.known.clocks.len() - base.clocks < self.restated_clocks.len() {
            self.known.clocks.truncate(base.clocks);
            self.known.clocks.append(&mut self.restated_clocks);
        }
        self.restated_gaps.clear();
        self.restated_clocks.clear();
    }

    /// Puts a definition of the current part in its place among those of the whole file.
    pub(super) fn place(
        &mut self,
        (id, mut definition): (u32, Definition),
        weight: usize,
        part_bytes: u64,
        shared: &mut Shared,
    ) -> Result<(), Damage> {
        let base = self.known.base();
        let first = match &mut definition {
            Definition::Host(_) => base.hosts,
            Definition::Process(process) => {
                let process = Arc::make_mut(process);
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
        let (all, id_of_all) = (&mut self.known.definitions, first.saturating_add(id));
        let placed = match definition {
            Definition::Skipped(skipped) => self.listed.place(all, id_of_all, skipped, MAX_DEFINITIONS),
            definition => all.place(id_of_all, shared.definition(definition, weight), MAX_DEFINITIONS),
        };
        match placed {
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
}
