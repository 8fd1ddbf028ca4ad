//! Tracks: processes, threads, and what stands below them; fields of Perfetto's `track_descriptor.proto`.

use std::io;
use std::sync::Arc;

use tracer_format::{Definitions, ProcessId, ThreadId};

use super::packet::{NameUse, push_packet};
use super::wire::{push_int, push_message, push_text, push_uint};
use crate::picture::thread_name;
use crate::picture::tracks::{FIRST_RANK, Tracks};

/// Ids of tracks: processes, threads, their probes, what holds those of a process, then those that are made on the way.
#[derive(Debug)]
pub(super) struct Uuids {
    processes: u64,
    threads: u64,
    /// The process of what is missing.
    pub(super) loss: u64,
    /// What holds the tracks of what to look at first.
    pub(super) overview: u64,
    /// What holds a track for each buffer.
    pub(super) buffers: u64,
    last: u64,
}

impl Uuids {
    pub(super) fn new(definitions: &Definitions) -> Self {
        let (processes, threads) = (definitions.processes.len() as u64, definitions.threads.len() as u64);
        let loss = 1 + 2 * processes + 2 * threads;
        let [overview, buffers] = [loss + 1, loss + 2];
        Self { processes, threads, loss, overview, buffers, last: buffers }
    }

    fn process(process: ProcessId) -> u64 {
        1 + u64::from(process)
    }

    pub(super) fn thread(&self, thread: ThreadId) -> u64 {
        1 + self.processes + u64::from(thread)
    }

    pub(super) fn probes(&self, thread: ThreadId) -> u64 {
        self.thread(thread) + self.threads
    }

    /// What holds the probes of all threads of a process.
    fn probes_of_process(&self, process: ProcessId) -> u64 {
        1 + self.processes + 2 * self.threads + u64::from(process)
    }

    /// The process of a thread.
    pub(super) fn process_of(&self, thread: ThreadId, definitions: &Definitions) -> u64 {
        definitions.thread(thread).map_or(self.loss, |thread| Self::process(thread.process))
    }

    /// A new id.
    pub(super) fn take(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// `TrackDescriptor.process_ordering`: by their ranks.
const BY_RANK: u64 = 1;

/// `CounterDescriptor.unit`.
const UNIT_COUNT: u64 = 2;

/// Appends all processes in the order of `ranks`, all threads, and a track for the probes of each, folded away in its process; calls
/// `made` after each, as names may be long.
pub(super) fn push_tracks(
    out: &mut Vec<u8>,
    definitions: &Definitions,
    (tracks, ranks): (&Tracks, &[usize]),
    uuids: &Uuids,
    mut made: impl FnMut(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    push_root(out);
    let numbers = tracks.pids.iter().zip(ranks);
    for ((index, process), (&pid, &rank)) in (0..).zip(&definitions.processes).zip(numbers) {
        let rank = FIRST_RANK + rank;
        let uuid = Uuids::process(ProcessId(index));
        let (name, command) = (&process.program, &process.command);
        push_process(out, ProcessTrack { uuid, pid, rank, name, command });
        made(out)?;
    }
    let mut has_group = vec![false; definitions.processes.len()];
    for ((index, thread), &(pid, tid)) in (0..).zip(&definitions.threads).zip(&tracks.threads) {
        let process = definitions.process(thread.process);
        push_track(out, uuids.thread(ThreadId(index)), Uuids::process(thread.process), |out| {
            push_message(out, 4, |out| {
                push_uint(out, 1, pid.into());
                push_uint(out, 2, tid.into());
                push_text(out, 5, process.map_or("?", |process| thread_name(&process.program)));
            });
        });
        let group = uuids.probes_of_process(thread.process);
        let has_group = has_group.get_mut(thread.process.index());
        if has_group.is_some_and(|has_group| !std::mem::replace(has_group, true)) {
            push_lane(out, group, Uuids::process(thread.process), "probes");
        }
        push_lane(out, uuids.probes(ThreadId(index)), group, &format!("probes of thread {}", thread.tid));
        made(out)?;
    }
    Ok(())
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
    pub(super) command: &'a [Arc<str>],
}

/// Appends what stands around all processes: viewers have an order of their own but where it says that theirs counts.
fn push_root(out: &mut Vec<u8>) {
    push_packet(out, NameUse::Unused, |out| {
        push_message(out, 60, |out| {
            push_uint(out, 1, 0);
            push_uint(out, 19, BY_RANK);
        });
    });
}

/// Appends a process.
pub(super) fn push_process(out: &mut Vec<u8>, process: ProcessTrack<'_>) {
    push_packet(out, NameUse::Unused, |out| {
        push_message(out, 60, |out| {
            push_uint(out, 1, process.uuid);
            push_uint(out, 12, process.rank as u64);
            push_message(out, 3, |out| {
                push_uint(out, 1, process.pid.into());
                process.command.iter().for_each(|word| push_text(out, 2, word));
                push_int(out, 3, i64::try_from(process.rank).unwrap_or(i64::MAX));
                push_text(out, 6, process.name);
            });
        });
    });
}

/// How the tracks that a group holds are ordered.
#[derive(Debug, Clone, Copy)]
pub(super) enum ChildOrder {
    /// By what comes first on them.
    Time = 2,
    /// By their ranks.
    Rank = 3,
}

/// Appends a group of tracks that belongs to no process.
pub(super) fn push_group(out: &mut Vec<u8>, uuid: u64, (name, rank): (&str, usize), order: ChildOrder) {
    push_packet(out, NameUse::Unused, |out| {
        push_message(out, 60, |out| {
            push_uint(out, 1, uuid);
            push_text(out, 2, name);
            push_uint(out, 11, order as u64);
            push_uint(out, 12, rank as u64);
        });
    });
}

/// Appends a track below another.
pub(super) fn push_lane(out: &mut Vec<u8>, uuid: u64, parent: u64, name: &str) {
    push_track(out, uuid, parent, |out| push_text(out, 2, name));
}

/// Appends a track below another, at a place among those beside it; of numbers, if it is a counter.
pub(super) fn push_ranked(
    out: &mut Vec<u8>,
    (uuid, parent): (u64, u64),
    (name, rank): (&str, usize),
    is_counter: bool,
) {
    push_track(out, uuid, parent, |out| {
        push_text(out, 2, name);
        push_uint(out, 12, rank as u64);
        if is_counter {
            push_message(out, 8, |out| push_uint(out, 3, UNIT_COUNT));
        }
    });
}

fn push_track(out: &mut Vec<u8>, uuid: u64, parent: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    push_packet(out, NameUse::Unused, |out| {
        push_message(out, 60, |out| {
            push_uint(out, 1, uuid);
            push_uint(out, 5, parent);
            fill(out);
        });
    });
}
