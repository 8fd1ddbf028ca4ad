//! A trace in Perfetto's own format, a sequence of protobuf packets
//! (<https://perfetto.dev/docs/reference/trace-packet-proto>).
//!
//! - A complete span is one slice of category `stage`: on its thread where all spans of its stage nest there, else on a
//!   track of its stage in the process where it began.
//! - A hand-off is one flow, from slice to slice; where a stage has tracks of its own, an instant of category `hand-off` on
//!   the thread holds its end. A span that hands on to the same stage several times hands on to the first of them, and
//!   that to the next.
//! - An event is an instant of category `probe` on a track for its thread, in a group of its process. A begin or end that is part of no complete span
//!   is one more instant there, of category `irregular`, named by its stage and class.
//! - Lost events and damaged blocks are slices in a process of their own.
//! - What to look at first is beside the processes: verdict, findings and slowest buffers are slices of categories of their names,
//!   and how many are under way and wait are counters, whose values are absolute.
//!
//! Times are those of the trace, CLOCK_MONOTONIC ns; the clock anchors tie them to the calendar. All packets are one
//! sequence, and not in order of time: viewers sort. The trace is walked twice and written as it is walked, so memory does
//! not grow with it, but for the tracks of slices that overlap at one time.

mod event;
mod machine;
mod names;
mod overview;
mod packet;
mod track;
mod wire;

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use tracer_format::{Columns, Site, Trace};

use super::buffers::key_groups;
use super::canvas::{Arrow, Brush, Canvas, Instant, Missing, Scene, Slice, What, draw};
use super::count::Counter;
use super::lanes::Lanes;
use super::layout::Shape;
use super::overview::Note;
use super::tracks::{BUFFERS_RANK, LOSS_RANK, Tracks};
use super::{Drawn, start_ns};
use crate::Result;
use crate::analysis::EdgeMap;
use crate::pair::{Edge, HandOff, Point, Side};
use crate::select::{Outcome, Selection};
use crate::stage::{KeyValue, Stage};
use event::{
    Category, Name, Type, push_flow, push_head, push_key, push_named, push_probe, push_signed, push_string,
    push_track, push_true, push_unsigned,
};
use names::Interned;
use packet::push_event;
use track::{ChildOrder, ProcessTrack, Uuids, push_group, push_lane, push_process};

/// Bytes that are collected before they are written: so many that a buffer behind passes them on without a copy.
const WRITE_BYTES: usize = 1 << 18;

/// Set in the ids of flows that are made of what both ends know, clear in those that are counted.
const MADE: u64 = 1 << 63;

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
    let brush = PacketBrush::new(trace);
    draw((trace, selection), stages, (&brush, drawn.into()), |scene| {
        Perfetto::new(scene, start_ns(trace, selection), out)
    })
}

/// Draws events.
struct PacketBrush<'t> {
    sites: &'t [Arc<Site>],
    uuids: Uuids,
}

impl<'t> PacketBrush<'t> {
    fn new(trace: &'t Trace<'_>) -> Self {
        Self { sites: &trace.definitions.sites, uuids: Uuids::new(&trace.definitions) }
    }
}

impl Brush for PacketBrush<'_> {
    fn event(&self, columns: &Columns, row: usize, out: &mut Vec<u8>) {
        let index = columns.site[row].index();
        let Some(site) = self.sites.get(index) else { return };
        push_event(out, columns.time_ns[row], |out| {
            push_probe(out, (site, names::probe(index)), columns, row);
            push_track(out, self.uuids.probes(columns.thread[row]));
        });
    }
}

struct Perfetto<'a, W> {
    out: &'a mut W,
    packets: Vec<u8>,
    trace: &'a Trace<'a>,
    stages: &'a [Stage],
    tracks: Tracks,
    uuids: Uuids,
    interned: Interned,
    /// Interned id of the name of each way between stages, which stands for the way.
    ways: EdgeMap<u64>,
    /// Flows that each stage's slices begin with, as their other end comes later, by way; and the end of the span that
    /// the id is made of.
    flows_ahead: Vec<Vec<(u64, Side)>>,
    /// The slice that came last, and the flows to and from spans that came before it.
    last: Option<Slice>,
    last_flows: Vec<u64>,
    /// Tracks by stage and process; by name in the process of what is missing.
    stage_lanes: HashMap<(u32, u64), Lanes>,
    /// For each stage, those whose keys are the same; tracks by those and the key.
    key_groups: Vec<Option<u32>>,
    buffer_lanes: HashMap<(Option<u32>, KeyValue), Lanes>,
    /// Tracks of the overview, by lane.
    note_lanes: Vec<u64>,
    loss_lanes: HashMap<String, Lanes>,
    /// Number of flows that were counted.
    flows: u64,
}

impl<'a, W: Write> Perfetto<'a, W> {
    fn new(scene: Scene<'a, '_>, start_ns: u64, out: &'a mut W) -> io::Result<Self> {
        let Scene { trace, stages, shapes, ways: known, .. } = scene;
        let definitions = &trace.definitions;
        let interned = Interned::new(definitions, stages, known);
        let mut ways = EdgeMap::default();
        let mut flows_ahead = vec![Vec::new(); stages.len()];
        for (&(from, to), way) in known.iter().zip(interned.hand_offs()) {
            ways.get_or_insert(from, to, || way);
            if let Some(edge) = made_of(from, to)
                && shapes[edge.stage as usize] == Shape::OnThread
            {
                flows_ahead[edge.stage as usize].push((way, edge.side));
            }
        }
        let mut perfetto = Self {
            out,
            packets: Vec::with_capacity(WRITE_BYTES * 2),
            trace,
            stages,
            tracks: Tracks::new(definitions),
            uuids: Uuids::new(definitions),
            interned,
            ways,
            flows_ahead,
            last: None,
            last_flows: Vec::new(),
            stage_lanes: HashMap::new(),
            key_groups: key_groups(stages),
            buffer_lanes: HashMap::new(),
            note_lanes: Vec::new(),
            loss_lanes: HashMap::new(),
            flows: 0,
        };
        perfetto.preamble(scene, start_ns)?;
        Ok(perfetto)
    }

    fn preamble(&mut self, scene: Scene<'a, '_>, start_ns: u64) -> io::Result<()> {
        let definitions = &self.trace.definitions;
        machine::push_clocks(&mut self.packets, self.trace, start_ns);
        machine::push_host(&mut self.packets, definitions);
        self.interned.push(&mut self.packets);
        let (out, tracks) = (&mut *self.out, (&self.tracks, scene.ranks));
        track::push_tracks(&mut self.packets, definitions, tracks, &self.uuids, |packets| {
            write_if_full(packets, out)
        })?;
        if !self.trace.gaps.is_empty() || !self.trace.damage.is_empty() {
            let (uuid, pid) = (self.uuids.loss, self.tracks.loss_pid);
            let process = ProcessTrack { uuid, pid, rank: LOSS_RANK, name: "lost events", command: &[] };
            push_process(&mut self.packets, process);
        }
        if scene.shapes.contains(&Shape::OnBuffer) {
            let place = ("tracks of buffers", BUFFERS_RANK);
            push_group(&mut self.packets, self.uuids.buffers, place, ChildOrder::Time);
        }
        self.begin_overview(scene);
        Ok(())
    }

    fn write_if_full(&mut self) -> io::Result<()> {
        write_if_full(&mut self.packets, self.out)
    }

    /// Appends the slice of the span that came last.
    fn last_slice(&mut self) -> io::Result<()> {
        let Some(slice) = self.last.take() else { return Ok(()) };
        let Slice { begin, end, .. } = slice;
        let stage = slice.stage as usize;
        let track = match slice.shape {
            Shape::OnThread => self.uuids.thread(begin.thread),
            Shape::Async => self.stage_lane(slice.stage, begin, end),
            Shape::OnBuffer => self.buffer_lane(&slice),
        };
        let name = self.interned.stage(stage);
        let mut flows = std::mem::take(&mut self.last_flows);
        for &(way, side) in &self.flows_ahead[stage] {
            flows.push(flow_id(way, if side == Side::Begin { begin } else { end }, &slice.key.value));
        }
        push_event(&mut self.packets, begin.time_ns, |out| {
            push_head(out, Type::SliceBegin, Some((Category::Stage, name)));
            push_track(out, track);
            push_key(out, &slice.key);
            if slice.reordered {
                push_true(out, Name::Reordered);
            }
            flows.drain(..).for_each(|id| push_flow(out, id));
        });
        self.last_flows = flows;
        self.slice_end(end.time_ns, track);
        self.write_if_full()
    }

    fn slice_end(&mut self, time_ns: u64, track: u64) {
        push_event(&mut self.packets, time_ns, |out| {
            push_head(out, Type::SliceEnd, None);
            push_track(out, track);
        });
    }

    /// A track of the stage in the process where the span begins.
    fn stage_lane(&mut self, stage: u32, begin: Point, end: Point) -> u64 {
        let process = self.uuids.process_of(begin.thread, &self.trace.definitions);
        let lanes = self.stage_lanes.entry((stage, process)).or_default();
        lanes.take(begin.time_ns, end.time_ns, || {
            let track = self.uuids.take();
            push_lane(&mut self.packets, track, process, &self.stages[stage as usize].name);
            track
        })
    }

    /// A track of the buffer.
    fn buffer_lane(&mut self, slice: &Slice) -> u64 {
        let group = self.key_groups[slice.stage as usize];
        let lanes = self.buffer_lanes.entry((group, slice.key.value)).or_default();
        lanes.take(slice.begin.time_ns, slice.end.time_ns, || {
            let track = self.uuids.take();
            push_lane(&mut self.packets, track, self.uuids.buffers, &slice.key.buffer_name());
            track
        })
    }

    /// An instant on the thread, to hold an end of a flow.
    fn hold_flow(&mut self, way: u64, point: Point, time_ns: u64, id: u64) {
        let track = self.uuids.thread(point.thread);
        push_event(&mut self.packets, time_ns, |out| {
            push_head(out, Type::Instant, Some((Category::HandOff, way)));
            push_track(out, track);
            push_flow(out, id);
        });
    }
}

/// Writes packets if there are many.
fn write_if_full(packets: &mut Vec<u8>, out: &mut impl Write) -> io::Result<()> {
    if packets.len() >= WRITE_BYTES {
        out.write_all(packets)?;
        packets.clear();
    }
    Ok(())
}

/// Which end of a way between stages its flow's id is made of: of the span that is complete first, so that its slice
/// carries the id already. `None` if that cannot be told.
fn made_of(from: Edge, to: Edge) -> Option<Edge> {
    match (from.side, to.side) {
        (Side::End, _) => Some(from),
        (Side::Begin, Side::Begin) => Some(to),
        (Side::Begin, Side::End) => None,
    }
}

/// The id of the flow that goes `way` from or to `point`: no thread fires twice in one nanosecond.
fn flow_id(way: u64, point: Point, key: &KeyValue) -> u64 {
    let parts = key.words().iter().map(|part| part.cast_unsigned());
    let mix = |id: u64, part: u64| {
        let id = (id ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        id ^ id >> 32
    };
    [way, point.time_ns, point.thread.into()].into_iter().chain(parts).fold(0, mix) | MADE
}

impl<W: Write> Canvas for Perfetto<'_, W> {
    fn events(&mut self, drawn: &[u8]) -> io::Result<()> {
        self.out.write_all(&self.packets)?;
        self.packets.clear();
        self.out.write_all(drawn)
    }

    fn note(&mut self, note: &Note) -> io::Result<()> {
        self.push_note(note);
        self.write_if_full()
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        self.push_counter(counter);
        self.write_if_full()
    }

    /// It is appended when all of its flows are known: when the next comes.
    fn slice(&mut self, slice: Slice) -> io::Result<()> {
        self.last_slice()?;
        self.last = Some(slice);
        Ok(())
    }

    fn instant(&mut self, instant: Instant) -> io::Result<()> {
        self.last_slice()?;
        let name = self.interned.irregular(instant.stage as usize, instant.class);
        let track = self.uuids.probes(instant.point.thread);
        push_event(&mut self.packets, instant.point.time_ns, |out| {
            push_head(out, Type::Instant, Some((Category::Irregular, name)));
            push_track(out, track);
            push_key(out, &instant.key);
            if let Some(latency_ns) = instant.latency_ns {
                push_signed(out, Name::LatencyNs, latency_ns);
            }
        });
        self.write_if_full()
    }

    fn flow(&mut self, arrow: &Arrow) -> io::Result<()> {
        let Some(last) = &self.last else { return Ok(()) };
        let HandOff { from, to, left, arrived, ref key, .. } = arrow.hand_off;
        let way = *self.ways.get_or_insert(from, to, || 0);
        // Of the two spans, one is the last that was complete.
        let is_to = to.stage == last.stage;
        let (other, point) = if is_to { (from, left) } else { (to, arrived) };
        let [from_shape, to_shape] = arrow.shapes;
        let other_shape = if is_to { from_shape } else { to_shape };
        let carries_id = made_of(from, to) == Some(other) && other_shape == Shape::OnThread;
        let id = if carries_id {
            flow_id(way, point, key)
        } else {
            self.flows += 1;
            self.flows
        };
        // Flows go forward in time, also where the hand-off is negative.
        let left_ns = left.time_ns.min(arrived.time_ns);
        let own = if is_to { to } else { from };
        let ends = [(from, left, left_ns, from_shape), (to, arrived, arrived.time_ns, to_shape)];
        for (edge, point, time_ns, shape) in ends {
            if edge == own && shape == Shape::OnThread {
                self.last_flows.push(id);
            } else if edge == own || !carries_id {
                self.hold_flow(way, point, time_ns, id);
            }
        }
        self.write_if_full()
    }

    /// A slice in the process of what is missing.
    fn missing(&mut self, missing: &Missing<'_>) -> io::Result<()> {
        let Missing { name, from_ns, to_ns, what } = *missing;
        if matches!(what, What::Bytes(_)) {
            // The walk is over: the last slice has all of its flows.
            self.last_slice()?;
        }
        let lanes = self.loss_lanes.entry(name.to_owned()).or_default();
        let track = lanes.take(from_ns, to_ns, || {
            let track = self.uuids.take();
            push_lane(&mut self.packets, track, self.uuids.loss, name);
            track
        });
        push_event(&mut self.packets, from_ns, |out| {
            push_named(out, Category::Loss, name);
            push_track(out, track);
            match what {
                What::Events(count, probe) => {
                    push_unsigned(out, Name::Count, count);
                    if let Some(probe) = probe {
                        push_string(out, Name::Probe, probe);
                    }
                }
                What::Bytes(range) => {
                    push_unsigned(out, Name::Offset, range.offset);
                    push_unsigned(out, Name::LenBytes, range.len_bytes);
                    push_string(out, Name::Why, &range.damage.to_string());
                }
            }
        });
        self.slice_end(to_ns, track);
        self.write_if_full()
    }

    fn finish(mut self, _: &Outcome) -> io::Result<()> {
        self.last_slice()?;
        self.out.write_all(&self.packets)?;
        self.out.flush()
    }
}
