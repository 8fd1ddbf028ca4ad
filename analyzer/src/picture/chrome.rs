//! A trace as Chrome JSON, for Perfetto, chrome://tracing and other viewers.
//!
//! - A complete span is one slice of category `stage`: on its thread (`B`, `E`) where all spans of its stage nest there,
//!   else asynchronous (`b`, `e`) in the process where it began.
//! - A hand-off is one flow arrow (`s`, `f`) from slice to slice; where a stage is asynchronous, a slice of no length and
//!   category `hand-off` on the thread holds its end. A negative hand-off leaves where it arrives: arrows go forward.
//! - An event is an instant of category `probe` on a track beside its thread's. A begin or end that is part of no
//!   complete span is one more instant there, of category `irregular`, named by its stage and class.
//! - Lost events and damaged blocks are slices in a process of their own.
//!
//! Times are microseconds with three decimals since the first event or loss; the trace is walked twice and written as
//! it is walked, so memory does not grow with it.

mod text;

use std::io::{self, Write};

use serde_json::{Value, json};
use tracer_format::{Columns, ThreadId, Trace};

use super::canvas::{Arrow, Canvas, Instant, Missing, Scene, Slice, What, draw};
use super::layout::Shape;
use super::start_ns;
use super::tracks::Tracks;
use crate::Result;
use crate::analysis::Analysis;
use crate::pair::{Edge, Point, Side};
use crate::select::Selection;
use crate::select::clock::{anchors, realtime_ns, rfc3339};
use crate::stage::Stage;
use text::{Pieces, piece, push_id, push_json, push_key, push_micros};

/// Bytes that are collected before they are written: so many that a buffer behind passes them on without a copy.
const WRITE_BYTES: usize = 1 << 18;

/// Writes the selected events of `trace` and what `stages` make of them to `out`.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if `out` fails. Damage is no error: it is in the analysis.
pub fn export<'a>(
    trace: &'a Trace<'a>,
    selection: &Selection,
    stages: &'a [Stage],
    out: &mut impl Write,
) -> Result<Analysis> {
    draw(trace, selection, stages, |plan| Chrome::new(plan, start_ns(trace, selection), out))
}

struct Chrome<'a, W> {
    out: &'a mut W,
    text: Vec<u8>,
    trace: &'a Trace<'a>,
    stages: &'a [Stage],
    tracks: Tracks,
    pieces: Pieces,
    start_ns: u64,
    /// Number of the last asynchronous slice or flow.
    last_id: u64,
}

impl<'a, W: Write> Chrome<'a, W> {
    fn new(plan: Scene<'a, '_>, start_ns: u64, out: &'a mut W) -> Self {
        let Scene { trace, stages, .. } = plan;
        let tracks = Tracks::new(&trace.definitions);
        let mut chrome = Self {
            out,
            text: Vec::with_capacity(WRITE_BYTES * 2),
            trace,
            stages,
            pieces: Pieces::new(&trace.definitions, &tracks, stages),
            tracks,
            start_ns,
            last_id: 0,
        };
        chrome.metadata();
        chrome
    }

    fn metadata(&mut self) {
        self.text.extend_from_slice(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
        let mut events: Vec<Value> = Vec::new();
        let mut name = |kind: &str, pid: u32, tid: u32, args: Value| {
            events.push(json!({ "ph": "M", "name": kind, "pid": pid, "tid": tid, "ts": 0, "args": args }));
        };
        let definitions = &self.trace.definitions;
        for ((process, &pid), &rank) in
            definitions.processes.iter().zip(&self.tracks.pids).zip(&self.tracks.ranks)
        {
            name("process_name", pid, pid, json!({ "name": process.program }));
            name("process_sort_index", pid, pid, json!({ "sort_index": rank }));
            if !process.command.is_empty() || pid != process.pid {
                let labels = format!("pid {} {}", process.pid, process.command.join(" "));
                name("process_labels", pid, pid, json!({ "labels": labels.trim_end() }));
            }
        }
        for (thread, &(pid, tid)) in definitions.threads.iter().zip(&self.tracks.threads) {
            let process = definitions.process(thread.process);
            let program = process.map_or("?", |process| &process.program);
            name("thread_name", pid, tid, json!({ "name": program }));
            name("thread_sort_index", pid, tid, json!({ "sort_index": 2 * tid }));
        }
        let probes = definitions.threads.iter().zip(&self.tracks.threads).zip(&self.tracks.probes);
        for ((thread, &(pid, tid)), &track) in probes {
            name("thread_name", pid, track, json!({ "name": format!("probes of thread {}", thread.tid) }));
            name("thread_sort_index", pid, track, json!({ "sort_index": 2 * tid + 1 }));
        }
        if !self.trace.gaps.is_empty() || !self.trace.damage.is_empty() {
            let pid = self.tracks.loss_pid;
            name("process_name", pid, pid, json!({ "name": "lost events" }));
            name("process_sort_index", pid, pid, json!({ "sort_index": 0 }));
        }
        for event in &events {
            push_json(&mut self.text, event);
            self.text.extend_from_slice(b",\n");
        }
    }

    /// Ends the event that was appended.
    fn end_event(&mut self) -> io::Result<()> {
        self.text.extend_from_slice(b"},\n");
        if self.text.len() >= WRITE_BYTES {
            self.out.write_all(&self.text)?;
            self.text.clear();
        }
        Ok(())
    }

    fn put(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    /// Appends `,"pid":P,"tid":T,"ts":TIME`.
    fn put_place(&mut self, thread: ThreadId, time_ns: u64) {
        if let Some(piece) = self.pieces.threads.get(thread.index()) {
            self.text.extend_from_slice(piece);
        }
        push_micros(&mut self.text, time_ns.saturating_sub(self.start_ns));
    }

    /// As [`put_place`](Self::put_place), on the track with the thread's probes.
    fn put_probe_place(&mut self, thread: ThreadId, time_ns: u64) {
        if let Some(piece) = self.pieces.probes.get(thread.index()) {
            self.text.extend_from_slice(piece);
        }
        push_micros(&mut self.text, time_ns.saturating_sub(self.start_ns));
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// One end of flow arrow `id`, and a slice to hold it where the stage has none on the thread.
    fn flow_end(&mut self, arrow: &Arrow, finish: bool, id: u64, time_ns: u64) -> io::Result<()> {
        let hand_off = &arrow.hand_off;
        let point = if finish { hand_off.arrived } else { hand_off.left };
        let held = arrow.shapes[usize::from(finish)] == Shape::Async;
        for step in 0..3 {
            let piece = self.pieces.hand_off(hand_off.from, hand_off.to, self.stages);
            match step {
                1 => {
                    self.text.extend_from_slice(&piece.arrow[usize::from(finish)]);
                    push_id(&mut self.text, id);
                }
                _ if !held => continue,
                step => self.text.extend_from_slice(&piece.slice[step / 2]),
            }
            self.put_place(point.thread, time_ns);
            self.end_event()?;
        }
        Ok(())
    }

    /// What the trace tells about itself.
    fn about(&self, analysis: &Analysis) -> Value {
        let outcome = &analysis.outcome;
        let start = realtime_ns(&anchors(self.trace), self.start_ns).map(rfc3339);
        let host = self.trace.definitions.hosts.first().cloned().unwrap_or_default();
        json!({
            "host": host.name,
            "kernel": host.kernel,
            "machine": host.machine,
            "cpus": host.cpus,
            "boot_id": host.boot_id,
            "tool": host.tool,
            "command": host.command.join(" "),
            "clock": "CLOCK_MONOTONIC",
            "start_ns": self.start_ns.to_string(),
            "start": start,
            "events": outcome.events,
            "lost": outcome.lost,
            "damaged_bytes": outcome.damaged_bytes(),
            "complete_file": !outcome.incomplete,
        })
    }
}

impl<W: Write> Canvas for Chrome<'_, W> {
    fn event(&mut self, columns: &Columns, row: usize) -> io::Result<()> {
        let Some(piece) = self.pieces.sites.get(columns.site[row].index()) else { return Ok(()) };
        piece.push(&mut self.text, columns, row);
        self.put_probe_place(columns.thread[row], columns.time_ns[row]);
        self.end_event()
    }

    fn slice(&mut self, slice: Slice) -> io::Result<()> {
        let is_async = slice.shape == Shape::Async;
        let id = if is_async { self.next_id() } else { 0 };
        for (side, time_ns) in [slice.begin.time_ns, slice.end.time_ns].into_iter().enumerate() {
            let piece = &self.pieces.stages[slice.stage as usize];
            if is_async {
                self.text.extend_from_slice(&piece.asynchronous[side]);
                push_id(&mut self.text, id);
                self.put(if side == 0 { b"},\"args\":{\"key\":" } else { b"}" });
            } else {
                self.text.extend_from_slice(&piece.on_thread[side]);
            }
            if side == 0 {
                push_key(&mut self.text, &slice.key);
                self.put(if slice.reordered { b",\"reordered\":true}" } else { b"}" });
            }
            // Both ends name the thread of the begin: an id is known in one process only.
            self.put_place(slice.begin.thread, time_ns);
            self.end_event()?;
        }
        Ok(())
    }

    fn instant(&mut self, instant: Instant) -> io::Result<()> {
        let piece = &self.pieces.stages[instant.stage as usize].irregular[instant.class as usize];
        self.text.extend_from_slice(piece);
        push_key(&mut self.text, &instant.key);
        if let Some(latency_ns) = instant.latency_ns {
            self.put(format!(",\"latency_ns\":{latency_ns}").as_bytes());
        }
        self.put(b"}");
        self.put_probe_place(instant.point.thread, instant.point.time_ns);
        self.end_event()
    }

    fn flow(&mut self, arrow: &Arrow) -> io::Result<()> {
        // A slice holds the moment before its end, not its end.
        let inside = |edge: Edge, point: Point, shape: Shape| {
            if edge.side == Side::End && shape == Shape::OnThread {
                point.time_ns.saturating_sub(1)
            } else {
                point.time_ns
            }
        };
        let hand_off = &arrow.hand_off;
        let arrived_ns = inside(hand_off.to, hand_off.arrived, arrow.shapes[1]);
        let left_ns = inside(hand_off.from, hand_off.left, arrow.shapes[0]).min(arrived_ns);
        let id = self.next_id();
        self.flow_end(arrow, false, id, left_ns)?;
        self.flow_end(arrow, true, id, arrived_ns)
    }

    /// A slice in the process of what is missing.
    fn missing(&mut self, missing: &Missing<'_>) -> io::Result<()> {
        let args = match missing.what {
            What::Events(count, probe) => json!({ "count": count, "probe": probe }),
            What::Bytes(range) => {
                json!({ "offset": range.offset, "len_bytes": range.len_bytes, "why": range.damage.to_string() })
            }
        };
        let id = self.next_id();
        let pid = self.tracks.loss_pid;
        for (kind, time_ns) in [("b", missing.from_ns), ("e", missing.to_ns)] {
            let id2 = format!(",\"id2\":{{\"local\":\"0x{id:x}\"}}");
            self.put(&piece("loss", kind, missing.name, &id2));
            self.put(b",\"args\":");
            push_json(&mut self.text, &args);
            self.put(format!(",\"pid\":{pid},\"tid\":{pid},\"ts\":").as_bytes());
            push_micros(&mut self.text, time_ns.saturating_sub(self.start_ns));
            self.end_event()?;
        }
        Ok(())
    }

    fn finish(mut self, analysis: &Analysis) -> io::Result<()> {
        if self.text.ends_with(b",\n") {
            self.text.truncate(self.text.len() - 2);
        }
        self.put(b"\n],\"otherData\":");
        let about = self.about(analysis);
        push_json(&mut self.text, &about);
        self.put(b"}\n");
        self.out.write_all(&self.text)?;
        self.out.flush()
    }
}
