//! What comes out is the same, byte for byte, on one thread and on several.

mod made;

use made::log_of;
use proptest::prelude::*;
use tracer_analyzer::analysis::diagnosis::{Watch, diagnose};
use tracer_analyzer::analysis::group::{GroupBy, Grouping};
use tracer_analyzer::analysis::{Growth, analyze};
use tracer_analyzer::picture::{Probes, chrome, perfetto};
use tracer_analyzer::replay::replay;
use tracer_analyzer::stage::choice::choose_keys;
use tracer_analyzer::stage::{Stage, choose};
use tracer_analyzer::tables::{Format, Rows, write};
use tracer_analyzer::{Filter, Selection, file, screen};
use tracer_format::{Trace, Writer, WriterOptions};

/// An event: time since the last one, probe, key, pid.
type Fired = (u64, usize, u8, u8);

/// A trace with blocks of so many events, of which `flips` damages some.
fn trace_of(events: &[Fired], block_events: usize, flips: &[prop::sample::Index]) -> Vec<u8> {
    let mut time_ns = 100;
    let words = events.iter().map(|&(step, probe, key, pid)| {
        time_ns += step;
        let probe = ["beg_a", "end_a", "beg_b", "end_b", "beg_c", "end_c", "other"][probe];
        format!("{time_ns}:{probe}:{key}@{pid} ")
    });
    let mut log = log_of(&words.collect::<String>());
    log += &format!("[{:>16}] Lost 3 events since {}\n", time_ns / 2 + 50, time_ns / 3 + 40);
    let options = WriterOptions { block_events, ..WriterOptions::default() };
    let mut writer = Writer::new(Vec::new(), options).unwrap();
    file::import(log.as_bytes(), &mut writer).unwrap();
    let mut bytes = writer.finish().unwrap();
    let offsets: Vec<u64> = Trace::open(&bytes).unwrap().blocks.iter().map(|block| block.offset).collect();
    for flip in flips.iter().filter(|_| !offsets.is_empty()) {
        let at = usize::try_from(offsets[flip.index(offsets.len())]).unwrap();
        bytes[at + tracer_format::block::BLOCK_HEADER_BYTES] ^= 0x55;
    }
    bytes
}

/// All that the verbs make of a trace as text or bytes, each with its name.
fn made_of(trace: &Trace<'_>, filter: &Filter) -> Vec<(&'static str, Vec<u8>)> {
    let selection = Selection::new(filter, trace).unwrap();
    let chosen = choose_keys(trace, &selection, &choose(&[], &trace.definitions).unwrap());
    let stages: Vec<Stage> = chosen.stages.clone();
    let watch = Watch::new(&stages, &trace.definitions, selection.time_range(trace));
    let wanted: Vec<(u32, GroupBy)> = (0..).zip(&stages).map(|(stage, _)| (stage, GroupBy::Pid)).collect();
    let grouping = Grouping::new(&stages, &trace.definitions, &wanted);
    let mut sinks = (grouping, (watch, Growth::new(&stages)));
    let mut analysis = analyze(trace, &selection, &stages, &mut sinks).unwrap().chosen_by(chosen);
    let (grouping, (watch, growth)) = sinks;
    analysis.groups = Some((GroupBy::Pid, grouping.tables()));
    analysis.tree = Some(growth.tree());
    analysis.diagnosis = Some(diagnose(watch, &analysis, 5));
    let mut made = vec![("analysis", screen::json(&analysis).into_bytes())];
    made.push(("outcome", format!("{:?}", analysis.outcome).into_bytes()));
    let mut add = |name, write: &mut dyn FnMut(&mut Vec<u8>) -> tracer_analyzer::Outcome| {
        let mut out = Vec::new();
        let outcome = write(&mut out);
        out.extend(format!("{outcome:?}").bytes());
        made.push((name, out));
    };
    add("log", &mut |out| replay(trace, &selection, out).unwrap());
    add("chrome", &mut |out| chrome::export(trace, &selection, &stages, Probes::Drawn, out).unwrap());
    add("perfetto", &mut |out| perfetto::export(trace, &selection, &stages, Probes::Drawn, out).unwrap());
    let tables = [("events", Rows::Events), ("spans", Rows::Spans(&stages))];
    for (name, rows) in tables {
        add(name, &mut |out| write(trace, &selection, rows, Format::Csv, out).unwrap());
    }
    made
}

/// The table of events as Parquet, whose columns are encoded on threads of their own.
fn parquet_of(trace: &Trace<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write(trace, &Selection::all(), Rows::Events, Format::Parquet, &mut out).unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_number_of_threads_makes_the_same_parquet(
        events in prop::collection::vec((0..4_u64, 0..7_usize, 0..5_u8, 1..4_u8), 0..120),
        block_events in 1..30_usize,
        threads in 2..5_usize,
    ) {
        let bytes = trace_of(&events, block_events, &[]);
        let on = |threads| parquet_of(&Trace::open(&bytes).unwrap().walked_on(threads, 20));
        prop_assert!(on(1) == on(threads));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_number_of_threads_makes_the_same_of_any_log(
        events in prop::collection::vec((0..4_u64, 0..7_usize, 0..5_u8, 1..4_u8), 0..120),
        block_events in 1..30_usize,
        flips in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        keys in prop::option::of(Just("1..3")),
        threads in 2..5_usize,
        share_events in 1..60_u64,
    ) {
        let bytes = trace_of(&events, block_events, &flips);
        let filter = Filter { keys: keys.map(|keys| keys.parse().unwrap()), ..Filter::default() };
        let on = |threads| made_of(&Trace::open(&bytes).unwrap().walked_on(threads, share_events), &filter);
        for ((name, one), (_, many)) in on(1).into_iter().zip(on(threads)) {
            let [one, many] = [one, many].map(|text| String::from_utf8_lossy(&text).into_owned());
            prop_assert!(one == many, "{name} on one thread:\n{one}\non {threads}:\n{many}");
        }
    }
}
