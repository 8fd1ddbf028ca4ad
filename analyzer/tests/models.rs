//! Calls that unwind, and parts of buffers, against naive models: whole lists instead of one pass, no limits.

mod made;

use std::collections::BTreeMap;
use std::io;

use made::trace_of;
use proptest::prelude::*;
use tracer_analyzer::analysis::analyze;
use tracer_analyzer::analysis::diagnosis::{Watch, diagnose};
use tracer_analyzer::pair::{Sink, Span};
use tracer_analyzer::select::Selection;
use tracer_analyzer::stage::Stage;
use tracer_format::Trace;

/// A line of the log: time, thread, probe, key, and further arguments.
fn line(time_ns: u64, thread: u32, probe: &str, key: i64, more: &str) -> String {
    format!("[{time_ns:>16}] [PID:{thread:>7}] {:<12} p:{probe:<28} | Seq: {key}{more}\n", "a")
}

/// Spans as class, thread, begin and end.
#[derive(Default)]
struct Kept(Vec<(&'static str, i64, Option<u64>, Option<u64>)>);

impl Sink for Kept {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        let [begin, end] = [span.begin, span.end].map(|end| end.map(|point| point.time_ns));
        self.0.push((span.class.name(), span.key.words()[0], begin, end));
        Ok(())
    }
}

/// Of each thread a list of begins: an end takes the last of its value, and those behind it have no end.
fn unwound(calls: &[(u32, bool, i64)]) -> Kept {
    let mut found = Kept::default();
    let mut open: BTreeMap<i64, Vec<(u64, i64)>> = BTreeMap::new();
    for (time_ns, &(thread, is_begin, value)) in (1..).zip(calls) {
        let begins = open.entry(thread.into()).or_default();
        if is_begin {
            begins.push((time_ns, value));
            continue;
        }
        match begins.iter().rposition(|&(_, other)| other == value) {
            None => found.0.push(("orphan_end", thread.into(), None, Some(time_ns))),
            Some(at) => {
                let left = begins.split_off(at);
                found.0.push(("complete", thread.into(), Some(left[0].0), Some(time_ns)));
                found.0.extend(left[1..].iter().map(|left| ("open", thread.into(), Some(left.0), None)));
            }
        }
    }
    for (thread, begins) in open {
        found.0.extend(begins.iter().map(|left| ("open", thread, Some(left.0), None)));
    }
    found.0.sort_unstable();
    found
}

proptest! {
    #[test]
    fn an_end_unwinds_to_the_last_begin_of_its_value(
        calls in prop::collection::vec((1_u32..4, any::<bool>(), 0_i64..4), 1..60),
    ) {
        let log: String = (1..).zip(&calls)
            .map(|(time_ns, &(thread, is_begin, value))| {
                line(time_ns, thread, if is_begin { "beg_x" } else { "end_x" }, value, "")
            })
            .collect();
        let bytes = trace_of(&log);
        let trace = Trace::open(&bytes).unwrap();
        let stages: Vec<Stage> = vec!["x = p:beg_x -> p:end_x by tid unwinding arg0".parse().unwrap()];
        let mut kept = Kept::default();
        analyze(&trace, &Selection::all(), &stages, &mut kept).unwrap();
        kept.0.sort_unstable();
        prop_assert_eq!(kept.0, unwound(&calls).0);
    }

    /// Each buffer has so many parts, all inside of its first stage, in any order of their ends.
    #[test]
    fn parts_of_buffers_are_counted(counts in prop::collection::vec(0_u64..4, 40..60), turn in 0_usize..4) {
        let mut log = String::new();
        for (number, &parts) in (0_u64..).zip(&counts) {
            let (begin_ns, key) = (1000 * number, number.cast_signed());
            let part = |at: u64| format!(" | arg1: {at}");
            log += &line(begin_ns, 1, "beg_work", key, "");
            for at in 0..parts {
                log += &line(begin_ns + 10 + at, 1, "beg_part", key, &part(at));
            }
            let mut order: Vec<u64> = (0..parts).collect();
            let by = turn % order.len().max(1);
            order.rotate_left(by);
            for (at, part_number) in (0..).zip(order) {
                log += &line(begin_ns + 20 + 10 * at, 1, "end_part", key, &part(part_number));
            }
            log += &line(begin_ns + 100, 1, "end_work", key, "");
            log += &line(begin_ns + 110, 1, "beg_send", key, "");
            log += &line(begin_ns + 120, 1, "end_send", key, "");
        }
        let bytes = trace_of(&log);
        let trace = Trace::open(&bytes).unwrap();
        let texts = [
            "work = p:beg_work -> p:end_work by seq",
            "send = p:beg_send -> p:end_send by seq",
            "part = p:beg_part -> p:end_part by seq,arg1",
        ];
        let stages: Vec<Stage> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let mut watch = Watch::new(&stages, &trace.definitions, Selection::all().time_range(&trace));
        let analysis = analyze(&trace, &Selection::all(), &stages, &mut watch).unwrap();
        let fans = diagnose(watch, &analysis, 0).fans;
        let some: Vec<u64> = counts.iter().copied().filter(|&parts| parts > 0).collect();
        let uses = |parts: u64| some.iter().filter(|&&other| other == parts).count() as u64;
        prop_assert_eq!(fans.len(), usize::from(!some.is_empty()));
        let fan = &fans[0];
        prop_assert_eq!((&fan.name[..], &fan.key[..], fan.buffers), ("part", "seq,arg1", some.len() as u64));
        prop_assert_eq!((Some(fan.least), Some(fan.most)), (some.iter().min().copied(), some.iter().max().copied()));
        prop_assert_eq!(fan.usual_buffers, (1..4).map(uses).max().unwrap());
        prop_assert_eq!(uses(fan.usual), fan.usual_buffers);
        // From the first begin to the last end.
        let spread = |parts: &u64| i64::try_from(10 + 10 * (parts - 1)).unwrap();
        let summary = fan.spread.summary().unwrap();
        let [least, most] = [some.iter().map(spread).min(), some.iter().map(spread).max()];
        prop_assert_eq!((Some(summary.min), Some(summary.max)), (least, most));
    }
}
