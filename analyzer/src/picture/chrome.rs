//! A trace as Chrome JSON, for Perfetto, chrome://tracing and other viewers.
//!
//! - A complete span is one slice of category `stage`: on its thread (`B`, `E`) where all spans of its stage nest there,
//!   else asynchronous (`b`, `e`) in the process where it began.
//! - A hand-off is one flow arrow (`s`, `f`) from slice to slice; where a stage is asynchronous, a slice of no length and
//!   category `hand-off` on the thread holds its end. A negative hand-off leaves where it arrives: arrows go forward.
//! - An event is an instant of category `probe` on a track beside its thread's. A begin or end that is part of no
//!   complete span is one more instant there, of category `irregular`, named by its stage and class.
//! - Lost events and damaged blocks are slices in a process of their own.
//! - What to look at first is in another one: verdict, findings and slowest buffers are slices of categories of their names, and
//!   how many are under way and wait are counters (`C`).
//!
//! Times are microseconds with three decimals since the first event or loss; the trace is walked twice and written as
//! it is walked, so memory does not grow with it.

mod overview;
mod text;
mod viewer_names;

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Value, json};
use tracer_format::{Columns, ThreadId, Trace};

use super::buffers::key_groups;
use super::canvas::{Arrow, Brush, Canvas, Instant, Missing, Scene, Slice, What, draw};
use super::count::Counter;
use super::lanes::Lanes;
use super::layout::Shape;
use super::overview::Note;
use super::tracks::Tracks;
use super::{Drawn, start_ns};
use crate::Result;
use crate::pair::{Edge, HandOff, Point, Side};
use crate::select::clock::{anchors, realtime_ns, rfc3339};
use crate::select::{Outcome, Selection};
use crate::stage::{KeyValue, Stage};
use text::{Pieces, SitePieces, TrackTexts, piece, push_id, push_json, push_key, push_micros};
use viewer_names::ViewerNames;

/// Bytes that are collected before they are written: so many that a buffer behind passes them on without a copy.
const WRITE_BYTES: usize = 1 << 18;
/// The end of an event.
const END: &[u8] = b"},\n";
/// What stands between two.
const SEPARATOR: &[u8] = b",\n";

/// Writes the selected events of `trace`, and what `stages` make of them, to `out`, as far as it is to be `drawn`.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if `out` fails; [`Error::Missing`](crate::Error::Missing) if buffers cannot have tracks. Damage
/// is no error: it is in the outcome.
pub fn export<'a>(
    trace: &'a Trace<'a>,
    selection: &Selection,
    stages: &'a [Stage],
    drawn: impl Into<Drawn>,
    out: &mut impl Write,
) -> Result<Outcome> {
    let start_ns = start_ns(trace, selection);
    let tracks = Tracks::new(&trace.definitions);
    let probes = Arc::new(TrackTexts::of_probes(&tracks));
    let brush = JsonBrush::new(trace, probes.clone(), start_ns);
    draw((trace, selection), stages, (&brush, drawn.into()), |scene| {
        Chrome::new(scene, (tracks, probes), start_ns, out)
    })
}

/// Draws events.
struct JsonBrush {
    sites: SitePieces,
    /// Of the tracks with the probes of threads.
    tracks: Arc<TrackTexts>,
    start_ns: u64,
}

impl JsonBrush {
    fn new(trace: &Trace<'_>, tracks: Arc<TrackTexts>, start_ns: u64) -> Self {
        let sites = SitePieces::new(&trace.definitions.sites);
        Self { sites, tracks, start_ns }
    }
}

impl Brush for JsonBrush {
    fn event(&self, columns: &Columns, row: usize, out: &mut Vec<u8>) {
        let Some(site) = self.sites.get(columns.site[row].index()) else { return };
        site.push(out, columns, row);
        if let Some(track) = self.tracks.get(columns.thread[row].index()) {
            out.extend_from_slice(track);
        }
        push_micros(out, columns.time_ns[row].saturating_sub(self.start_ns));
        out.extend_from_slice(END);
    }
}

/// Writes what was collected in `text`. What parts an event from the next stays: this may have been the last one.
fn write(text: &mut Vec<u8>, out: &mut impl Write) -> io::Result<()> {
    let ended = text.strip_suffix(SEPARATOR);
    out.write_all(ended.unwrap_or(text))?;
    let stays = if ended.is_some() { SEPARATOR } else { b"" };
    text.clear();
    text.extend_from_slice(stays);
    Ok(())
}

struct Chrome<'a, W> {
    out: &'a mut W,
    text: Vec<u8>,
    /// The place of an end of an arrow: several events stand there.
    place: Vec<u8>,
    trace: &'a Trace<'a>,
    stages: &'a [Stage],
    tracks: Tracks,
    pieces: Pieces,
    start_ns: u64,
    /// For each stage, those whose keys are the same; threads that stand for buffers by those and the key.
    key_groups: Vec<Option<u32>>,
    buffer_lanes: HashMap<(Option<u32>, KeyValue), Lanes>,
    /// Threads that stand for lanes of the overview.
    note_lanes: Vec<u32>,
    /// Number of the last asynchronous slice or flow.
    last_id: u64,
}

impl<'a, W: Write> Chrome<'a, W> {
    fn new(
        scene: Scene<'a, '_>,
        (tracks, probes): (Tracks, Arc<TrackTexts>),
        start_ns: u64,
        out: &'a mut W,
    ) -> io::Result<Self> {
        let Scene { trace, stages, .. } = scene;
        let mut chrome = Self {
            out,
            text: Vec::with_capacity(WRITE_BYTES * 2),
            place: Vec::new(),
            trace,
            stages,
            pieces: Pieces::new(&tracks, probes, stages),
            tracks,
            start_ns,
            key_groups: key_groups(stages),
            buffer_lanes: HashMap::new(),
            note_lanes: Vec::new(),
            last_id: 0,
        };
        chrome.put(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
        ViewerNames { text: &mut chrome.text, out: chrome.out }.push(trace, (&chrome.tracks, scene.ranks))?;
        chrome.begin_own(scene)?;
        Ok(chrome)
    }

    /// Says what a process or a thread is, as [`ViewerNames::say`] does.
    fn say(&mut self, kind: &str, place: (u32, u32), args: &Value) -> io::Result<()> {
        ViewerNames { text: &mut self.text, out: self.out }.say(kind, place, args)
    }

    /// Ends the event that was appended.
    fn end_event(&mut self) -> io::Result<()> {
        self.text.extend_from_slice(END);
        self.write_if_full()
    }

    fn write_if_full(&mut self) -> io::Result<()> {
        if self.text.len() >= WRITE_BYTES { write(&mut self.text, self.out) } else { Ok(()) }
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

    /// Both ends of flow arrow `id`, and a slice to hold an end where the stage has none on the thread.
    fn flow_ends(&mut self, arrow: &Arrow, id: u64, times_ns: [u64; 2]) {
        let HandOff { from, to, left, arrived, .. } = arrow.hand_off;
        let (piece, threads) = self.pieces.hand_off(from, to, self.stages);
        let text = &mut self.text;
        for (end, point) in [left, arrived].into_iter().enumerate() {
            self.place.clear();
            if let Some(thread) = threads.get(point.thread.index()) {
                self.place.extend_from_slice(thread);
            }
            push_micros(&mut self.place, times_ns[end].saturating_sub(self.start_ns));
            self.place.extend_from_slice(END);
            let is_held = arrow.shapes[end] != Shape::OnThread;
            if is_held {
                text.extend_from_slice(&piece.slice[0]);
                text.extend_from_slice(&self.place);
            }
            text.extend_from_slice(&piece.arrow[end]);
            push_id(text, id);
            text.extend_from_slice(&self.place);
            if is_held {
                text.extend_from_slice(&piece.slice[1]);
                text.extend_from_slice(&self.place);
            }
        }
    }

    /// What the trace tells about itself.
    fn about(&self, outcome: &Outcome) -> Value {
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
    fn events(&mut self, drawn: &[u8]) -> io::Result<()> {
        let Some(drawn) = drawn.strip_suffix(SEPARATOR) else { return Ok(()) };
        self.out.write_all(&self.text)?;
        self.text.clear();
        self.put(SEPARATOR);
        self.out.write_all(drawn)
    }

    fn note(&mut self, note: &Note) -> io::Result<()> {
        self.push_note(note)
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        self.push_counter(counter)
    }

    fn slice(&mut self, slice: Slice) -> io::Result<()> {
        let is_async = slice.shape == Shape::Async;
        let id = if is_async { self.next_id() } else { 0 };
        let buffer = if slice.shape == Shape::OnBuffer { Some(self.buffer_lane(&slice)?) } else { None };
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
            match buffer {
                Some(place) => self.put_own_place(place, time_ns),
                None => self.put_place(slice.begin.thread, time_ns),
            }
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
        self.flow_ends(arrow, id, [left_ns, arrived_ns]);
        self.write_if_full()
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
            self.put_own_place((pid, pid), time_ns);
            self.end_event()?;
        }
        Ok(())
    }

    fn finish(mut self, outcome: &Outcome) -> io::Result<()> {
        write(&mut self.text, self.out)?;
        self.text.clear();
        self.put(b"\n],\"otherData\":");
        let about = self.about(outcome);
        push_json(&mut self.text, &about);
        self.put(b"}\n");
        self.out.write_all(&self.text)?;
        self.out.flush()
    }
}
