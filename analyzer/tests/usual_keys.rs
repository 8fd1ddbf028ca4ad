//! Whether keys that did all that is usual are told at once, or span by span, makes no difference to a report.

mod made;

use std::ops::Range;

use made::log_of;
use proptest::prelude::*;
use tracer_analyzer::analysis::diagnosis::{Watch, diagnose};
use tracer_analyzer::analysis::{Growth, Properties, analyze};
use tracer_analyzer::pair::Sink;
use tracer_analyzer::stage::choice::choose_keys;
use tracer_analyzer::stage::choose;
use tracer_analyzer::{Selection, file, screen};
use tracer_format::{Trace, Writer, WriterOptions};

/// Takes nothing at once: so all is told span by span.
struct OneByOne;

impl Sink for OneByOne {}

/// What a buffer does that the others do not.
#[derive(Debug, Clone, Copy)]
enum Odd {
    /// It does what is usual.
    Nothing,
    /// It does not come at all.
    Never,
    /// An event does not come.
    Skips(usize),
    /// An event comes twice.
    Repeats(usize),
    /// An event and the next one change places.
    Swaps(usize),
    /// An event is at the time of the one before.
    Ties(usize),
    /// It comes again, whole.
    Returns,
    /// It waits for long, until very many have passed it.
    Waits(usize),
}

const EVENTS: [&str; 6] = ["beg_a", "beg_b", "end_b", "beg_c", "end_c", "end_a"];

/// A log of buffers that enter one after the other and take so long from event to event, each with the process that it has there.
fn log_of_buffers(buffers: &[(u64, [u64; 6], Odd)], lost: Option<Range<u64>>) -> String {
    let mut events: Vec<(u64, usize, String)> = Vec::new();
    let mut came_ns = 1000;
    for (key, &(after, steps, odd)) in buffers.iter().enumerate() {
        came_ns += after;
        let mut order: Vec<usize> = (0..EVENTS.len()).collect();
        match odd {
            Odd::Never => order.clear(),
            Odd::Skips(at) => drop(order.remove(at)),
            Odd::Repeats(at) => order.insert(at, at),
            Odd::Swaps(at) => order.swap(at, (at + 1) % 6),
            Odd::Returns => order.extend(0..EVENTS.len()),
            _ => {}
        }
        let mut time_ns = came_ns;
        for (at, &event) in order.iter().enumerate() {
            time_ns += match odd {
                Odd::Ties(tie) if tie == at => 0,
                Odd::Waits(wait) if wait == at => 3_000_000,
                _ => steps[event],
            };
            // What two workers begin, either of them ends.
            let worker = 2 + usize::from(steps[event].is_multiple_of(2));
            let pid = [1, worker, worker, worker, worker, 4][event];
            events.push((time_ns, events.len(), format!("{time_ns}:{}:{key}@{pid} ", EVENTS[event])));
        }
    }
    events.sort_unstable();
    let lost = lost.map(|lost| format!("[{:>16}] Lost 3 events since {}\n", lost.end, lost.start));
    log_of(&events.into_iter().map(|(.., word)| word).collect::<String>()) + &lost.unwrap_or_default()
}

fn trace_of(log: &str) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    file::import(log.as_bytes(), &mut writer).unwrap();
    writer.finish().unwrap()
}

/// All that is said of a trace, with a further sink.
fn report_of(trace: &Trace<'_>, further: impl Sink) -> String {
    let selection = Selection::all();
    let chosen = choose_keys(trace, &selection, &choose(&[], &trace.definitions).unwrap());
    let watch = Watch::new(&chosen.stages, &trace.definitions, selection.time_range(trace));
    let properties = Properties::new(&chosen.stages, &trace.definitions);
    let mut sinks = ((watch, further), (Growth::new(&chosen.stages), properties));
    let mut analysis =
        analyze(trace, &selection, &chosen.stages.clone(), &mut sinks).unwrap().chosen_by(chosen);
    let ((watch, _), (growth, properties)) = sinks;
    analysis.tree = Some(growth.tree());
    analysis.diagnosis = Some(diagnose(watch, &analysis, 5));
    properties.settled().add_findings(&mut analysis);
    screen::json(&analysis)
}

/// Both ways, on one thread and on several.
fn assert_same(log: &str) {
    let bytes = trace_of(log);
    let on = |threads| Trace::open(&bytes).unwrap().walked_on(threads, 100);
    let one_by_one = report_of(&on(1), OneByOne);
    for threads in [1, 3] {
        let at_once = report_of(&on(threads), ());
        let differs = one_by_one.lines().zip(at_once.lines()).find(|(one, other)| one != other);
        assert!(one_by_one == at_once, "on {threads}: {differs:?}");
    }
}

fn odd() -> impl Strategy<Value = Odd> {
    prop_oneof![
        40 => Just(Odd::Nothing),
        1 => Just(Odd::Never),
        1 => (0..6_usize).prop_map(Odd::Skips),
        1 => (0..6_usize).prop_map(Odd::Repeats),
        1 => (0..5_usize).prop_map(Odd::Swaps),
        2 => (1..6_usize).prop_map(Odd::Ties),
        1 => Just(Odd::Returns),
        1 => (1..6_usize).prop_map(Odd::Waits),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_report_says_the_same_of_any_log(
        buffers in prop::collection::vec((0..900_u64, prop::array::uniform6(1..900_u64), odd()), 100..500),
        lost in prop::option::of((0..200_000_u64, 0..5000_u64)),
    ) {
        assert_same(&log_of_buffers(&buffers, lost.map(|(from, len)| from..from + len)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    /// So many that their order is known while they pass, and that not all are remembered.
    #[test]
    fn a_report_says_the_same_of_very_many_buffers(
        some in prop::collection::vec((0..900_u64, prop::array::uniform6(1..900_u64), odd()), 9000..12_000),
        lost in prop::option::of((0..4_000_000_u64, 0..5000_u64)),
    ) {
        assert_same(&log_of_buffers(&some, lost.map(|(from, len)| from..from + len)));
    }
}
