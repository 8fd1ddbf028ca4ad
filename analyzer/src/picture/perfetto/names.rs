//! NameUse, which stand in the trace once: events refer to them by id.

use std::sync::Arc;

use tracer_format::Definitions;

use super::event::{Category, Name};
use super::machine::MONOTONIC;
use super::packet::{NameUse, push_packet};
use super::wire::{push_message, push_text, push_uint};
use crate::analysis::hand_off_name;
use crate::pair::{Class, Edge};
use crate::picture::irregular_name;
use crate::stage::Stage;

/// NameUse of events. Ids are positions, from 1 on: probes by site, stages, their irregular
/// spans by class, ways between stages.
#[derive(Debug)]
pub(super) struct Interned {
    names: Vec<Arc<str>>,
    sites: usize,
    stages: usize,
}

/// The id of the name of a site's probe.
pub(super) fn probe(site: usize) -> u64 {
    (1 + site) as u64
}

impl Interned {
    pub(super) fn new(definitions: &Definitions, stages: &[Stage], ways: &[(Edge, Edge)]) -> Self {
        let mut names: Vec<Arc<str>> = definitions.sites.iter().map(|site| site.probe.clone()).collect();
        names.extend(stages.iter().map(|stage| stage.name.as_str().into()));
        for stage in stages {
            names.extend(Class::ALL.iter().map(|class| irregular_name(&stage.name, *class).into()));
        }
        names.extend(ways.iter().map(|&(from, to)| hand_off_name(from, to, stages).into()));
        Self { names, sites: definitions.sites.len(), stages: stages.len() }
    }

    pub(super) fn stage(&self, stage: usize) -> u64 {
        (1 + self.sites + stage) as u64
    }

    pub(super) fn irregular(&self, stage: usize, class: Class) -> u64 {
        (1 + self.sites + self.stages + stage * Class::ALL.len() + class as usize) as u64
    }

    /// Ids of the ways, in the order in which they were given.
    pub(super) fn hand_offs(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.irregular(self.stages, Class::ALL[0]);
        first..=self.names.len() as u64
    }

    /// Appends the packet that everything after it refers to: names, and the clock of its times.
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        let push_names = |out: &mut Vec<u8>, field: u32, names: &mut dyn Iterator<Item = &str>| {
            for (id, name) in (1..).zip(names) {
                push_message(out, field, |out| {
                    push_uint(out, 1, id);
                    push_text(out, 2, name);
                });
            }
        };
        push_packet(out, NameUse::Begin, |out| {
            push_message(out, 59, |out| push_uint(out, 58, MONOTONIC));
            push_message(out, 12, |out| {
                push_names(out, 1, &mut Category::NAMES.into_iter());
                push_names(out, 2, &mut self.names.iter().map(|name| &**name));
                let annotations: Vec<String> = Name::all().collect();
                push_names(out, 3, &mut annotations.iter().map(String::as_str));
            });
        });
    }
}
