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
use std::ops::Range;

use serde_json::{Value, json};
use tracer_format::{Columns, Gap, Trace};

use super::layout::{Layout, Shape};
use super::tracks::Tracks;
use super::{gap_name, start_ns};
use crate::Result;
use crate::analysis::{Analysis, analyze};
use crate::pair::{Class, Edge, HandOff, Point, Side, Sink, Span};
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
pub fn export(
    trace: &Trace<'_>,
    selection: &Selection,
    stages: &[Stage],
    out: &mut impl Write,
) -> Result<Analysis> {
    let definitions = &trace.definitions;
    let mut layout = Layout::new(stages.len(), definitions.threads.len());
    analyze(trace, selection, stages, &mut layout)?;
    let mut chrome = Chrome::new(trace, selection, stages, layout.shapes, out);
    chrome.metadata();
    let analysis = analyze(trace, selection, stages, &mut chrome)?;
    chrome.finish(&analysis)?;
    Ok(analysis)
}

struct Chrome<'a, W> {
    out: &'a mut W,
    text: Vec<u8>,
    trace: &'a Trace<'a>,
    stages: &'a [Stage],
    shapes: Vec<Shape>,
    tracks: Tracks,
    pieces: Pieces,
    start_ns: u64,
    /// Number of the last asynchronous slice or flow.
    last_id: u64,
}

impl<'a, W: Write> Chrome<'a, W> {
    fn new(
        trace: &'a Trace<'a>,
        selection: &Selection,
        stages: &'a [Stage],
        shapes: Vec<Shape>,
        out: &'a mut W,
    ) -> Self {
        let tracks = Tracks::new(&trace.definitions);
        Self {
            out,
            text: Vec::with_capacity(WRITE_BYTES * 2),
            trace,
            stages,
            shapes,
            pieces: Pieces::new(&trace.definitions, &tracks, stages),
            tracks,
            start_ns: start_ns(trace, selection),
            last_id: 0,
        }
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
            let process = definitions.processes.get(thread.process as usize);
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
    fn put_place(&mut self, thread: u32, time_ns: u64) {
        if let Some(piece) = self.pieces.threads.get(thread as usize) {
            self.text.extend_from_slice(piece);
        }
        push_micros(&mut self.text, time_ns.saturating_sub(self.start_ns));
    }

    /// As [`put_place`](Self::put_place), on the track with the thread's probes.
    fn put_probe_place(&mut self, thread: u32, time_ns: u64) {
        if let Some(piece) = self.pieces.probes.get(thread as usize) {
            self.text.extend_from_slice(piece);
        }
        push_micros(&mut self.text, time_ns.saturating_sub(self.start_ns));
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn stage_slice(&mut self, span: &Span, begin: Point, end: Point) -> io::Result<()> {
        let stage = span.stage as usize;
        let is_async = self.shapes[stage] == Shape::Async;
        let id = if is_async { self.next_id() } else { 0 };
        for (side, time_ns) in [begin.time_ns, end.time_ns].into_iter().enumerate() {
            let piece = &self.pieces.stages[stage];
            if is_async {
                self.text.extend_from_slice(&piece.asynchronous[side]);
                push_id(&mut self.text, id);
                self.put(if side == 0 { b"},\"args\":{\"key\":" } else { b"}" });
            } else {
                self.text.extend_from_slice(&piece.on_thread[side]);
            }
            if side == 0 {
                push_key(&mut self.text, &span.key);
                self.put(if span.reordered { b",\"reordered\":true}" } else { b"}" });
            }
            // Both ends name the thread of the begin: an id is known in one process only.
            self.put_place(begin.thread, time_ns);
            self.end_event()?;
        }
        Ok(())
    }

    fn irregular(&mut self, span: &Span) -> io::Result<()> {
        for point in [span.begin, span.end].into_iter().flatten() {
            self.text
                .extend_from_slice(&self.pieces.stages[span.stage as usize].irregular[span.class as usize]);
            push_key(&mut self.text, &span.key);
            if let Some(latency_ns) = span.latency_ns() {
                self.put(format!(",\"latency_ns\":{latency_ns}").as_bytes());
            }
            self.put(b"}");
            self.put_probe_place(point.thread, point.time_ns);
            self.end_event()?;
        }
        Ok(())
    }

    /// One end of flow arrow `id`, and a slice to hold it where the stage has none on the thread.
    fn flow_end(&mut self, hand_off: &HandOff, finish: bool, id: u64, time_ns: u64) -> io::Result<()> {
        let (edge, point) =
            if finish { (hand_off.to, hand_off.arrived) } else { (hand_off.from, hand_off.left) };
        let held = self.shapes[edge.stage as usize] == Shape::Async;
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

    /// A slice in the process of what is missing.
    fn loss_slice(&mut self, track: &str, from_ns: u64, to_ns: u64, args: &Value) -> io::Result<()> {
        let id = self.next_id();
        let pid = self.tracks.loss_pid;
        for (kind, time_ns) in [("b", from_ns), ("e", to_ns)] {
            let id2 = format!(",\"id2\":{{\"local\":\"0x{id:x}\"}}");
            self.put(&piece("loss", kind, track, &id2));
            self.put(b",\"args\":");
            push_json(&mut self.text, args);
            self.put(format!(",\"pid\":{pid},\"tid\":{pid},\"ts\":").as_bytes());
            push_micros(&mut self.text, time_ns.saturating_sub(self.start_ns));
            self.end_event()?;
        }
        Ok(())
    }

    fn finish(mut self, analysis: &Analysis) -> Result<()> {
        for range in &analysis.outcome.damage {
            let block = self.trace.blocks.iter().find(|block| block.offset == range.offset);
            if let Some((from_ns, to_ns)) = block.map(|block| (block.first_ns, block.last_ns)) {
                let args = json!({ "offset": range.offset, "len_bytes": range.len_bytes, "why": range.damage.to_string() });
                self.loss_slice(
                    "damaged block",
                    from_ns.max(self.start_ns),
                    to_ns.max(self.start_ns),
                    &args,
                )?;
            }
        }
        if self.text.ends_with(b",\n") {
            self.text.truncate(self.text.len() - 2);
        }
        self.put(b"\n],\"otherData\":");
        let about = self.about(analysis);
        push_json(&mut self.text, &about);
        self.put(b"}\n");
        self.out.write_all(&self.text)?;
        self.out.flush()?;
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

impl<W: Write> Sink for Chrome<'_, W> {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        for row in rows {
            let Some(piece) = self.pieces.sites.get(columns.site[row] as usize) else { continue };
            piece.push(&mut self.text, columns, row);
            self.put_probe_place(columns.thread[row], columns.time_ns[row]);
            self.end_event()?;
        }
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        match (span.class, span.begin, span.end) {
            (Class::Complete, Some(begin), Some(end)) => self.stage_slice(span, begin, end),
            _ => self.irregular(span),
        }
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        // A slice holds the moment before its end, not its end.
        let inside = |edge: Edge, point: Point| {
            if edge.side == Side::End && self.shapes[edge.stage as usize] == Shape::OnThread {
                point.time_ns.saturating_sub(1)
            } else {
                point.time_ns
            }
        };
        let arrived_ns = inside(hand_off.to, hand_off.arrived);
        let left_ns = inside(hand_off.from, hand_off.left).min(arrived_ns);
        let id = self.next_id();
        self.flow_end(hand_off, false, id, left_ns)?;
        self.flow_end(hand_off, true, id, arrived_ns)
    }

    fn gap(&mut self, gap: &Gap) -> io::Result<()> {
        let site = self.trace.definitions.sites.get(gap.site as usize).map(tracer_format::Site::name);
        let args = json!({ "count": gap.count, "probe": site });
        self.loss_slice(&gap_name(gap), gap.from_ns, gap.to_ns, &args)
    }
}
