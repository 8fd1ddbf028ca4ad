//! What a picture is made of, whatever a viewer's format is, and the walk over a trace that draws it.

use std::io;
use std::ops::Range;

use tracer_format::{Columns, DamagedRange, Gap, Maker, Trace};

use super::buffers::BufferCount;
use super::count::{CountWatch, Counter};
use super::layout::{Layout, Shape};
use super::order::EdgeThreads;
use super::overview::{Note, Overview, SLOWEST, overview};
use super::{Drawn, Probes, SpanPlace, gap_name};
use crate::Result;
use crate::analysis::diagnosis::{Watch, diagnose};
use crate::analysis::{Extent, MadeSink, Pass, look};
use crate::pair::{Class, Edge, HandOff, KeyTexts, Point, Sink, Span};
use crate::select::{Outcome, Selection};
use crate::stage::{KeyValue, Stage};

/// Draws events: an instant each, beside its thread. As no event needs to know of another, threads draw them side by side.
pub(super) trait Brush: Sync {
    /// Appends the event of row `row`.
    fn event(&self, columns: &Columns, row: usize, out: &mut Vec<u8>);
}

/// Takes the parts of a picture, in the order in which a walk over the trace finds them.
pub(super) trait Canvas {
    /// Takes events that a [`Brush`] drew.
    fn events(&mut self, drawn: &[u8]) -> io::Result<()>;

    /// Draws what is to be looked at first.
    fn note(&mut self, note: &Note) -> io::Result<()>;

    /// Draws how many there are of something.
    fn counter(&mut self, counter: &Counter) -> io::Result<()>;

    /// Draws a complete span.
    fn slice(&mut self, slice: Slice) -> io::Result<()>;

    /// Draws a begin or end that is part of no complete span.
    fn instant(&mut self, instant: Instant) -> io::Result<()>;

    /// Draws an arrow between two slices, after the slice that completed the hand-off.
    fn flow(&mut self, arrow: &Arrow) -> io::Result<()>;

    /// Draws a time in which something is missing.
    fn missing(&mut self, missing: &Missing<'_>) -> io::Result<()>;

    /// Nothing more comes.
    fn finish(self, outcome: &Outcome) -> io::Result<()>;
}

/// A key, and how it is shown if a part of it is a string.
#[derive(Debug, Clone)]
pub(super) struct ShownKey {
    pub(super) value: KeyValue,
    pub(super) text: Option<String>,
}

impl ShownKey {
    /// What the track of the buffer is called.
    pub(super) fn buffer_name(&self) -> String {
        match &self.text {
            Some(text) => format!("buffer {text}"),
            None => format!("buffer {}", self.value),
        }
    }
}

/// A complete span.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    pub(super) stage: u32,
    pub(super) shape: Shape,
    pub(super) key: ShownKey,
    pub(super) begin: Point,
    pub(super) end: Point,
    pub(super) reordered: bool,
}

/// A begin or end that is part of no complete span.
#[derive(Debug, Clone)]
pub(super) struct Instant {
    pub(super) stage: u32,
    pub(super) class: Class,
    pub(super) key: ShownKey,
    pub(super) point: Point,
    /// End minus begin, if both were seen.
    pub(super) latency_ns: Option<i64>,
}

/// An arrow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrow {
    pub(super) hand_off: HandOff,
    /// How the stages are drawn that it leaves and arrives at.
    pub(super) shapes: [Shape; 2],
}

/// A time in which something is missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missing<'a> {
    /// Name of its track.
    pub(super) name: &'a str,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    pub(super) what: What<'a>,
}

/// What is missing.
#[derive(Debug, Clone, Copy)]
pub(super) enum What<'a> {
    /// Events, and their probe if it is known.
    Events(u64, Option<&'a str>),
    /// Bytes of the file.
    Bytes(&'a DamagedRange),
}

/// What must be known before the first part is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a, 'w> {
    pub(super) trace: &'a Trace<'a>,
    pub(super) stages: &'a [Stage],
    /// How each stage is drawn.
    pub(super) shapes: &'w [Shape],
    /// The ways between stages that will be drawn.
    pub(super) ways: &'w [(Edge, Edge)],
    /// The place of each process, from 0 on.
    pub(super) ranks: &'w [usize],
    /// Lanes of the overview; without them and without counters there is none.
    pub(super) lanes: &'w [&'static str],
    pub(super) has_counters: bool,
}

impl Scene<'_, '_> {
    pub(super) fn has_overview(&self) -> bool {
        self.has_counters || !self.lanes.is_empty()
    }
}

/// What the first walk over a trace finds.
struct FirstLook {
    layout: Layout,
    ranks: Vec<usize>,
    overview: Overview,
    counters: Vec<Counter>,
}

/// Looks at all that is to be drawn, without drawing it.
fn first_look(
    (trace, selection): (&Trace<'_>, &Selection),
    stages: &[Stage],
    place: SpanPlace,
) -> Result<FirstLook> {
    let time_ns = selection.time_range(trace);
    let layout = Layout::new(stages, trace.definitions.threads.len(), place);
    let buffers = (place == SpanPlace::Buffers).then(|| BufferCount::new(stages));
    let counts = CountWatch::new(stages, time_ns, trace.events());
    let watch = Watch::new(stages, &trace.definitions, time_ns);
    let mut sinks = ((layout, buffers), (EdgeThreads::new(trace.definitions.threads.len()), (counts, watch)));
    let analysis = look((trace, selection), stages, Extent::Counts, &mut sinks)?;
    let ((layout, buffers), (threads, (counts, watch))) = sinks;
    buffers.map_or(Ok(()), |buffers| buffers.check())?;
    let diagnosis = diagnose(watch, &analysis, SLOWEST);
    let paths = std::iter::once(&diagnosis).chain(&diagnosis.others);
    let path: Vec<Edge> = paths.flat_map(|path| path.route.edges.iter().copied()).collect();
    Ok(FirstLook {
        layout,
        ranks: threads.ranks(&trace.definitions, &path),
        overview: overview(&diagnosis, time_ns),
        counters: counts.counters(stages),
    })
}

/// Draws the selected events of `trace` with `brush`, and what `stages` make of them on the canvas that `make` makes: what is
/// paired is looked at once to see which slices fit on a thread, and once more to draw.
pub(super) fn draw<'a, C: Canvas>(
    (trace, selection): (&'a Trace<'a>, &Selection),
    stages: &'a [Stage],
    (brush, drawn): (&impl Brush, Drawn),
    make: impl FnOnce(Scene<'a, '_>) -> io::Result<C>,
) -> Result<Outcome> {
    let FirstLook { mut layout, ranks, overview, counters } =
        first_look((trace, selection), stages, drawn.spans)?;
    let ways = layout.take_ways();
    let shapes = layout.shapes;
    let mut canvas = make(Scene {
        trace,
        stages,
        shapes: &shapes,
        ways: &ways,
        ranks: &ranks,
        lanes: &overview.lanes,
        has_counters: !counters.is_empty(),
    })?;
    overview.notes.iter().try_for_each(|note| canvas.note(note))?;
    counters.iter().try_for_each(|counter| canvas.counter(counter))?;
    let texts = KeyTexts::new(stages, &trace.definitions);
    let late = Painted::default();
    let mut drawing = Drawing { trace, shapes, texts, canvas, brush, late, events: 0 };
    let painter = || Painter { trace, selection, brush, probes: drawn.probes };
    let passed = Pass { trace, selection, stages }.run(painter, &mut drawing)?;
    let outcome = passed.outcome(trace, selection, drawing.events);
    for range in &outcome.damage {
        let block = trace.blocks.iter().find(|block| block.offset == range.offset);
        if let Some((from_ns, to_ns)) = block.map(|block| (block.first_ns, block.last_ns)) {
            let what = What::Bytes(range);
            drawing.canvas.missing(&Missing { name: "damaged block", from_ns, to_ns, what })?;
        }
    }
    drawing.canvas.finish(&outcome)?;
    Ok(outcome)
}

/// Draws the selected events of pieces, on the threads that decode them.
struct Painter<'a, B> {
    trace: &'a Trace<'a>,
    selection: &'a Selection,
    brush: &'a B,
    probes: Probes,
}

/// Bytes that are drawn ahead of a piece: names may be long, and pieces wait for each other.
const AHEAD_BYTES: usize = 1 << 20;

/// What was drawn of a piece.
#[derive(Default)]
struct Painted {
    bytes: Vec<u8>,
    /// The first row that is not drawn yet, if there was too much.
    rest: Option<usize>,
}

impl<B: Brush> Maker for Painter<'_, B> {
    type Made = Painted;

    fn make(&mut self, columns: &Columns, rows: Range<usize>, made: &mut Painted) {
        made.bytes.clear();
        made.rest = None;
        if self.probes == Probes::LeftOut {
            return;
        }
        let drawn = self.selection.rows(self.trace, columns, rows, |mut rows| {
            let rest = rows.find(|&row| {
                let is_full = made.bytes.len() >= AHEAD_BYTES;
                if !is_full {
                    self.brush.event(columns, row, &mut made.bytes);
                }
                is_full
            });
            rest.map_or(Ok(()), Err)
        });
        made.rest = drawn.err();
    }
}

/// Hands what a walk finds to a canvas.
struct Drawing<'a, 'b, B, C> {
    trace: &'a Trace<'a>,
    shapes: Vec<Shape>,
    texts: KeyTexts,
    canvas: C,
    brush: &'b B,
    /// What is drawn here, because it was too much to be drawn ahead.
    late: Painted,
    events: u64,
}

impl<B: Brush, C: Canvas> MadeSink<Painted> for Drawing<'_, '_, B, C> {
    fn made(&mut self, painted: &Painted) -> io::Result<()> {
        self.late.rest = painted.rest;
        self.canvas.events(&painted.bytes)
    }
}

impl<B: Brush, C: Canvas> Sink for Drawing<'_, '_, B, C> {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        self.events += rows.len() as u64;
        self.texts.events(columns, rows.clone());
        let Painted { bytes, rest: Some(rest) } = &mut self.late else { return Ok(()) };
        for row in rows.filter(|row| *row >= *rest) {
            bytes.clear();
            self.brush.event(columns, row, bytes);
            self.canvas.events(bytes)?;
        }
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        let Span { stage, class, reordered, .. } = *span;
        let key = ShownKey { value: span.key, text: self.texts.text(stage, &span.key) };
        if let (Class::Complete, Some(begin), Some(end)) = (class, span.begin, span.end) {
            let shape = self.shapes[stage as usize];
            return self.canvas.slice(Slice { stage, shape, key, begin, end, reordered });
        }
        let latency_ns = span.latency_ns();
        for point in [span.begin, span.end].into_iter().flatten() {
            self.canvas.instant(Instant { stage, class, key: key.clone(), point, latency_ns })?;
        }
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        let shapes = [hand_off.from, hand_off.to].map(|edge| self.shapes[edge.stage as usize]);
        self.canvas.flow(&Arrow { hand_off: *hand_off, shapes })
    }

    fn gap(&mut self, gap: &Gap) -> io::Result<()> {
        let site = self.trace.definitions.site(gap.site);
        let probe = site.map(tracer_format::Site::name);
        let what = What::Events(gap.count, probe.as_deref());
        let (name, from_ns, to_ns) = (&gap_name(gap), gap.from_ns, gap.to_ns);
        self.canvas.missing(&Missing { name, from_ns, to_ns, what })
    }
}
