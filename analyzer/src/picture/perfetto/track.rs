//! Tracks: processes, threads, and what stands below them; fields of Perfetto's `track_descriptor.proto`.

use tracer_format::{Definitions, ProcessId, ThreadId};

use super::packet::{NameUse, push_packet};
use super::wire::{push_int, push_message, push_text, push_uint};
use crate::picture::tracks::Tracks;

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

    fn process(process: ProcessId) -> u64 {
        1 + u64::from(process)
    }

    pub(super) fn thread(&self, thread: ThreadId) -> u64 {
        1 + self.processes + u64::from(thread)
    }

    pub(super) fn probes(&self, thread: ThreadId) -> u64 {
        self.thread(thread) + self.threads
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

/// Appends all processes and threads, and below each thread a track for its probes.
pub(super) fn push_tracks(out: &mut Vec<u8>, definitions: &Definitions, tracks: &Tracks, uuids: &Uuids) {
    let numbers = tracks.pids.iter().zip(&tracks.ranks);
    for ((index, process), (&pid, &rank)) in (0..).zip(&definitions.processes).zip(numbers) {
        let uuid = Uuids::process(ProcessId(index));
        let (name, command) = (&process.program, &process.command);
        push_process(out, ProcessTrack { uuid, pid, rank, name, command });
    }
    for ((index, thread), &(pid, tid)) in (0..).zip(&definitions.threads).zip(&tracks.threads) {
        let process = definitions.process(thread.process);
        push_track(out, uuids.thread(ThreadId(index)), Uuids::process(thread.process), |out| {
            push_message(out, 4, |out| {
                push_uint(out, 1, pid.into());
                push_uint(out, 2, tid.into());
                push_text(out, 5, process.map_or("?", |process| &process.program));
            });
        });
        push_lane(out, uuids.probes(ThreadId(index)), uuids.thread(ThreadId(index)), "probes");
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
    push_packet(out, NameUse::Unused, |out| {
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
    push_packet(out, NameUse::Unused, |out| {
        push_message(out, 60, |out| {
            push_uint(out, 1, uuid);
            push_uint(out, 5, parent);
            fill(out);
        });
    });
}
