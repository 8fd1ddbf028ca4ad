//! What happened to one buffer between its events: the work of a stage, or the wait from one to the next, and which process handed
//! it on.

use tracer_format::log::escape;
use tracer_format::{Definitions, ProcessId, SiteId};

use super::medians::Medians;
use crate::analysis::hand_off_name;
use crate::pair::{Edge, Side};
use crate::report::{counted, duration, in_order};
use crate::stage::{Role, Roles};

/// Follows a buffer from event to event.
pub(super) struct LifeLog<'s> {
    medians: &'s Medians,
    roles: Roles<'s>,
    first_ns: Option<u64>,
    last: Option<LifeEvent>,
    events: u64,
    work_ns: u64,
    wait_ns: u64,
    processes: Vec<ProcessId>,
    /// Sites that it passed, and the first that it passed again.
    sites: Vec<SiteId>,
    again: Option<SiteId>,
}

/// An event of the buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct LifeEvent {
    pub(super) time_ns: u64,
    pub(super) site: SiteId,
    pub(super) process: ProcessId,
}

/// Sites and processes that are remembered.
const REMEMBERED: usize = 4096;

impl<'s> LifeLog<'s> {
    pub(super) fn new(medians: &'s Medians) -> Self {
        Self {
            medians,
            roles: Roles::new(&medians.stages),
            first_ns: None,
            last: None,
            events: 0,
            work_ns: 0,
            wait_ns: 0,
            processes: Vec::new(),
            sites: Vec::new(),
            again: None,
        }
    }

    /// Takes the next event; tells what happened since the one before, if there is one.
    pub(super) fn pass(&mut self, passed: LifeEvent, definitions: &Definitions) -> Option<String> {
        self.first_ns.get_or_insert(passed.time_ns);
        self.events += 1;
        if self.processes.len() < REMEMBERED && !self.processes.contains(&passed.process) {
            self.processes.push(passed.process);
        }
        if self.sites.contains(&passed.site) {
            self.again.get_or_insert(passed.site);
        } else if self.sites.len() < REMEMBERED {
            self.sites.push(passed.site);
        }
        let last = self.last.replace(passed)?;
        let took_ns = passed.time_ns.saturating_sub(last.time_ns);
        let (what, name, median_ns) = match self.between(last.site, passed.site, definitions) {
            WayBetween::Work(name) => {
                self.work_ns = self.work_ns.saturating_add(took_ns);
                ("work", name.clone(), self.medians.work_ns(&name))
            }
            WayBetween::Wait(name) => {
                self.wait_ns = self.wait_ns.saturating_add(took_ns);
                ("wait", name.clone(), self.medians.wait_ns(&name))
            }
            WayBetween::Unknown => {
                self.wait_ns = self.wait_ns.saturating_add(took_ns);
                let probe = |site| definitions.site(site).map_or("?", |site| &site.probe[..]);
                ("wait", format!("{} -> {}", probe(last.site), probe(passed.site)), None)
            }
        };
        let mut text = format!("{:>17}  {what}  {}", duration(took_ns), escape(&name));
        if let Some(median_ns) = median_ns {
            text += &format!(", {:.1} times its median", took_ns as f64 / median_ns as f64);
        }
        if last.process != passed.process {
            let [from, to] = [last.process, passed.process].map(|process| named(process, definitions));
            text += &format!(", {from} hands on to {to}");
        }
        Some(in_order(&text).into_owned())
    }

    /// What the way from an event of one site to one of another is.
    fn between(&self, from: SiteId, to: SiteId, definitions: &Definitions) -> WayBetween {
        let roles = |site: SiteId| definitions.site(site).map_or(&[][..], |site| self.roles.of(site));
        let (from, to) = (roles(from), roles(to));
        let worked = |begun: &&Role| {
            let is_lasting = self.medians.stages.get(begun.stage).is_none_or(|stage| stage.lasting.is_some());
            let ends = to.iter().any(|ended| ended.stage == begun.stage && ended.ends.is_some());
            begun.begins.is_some() && ends && !is_lasting
        };
        if let Some(stage) = from.iter().find(worked).and_then(|role| self.medians.stages.get(role.stage)) {
            return WayBetween::Work(stage.name.clone());
        }
        let edge = |roles: &[Role], first: Side| {
            let is = |role: &Role, side: Side| match side {
                Side::Begin => role.begins.is_some(),
                Side::End => role.ends.is_some(),
            };
            let other = if first == Side::End { Side::Begin } else { Side::End };
            [first, other].into_iter().find_map(|side| {
                let role = roles.iter().find(|role| is(role, side))?;
                Some(Edge { stage: u32::try_from(role.stage).ok()?, side })
            })
        };
        match edge(from, Side::End).zip(edge(to, Side::Begin)) {
            Some((from, to)) => WayBetween::Wait(hand_off_name(from, to, &self.medians.stages)),
            None => WayBetween::Unknown,
        }
    }

    /// What it comes down to, when nothing more comes; nothing without events.
    pub(super) fn end(&self, definitions: &Definitions) -> String {
        let (Some(first_ns), Some(last)) = (self.first_ns, self.last) else { return String::new() };
        let total_ns = last.time_ns.saturating_sub(first_ns);
        let share = |part_ns: u64| (100.0 * part_ns as f64 / total_ns.max(1) as f64).round();
        let mut text = format!(
            "{:>17}  in all: {} of {}; work {} ({} %), waits {} ({} %)\n",
            duration(total_ns),
            counted(self.events, "event"),
            counted_processes(self.processes.len()),
            duration(self.work_ns),
            share(self.work_ns),
            duration(self.wait_ns),
            share(self.wait_ns),
        );
        if let Some(events) = self.medians.of_events {
            text += &format!("{:>17}  medians of {} around it\n", "", counted(events, "event"));
        }
        if let Some(site) = self.again.and_then(|site| definitions.site(site)) {
            text += &format!(
                "{:>17}  {} more than once: it went round, or several buffers have this number (-p shows one process)\n",
                "",
                escape(&site.name()),
            );
        }
        text
    }
}

/// What the way from an event to the next is.
enum WayBetween {
    /// The work of a stage.
    Work(String),
    /// From one stage to the next.
    Wait(String),
    /// A probe is of no stage.
    Unknown,
}

fn counted_processes(count: usize) -> String {
    if count == 1 { "1 process".to_owned() } else { format!("{count} processes") }
}

/// `source (11064)`.
fn named(process: ProcessId, definitions: &Definitions) -> String {
    let known = definitions.process(process);
    known.map_or_else(|| "?".to_owned(), |it| format!("{} ({})", escape(&it.program), it.pid))
}
