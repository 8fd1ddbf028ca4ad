//! Perfetto's format: what it looks like, and that a viewer finds in it exactly what the analysis counts.

mod made;
mod packets;

use std::collections::{BTreeMap, HashMap};

use made::{DOCUMENTED_LOG, golden, log_of, pipeline_log, trace_of};
use packets::{Value, fields, text_of};
use proptest::prelude::*;
use tracer_analyzer::analysis::{Analysis, analyze};
use tracer_analyzer::pair::{Class, HandOff, Sink, Span};
use tracer_analyzer::picture::perfetto::export;
use tracer_analyzer::picture::{Drawn, Probes, SpanPlace};
use tracer_analyzer::select::{Filter, Selection};
use tracer_analyzer::stage::{Stage, choose};
use tracer_format::Trace;

/// What the analysis hands on.
#[derive(Debug, Default)]
struct Found {
    spans: Vec<Span>,
    hand_offs: Vec<HandOff>,
}

impl Sink for Found {
    fn span(&mut self, span: &Span) -> std::io::Result<()> {
        self.spans.push(*span);
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> std::io::Result<()> {
        self.hand_offs.push(*hand_off);
        Ok(())
    }
}

fn exported(log: &str) -> (Analysis, Found, Vec<u8>) {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let drafts = choose(&[], &trace.definitions).unwrap();
    let stages: Vec<Stage> = drafts.into_iter().map(|draft| draft.stage).collect();
    let (mut found, mut out) = (Found::default(), Vec::new());
    let analysis = analyze(&trace, &Selection::all(), &stages, &mut found).unwrap();
    assert_eq!(
        export(&trace, &Selection::all(), &stages, Probes::Drawn, &mut out).unwrap(),
        analysis.outcome
    );
    (analysis, found, out)
}

/// What a viewer makes of a trace.
#[derive(Debug, Default)]
struct Viewed {
    slices: Vec<Slice>,
    /// Slices that a flow goes from and to.
    flows: Vec<(usize, usize)>,
    /// Points of counters: track, time, value.
    points: Vec<(u64, u64, u64)>,
}

#[derive(Debug)]
struct Slice {
    category: u64,
    begin_ns: u64,
    end_ns: u64,
}

/// Reads packets as Trace Processor does: events in order of time, ends close what was opened last on their track, flows
/// connect each slice with the one before that has their id.
fn view(trace: &[u8]) -> Viewed {
    let mut events: Vec<(u64, BTreeMap<u32, u64>, Vec<u64>)> = Vec::new();
    for (_, packet) in fields(trace) {
        let Value::Bytes(packet) = packet else { panic!("no packet") };
        let (mut time_ns, mut event) = (0, None);
        for field in fields(&packet) {
            match field {
                (8, Value::Number(number)) => time_ns = number,
                (11, Value::Bytes(bytes)) => event = Some(bytes),
                _ => {}
            }
        }
        let Some(event) = event else { continue };
        let (mut numbers, mut flows) = (BTreeMap::new(), Vec::new());
        for field in fields(&event) {
            match field {
                (47, Value::Number(id)) => flows.push(id),
                (field, Value::Number(number)) => drop(numbers.insert(field, number)),
                _ => {}
            }
        }
        events.push((time_ns, numbers, flows));
    }
    events.sort_by_key(|event| event.0);
    let mut viewed = Viewed::default();
    let mut open: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut last_of_flow: HashMap<u64, usize> = HashMap::new();
    for (time_ns, numbers, flows) in events {
        let (kind, track) = (numbers[&9], numbers[&11]);
        if kind == 4 {
            viewed.points.push((track, time_ns, numbers[&30]));
            continue;
        }
        let stack = open.entry(track).or_default();
        if kind == 2 {
            viewed.slices[stack.pop().expect("an end has a begin")].end_ns = time_ns;
            continue;
        }
        let slice = viewed.slices.len();
        viewed.slices.push(Slice { category: numbers[&3], begin_ns: time_ns, end_ns: time_ns });
        if kind == 1 {
            stack.push(slice);
        }
        for id in flows {
            if let Some(before) = last_of_flow.insert(id, slice) {
                viewed.flows.push((before, slice));
            }
        }
    }
    assert!(open.values().all(Vec::is_empty), "a begin has an end");
    viewed
}

/// Fails if a viewer would find anything else than the analysis.
fn compare(log: &str) {
    let (analysis, found, trace) = exported(log);
    let viewed = view(&trace);
    let of = |category: u64| viewed.slices.iter().filter(move |slice| slice.category == category);
    assert_eq!(of(1).count() as u64, analysis.outcome.events, "events");
    let mut times: Vec<_> = of(2).map(|slice| (slice.begin_ns, slice.end_ns)).collect();
    let complete = found.spans.iter().filter(|span| span.class == Class::Complete);
    let mut expected: Vec<_> =
        complete.map(|span| (span.begin.unwrap().time_ns, span.end.unwrap().time_ns)).collect();
    times.sort_unstable();
    expected.sort_unstable();
    assert_eq!(times, expected, "complete spans");
    let others = found.spans.iter().filter(|span| span.class != Class::Complete);
    let points: usize = others.map(|span| span.begin.iter().chain(&span.end).count()).sum();
    assert_eq!(of(3).count(), points, "irregular ends");
    assert_eq!(of(5).count() as u64, analysis.outcome.gaps, "gaps");
    assert_eq!(viewed.flows.len(), found.hand_offs.len(), "hand-offs");
    compare_counters(&viewed, &found);
    for &(from, to) in &viewed.flows {
        assert_ne!(from, to, "a flow goes somewhere");
        assert!([from, to].iter().all(|&slice| [2, 4].contains(&viewed.slices[slice].category)));
    }
}

/// Fails if the values of the counters are not those of a model: for each stage and each way between stages, all changes.
fn compare_counters(viewed: &Viewed, found: &Found) {
    let mut lasting: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    for span in found.spans.iter().filter(|span| span.class == Class::Complete) {
        let ends = (span.begin.unwrap().time_ns, span.end.unwrap().time_ns);
        lasting.entry(format!("{}", span.stage)).or_default().push(ends);
    }
    for hand_off in &found.hand_offs {
        let ends = (hand_off.left.time_ns, hand_off.arrived.time_ns);
        lasting.entry(format!("{:?}", (hand_off.from, hand_off.to))).or_default().push(ends);
    }
    let mut expected: Vec<Vec<(u64, u64)>> = Vec::new();
    for all in lasting.values() {
        let mut times: Vec<u64> = all.iter().filter(|it| it.0 < it.1).flat_map(|it| [it.0, it.1]).collect();
        times.sort_unstable();
        let count = |at: u64| all.iter().filter(|it| it.0 <= at && at < it.1).count() as u64;
        let mut points: Vec<(u64, u64)> = times.into_iter().map(|at| (at, count(at))).collect();
        points.dedup_by_key(|point| point.1);
        if !points.is_empty() {
            expected.push(points);
        }
    }
    let mut shown: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for &(track, time_ns, value) in &viewed.points {
        shown.entry(track).or_default().push((time_ns, value));
    }
    // A counter begins with the trace, at 0 if nothing is under way then.
    let from_first = |points: Vec<(u64, u64)>| points.into_iter().skip_while(|point| point.1 == 0).collect();
    let mut shown: Vec<Vec<(u64, u64)>> = shown.into_values().map(from_first).collect();
    shown.sort_unstable();
    expected.sort_unstable();
    assert_eq!(shown, expected, "counters");
}

#[test]
fn the_documented_log_is_written_so() {
    golden("documented.pftrace.txt", &text_of(&exported(DOCUMENTED_LOG).2));
}

#[test]
fn a_pipeline_with_loss_is_written_so() {
    golden("pipeline.pftrace.txt", &text_of(&exported(&pipeline_log()).2));
}

#[test]
fn a_viewer_finds_what_the_analysis_counts() {
    compare(DOCUMENTED_LOG);
    compare(&pipeline_log());
    compare("");
    // A stage that hands on to the same one twice, and one that is around it on the same thread.
    compare(&log_of("1:beg_a:1 2:beg_b:1 3:end_b:1 4:beg_c:1 5:end_c:1 6:beg_c:1 7:end_c:1 8:end_a:1"));
    // Two that begin and end together, on two threads.
    compare(&log_of("1:beg_a:1@1 1:beg_b:1@2 5:end_a:1@1 5:end_b:1@2"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_viewer_finds_what_the_analysis_counts_in_any_log(
        events in prop::collection::vec((0..3_u64, 0..6_usize, 0..3_u8, 1..4_u8), 0..60),
    ) {
        // Threads may fire at one time, a thread may not: the ids of flows count on that.
        let (mut time_ns, mut threads) = (100, [0; 4]);
        let words = events.iter().map(|&(step, probe, key, pid)| {
            time_ns = (time_ns + step).max(threads[usize::from(pid)] + 1);
            threads[usize::from(pid)] = time_ns;
            let probe = ["beg_a", "end_a", "beg_b", "end_b", "beg_c", "end_c"][probe];
            format!("{time_ns}:{probe}:{key}@{pid} ")
        });
        let words: String = words.collect();
        compare(&log_of(&words));
    }
}

#[test]
fn a_track_for_each_buffer_has_all_of_its_stages() {
    let bytes = trace_of(&pipeline_log());
    let trace = Trace::open(&bytes).unwrap();
    let drafts = choose(&[], &trace.definitions).unwrap();
    let stages: Vec<Stage> = drafts.into_iter().map(|draft| draft.stage).collect();
    let export_by = |spans, stages: &[Stage]| {
        let mut out = Vec::new();
        let drawn = Drawn { probes: Probes::Drawn, spans };
        export(&trace, &Selection::all(), stages, drawn, &mut out).map(|_| out)
    };
    let [by_thread, by_buffer] =
        [SpanPlace::Threads, SpanPlace::Buffers].map(|place| export_by(place, &stages).unwrap());
    let slices = |trace: &[u8]| {
        let viewed = view(trace);
        let mut all: Vec<(u64, u64)> = viewed
            .slices
            .iter()
            .filter(|slice| slice.category == 2)
            .map(|it| (it.begin_ns, it.end_ns))
            .collect();
        all.sort_unstable();
        (all, viewed.flows.len())
    };
    assert_eq!(slices(&by_thread), slices(&by_buffer));
    let text = text_of(&by_buffer);
    let tracks: Vec<&str> =
        text.lines().filter_map(|line| line.split("name: \"buffer ").nth(1)?.split('"').next()).collect();
    let mut buffers: Vec<&str> = tracks.clone();
    buffers.sort_unstable();
    buffers.dedup();
    assert_eq!(buffers, ["0", "1", "2", "3"]);
    // The whole is beside its parts.
    assert!(tracks.len() > buffers.len(), "{tracks:?}");
    let by_thread: Vec<Stage> =
        ["work = p:beg_work -> p:end_work by tid"].map(|text| text.parse().unwrap()).to_vec();
    let error = export_by(SpanPlace::Buffers, &by_thread).unwrap_err();
    assert!(error.to_string().contains("no stage has a key of its buffers"), "{error}");
}

#[test]
fn too_many_buffers_have_no_tracks() {
    let log: String = (0..1001)
        .map(|key| log_of(&format!("{}:beg_a:{key} {}:end_a:{key}", 10 * key + 1, 10 * key + 5)))
        .collect();
    for (seq, is_refused) in [("0..999", false), ("0..1000", true)] {
        let bytes = trace_of(&log);
        let trace = Trace::open(&bytes).unwrap();
        let stages = ["a = p:beg_a -> p:end_a by seq"].map(|text| text.parse::<Stage>().unwrap());
        let filter = Filter { keys: Some(seq.parse().unwrap()), ..Filter::default() };
        let selection = Selection::new(&filter, &trace).unwrap();
        let drawn = Drawn { probes: Probes::LeftOut, spans: SpanPlace::Buffers };
        let written = export(&trace, &selection, &stages, drawn, &mut Vec::new());
        assert_eq!(written.is_err(), is_refused, "{seq}");
        if let Err(error) = written {
            assert!(error.to_string().starts_with("more than 1000 buffers are selected"), "{error}");
        }
    }
}
