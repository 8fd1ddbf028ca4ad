//! What stands before the events: clocks, host, names, processes, threads.

use tracer_format::{Definitions, Trace};

use super::event::{Category, Name};
use super::wire::{push_int, push_message, push_text, push_uint};
use crate::analysis::{HandOffReport, hand_off_name};
use crate::span::Class;
use crate::stage::Stage;
use crate::timeline::tracks::Tracks;
use crate::wall::anchors;

/// Builtin clocks of Perfetto.
const REALTIME: u64 = 1;
const MONOTONIC: u64 = 3;
const BOOTTIME: u64 = 6;

/// `TracePacket.sequence_flags`.
const INCREMENTAL_STATE_CLEARED: u64 = 1;
const NEEDS_INCREMENTAL_STATE: u64 = 2;

/// Appends a packet of the one sequence that there is, with the fields that `fill` appends.
pub(super) fn push_packet(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    push_message(out, 1, |out| {
        push_uint(out, 10, 1);
        push_uint(out, 13, NEEDS_INCREMENTAL_STATE);
        fill(out);
    });
}

/// As [`push_packet`], for what needs no names.
fn push_plain_packet(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    push_message(out, 1, |out| {
        push_uint(out, 10, 1);
        fill(out);
    });
}

/// Appends the clock anchors, and says that times are CLOCK_MONOTONIC.
pub(super) fn push_clocks(out: &mut Vec<u8>, trace: &Trace<'_>, start_ns: u64) {
    let mut snapshot = |clocks: &[(u64, u64)]| {
        push_plain_packet(out, |out| {
            push_message(out, 6, |out| {
                for &(clock, time_ns) in clocks {
                    push_message(out, 1, |out| {
                        push_uint(out, 1, clock);
                        push_uint(out, 2, time_ns);
                    });
                }
                push_uint(out, 2, MONOTONIC);
            });
        });
    };
    let anchors = anchors(trace);
    if anchors.is_empty() {
        snapshot(&[(MONOTONIC, start_ns)]);
    }
    for anchor in anchors {
        let mut clocks = vec![(MONOTONIC, anchor.monotonic_ns), (BOOTTIME, anchor.boottime_ns)];
        clocks.extend(u64::try_from(anchor.realtime_ns).map(|time_ns| (REALTIME, time_ns)));
        snapshot(&clocks);
    }
}

/// Appends what is known of the machine: kernel and tool.
pub(super) fn push_host(out: &mut Vec<u8>, definitions: &Definitions) {
    let Some(host) = definitions.hosts.first() else { return };
    let mut kernel = host.kernel.splitn(3, ' ');
    let mut part = || kernel.next().unwrap_or_default();
    let (name, release, version) = (part(), part(), part());
    push_plain_packet(out, |out| {
        push_message(out, 45, |out| {
            push_message(out, 1, |out| {
                push_known(out, 1, name);
                push_known(out, 2, version);
                push_known(out, 3, release);
                push_known(out, 4, &host.machine);
            });
            push_known(out, 4, &host.tool);
            if host.cpus > 0 {
                push_uint(out, 8, host.cpus.into());
            }
            push_known(out, 17, &host.name);
        });
    });
}

fn push_known(out: &mut Vec<u8>, field: u32, text: &str) {
    if !text.is_empty() {
        push_text(out, field, text);
    }
}

/// Names of events, which stand in the trace once. Ids are positions, from 1 on: probes by site, stages, their irregular
/// spans by class, ways between stages.
#[derive(Debug)]
pub(super) struct Interned {
    names: Vec<String>,
    sites: usize,
    stages: usize,
}

impl Interned {
    pub(super) fn new(definitions: &Definitions, stages: &[Stage], hand_offs: &[HandOffReport]) -> Self {
        let mut names: Vec<String> = definitions.sites.iter().map(|site| site.probe.clone()).collect();
        names.extend(stages.iter().map(|stage| stage.name.clone()));
        for stage in stages {
            let irregular = |class: &Class| format!("{}: {}", stage.name, class.name().replace('_', " "));
            names.extend(Class::ALL.iter().map(irregular));
        }
        names.extend(hand_offs.iter().map(|report| hand_off_name(report.from, report.to, stages)));
        Self { names, sites: definitions.sites.len(), stages: stages.len() }
    }

    pub(super) fn probe(&self, site: usize) -> u64 {
        debug_assert!(site < self.sites);
        (1 + site) as u64
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
        push_message(out, 1, |out| {
            push_uint(out, 10, 1);
            push_uint(out, 13, INCREMENTAL_STATE_CLEARED);
            push_message(out, 59, |out| push_uint(out, 58, MONOTONIC));
            push_message(out, 12, |out| {
                push_names(out, 1, &mut Category::NAMES.into_iter());
                push_names(out, 2, &mut self.names.iter().map(String::as_str));
                let annotations: Vec<String> = Name::all().collect();
                push_names(out, 3, &mut annotations.iter().map(String::as_str));
            });
        });
    }
}

/// Ids of tracks: processes, threads, their probes, then those that are made on the way.
#[derive(Debug)]
pub(super) struct Uuids {
    processes: u64,
    threads: u64,
    /// The process of what is missing.
    pub(super) loss: u64,
    last: u64,
}

impl Uuids {
    pub(super) fn new(definitions: &Definitions) -> Self {
        let (processes, threads) = (definitions.processes.len() as u64, definitions.threads.len() as u64);
        let loss = 1 + processes + 2 * threads;
        Self { processes, threads, loss, last: loss }
    }

    fn process(process: u32) -> u64 {
        1 + u64::from(process)
    }

    pub(super) fn thread(&self, thread: u32) -> u64 {
        1 + self.processes + u64::from(thread)
    }

    pub(super) fn probes(&self, thread: u32) -> u64 {
        self.thread(thread) + self.threads
    }

    /// The process of a thread.
    pub(super) fn process_of(&self, thread: u32, definitions: &Definitions) -> u64 {
        definitions.threads.get(thread as usize).map_or(self.loss, |thread| Self::process(thread.process))
    }

    /// A new id.
    pub(super) fn take(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// Appends all processes and threads, and below each thread a track for its probes.
pub(super) fn push_tracks(out: &mut Vec<u8>, definitions: &Definitions, tracks: &Tracks, uuids: &Uuids) {
    let numbers = tracks.pids.iter().zip(&tracks.ranks);
    for ((index, process), (&pid, &rank)) in (0..).zip(&definitions.processes).zip(numbers) {
        let uuid = Uuids::process(index);
        let (name, command) = (&process.program, &process.command);
        push_process(out, ProcessTrack { uuid, pid, rank, name, command });
    }
    for ((index, thread), &(pid, tid)) in (0..).zip(&definitions.threads).zip(&tracks.threads) {
        let process = definitions.processes.get(thread.process as usize);
        push_track(out, uuids.thread(index), Uuids::process(thread.process), |out| {
            push_message(out, 4, |out| {
                push_uint(out, 1, pid.into());
                push_uint(out, 2, tid.into());
                push_text(out, 5, process.map_or("?", |process| &process.program));
            });
        });
        push_lane(out, uuids.probes(index), uuids.thread(index), "probes");
    }
}

/// A process as the viewer shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProcessTrack<'a> {
    pub(super) uuid: u64,
    /// Number that no other process has.
    pub(super) pid: u32,
    /// Place from the top.
    pub(super) rank: usize,
    pub(super) name: &'a str,
    pub(super) command: &'a [String],
}

/// Appends a process.
pub(super) fn push_process(out: &mut Vec<u8>, process: ProcessTrack<'_>) {
    push_plain_packet(out, |out| {
        push_message(out, 60, |out| {
            push_uint(out, 1, process.uuid);
            push_message(out, 3, |out| {
                push_uint(out, 1, process.pid.into());
                process.command.iter().for_each(|word| push_text(out, 2, word));
                push_int(out, 3, i64::try_from(process.rank).unwrap_or(i64::MAX));
                push_text(out, 6, process.name);
            });
        });
    });
}

/// Appends a track below another.
pub(super) fn push_lane(out: &mut Vec<u8>, uuid: u64, parent: u64, name: &str) {
    push_track(out, uuid, parent, |out| push_text(out, 2, name));
}

fn push_track(out: &mut Vec<u8>, uuid: u64, parent: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    push_plain_packet(out, |out| {
        push_message(out, 60, |out| {
            push_uint(out, 1, uuid);
            push_uint(out, 5, parent);
            fill(out);
        });
    });
}
