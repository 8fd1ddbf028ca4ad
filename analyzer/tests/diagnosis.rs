//! What is said of simulated pipelines, whose trouble is known: source, processor (awe, then writing), sink.

mod made;
mod pipeline;

use made::{DOCUMENTED_LOG, log_of, trace_of};
use pipeline::Pipeline;
use proptest::prelude::*;
use tracer_analyzer::Selection;
use tracer_analyzer::analysis::analyze;
use tracer_analyzer::analysis::diagnosis::{Diagnosis, Finding, FindingKind, LimitKind, Watch, diagnose};
use tracer_analyzer::stage::{choice::choose_keys, choose};
use tracer_format::Trace;

fn diagnosed(log: &str) -> Diagnosis {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let selection = Selection::all();
    let chosen = choose_keys(&trace, &selection, &choose(&[], &trace.definitions).unwrap());
    let mut watch = Watch::new(&chosen.stages, &trace.definitions, selection.time_range(&trace));
    let analysis = analyze(&trace, &selection, &chosen.stages, &mut watch).unwrap().chosen_by(chosen);
    diagnose(watch, &analysis, 5)
}

fn kinds(diagnosis: &Diagnosis) -> Vec<FindingKind> {
    diagnosis.findings.iter().map(|finding| finding.kind).collect()
}

fn numbers(finding: &Finding) -> Vec<i64> {
    finding.keys.iter().map(|key| key.words()[0]).collect()
}

/// Many seeds: what holds for one may be luck.
fn each_seed(check: impl Fn(u64)) {
    (1..=12).for_each(check);
}

#[test]
fn a_calm_pipeline_has_no_finding() {
    each_seed(|seed| {
        let found = diagnosed(&Pipeline { seed, buffers: 300, ..Pipeline::default() }.log());
        assert_eq!(found.limit.kind, LimitKind::Source, "seed {seed}: {}", found.limit.text);
        assert_eq!(kinds(&found), [], "seed {seed}: {:?}", found.findings);
        assert_eq!(found.limit.program.as_deref(), Some("source"));
    });
}

#[test]
fn steps_add_up_to_the_whole() {
    let found = diagnosed(&Pipeline { buffers: 300, ..Pipeline::default() }.log());
    let names: Vec<&str> = found.route.steps.iter().map(|step| &step.name[..]).collect();
    let expected = ["global begin -> awe", "awe", "awe -> writing", "writing", "writing -> global end"];
    assert_eq!(names, expected);
    for slow in &found.slowest {
        assert_eq!(slow.steps_ns.iter().sum::<i64>(), slow.total_ns);
    }
    for shares in [&found.shares.median, &found.shares.slowest] {
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
    }
    assert_eq!((found.buffers, found.total.count()), (300, 300));
}

#[test]
fn the_bottleneck_is_named() {
    let slow = |pipeline: Pipeline, program: &str, by: Option<&str>| {
        let found = diagnosed(&pipeline.log());
        let limit = &found.limit;
        let is_narrow = matches!(limit.kind, LimitKind::Bottleneck | LimitKind::Overload);
        assert!(is_narrow && limit.program.as_deref() == Some(program), "{}", limit.text);
        assert!(by.is_none() || limit.by.as_deref() == by, "{}", limit.text);
        found
    };
    each_seed(|seed| {
        let calm = Pipeline { seed, buffers: 200, rate: 400.0, ..Pipeline::default() };
        slow(Pipeline { awe_ns: 4e6, ..calm.clone() }, "processor", Some("awe"));
        slow(Pipeline { writing_ns: 4e6, ..calm.clone() }, "processor", Some("writing"));
        slow(Pipeline { sink_ns: 4e6, ..calm.clone() }, "sink", None);
        let lock = Pipeline { workers: 4, awe_ns: 3e5, writing_ns: 3e6, lock: true, ..calm.clone() };
        assert!(slow(lock, "processor", Some("writing")).limit.lock, "seed {seed}");
        let backlog = Pipeline { awe_ns: 4e6, room: usize::MAX, ..calm };
        assert_eq!(slow(backlog, "processor", Some("awe")).limit.kind, LimitKind::Overload);
    });
}

#[test]
fn too_few_buffers_give_no_verdict() {
    let found = diagnosed(&Pipeline { buffers: 29, ..Pipeline::default() }.log());
    assert_eq!(found.limit.kind, LimitKind::None);
    assert_eq!(diagnosed(DOCUMENTED_LOG).limit.kind, LimitKind::None);
}

#[test]
fn a_process_that_stands_still_is_named_and_explains_the_slowest() {
    each_seed(|seed| {
        for program in ["processor", "sink"] {
            let stall = Some((program, 300_000_000, 80_000_000));
            let found = diagnosed(&Pipeline { seed, buffers: 200, stall, ..Pipeline::default() }.log());
            let stalls: Vec<&Finding> =
                found.findings.iter().filter(|finding| finding.kind == FindingKind::Stall).collect();
            assert_eq!(stalls.len(), 1, "seed {seed}: {:?}", found.findings);
            assert_eq!(stalls[0].program.as_deref(), Some(program));
            let len_ns = stalls[0].len_ns.unwrap();
            assert!((80_000_000..88_000_000).contains(&len_ns), "{len_ns}");
            assert!(found.slowest[0].reason.starts_with(&format!("{program} stood still for 8")));
            assert_eq!(found.limit.kind, LimitKind::Source, "{}", found.limit.text);
        }
    });
}

#[test]
fn lost_skipped_and_repeated_buffers_are_told_apart() {
    let pipeline = Pipeline {
        lost_after_awe: &[7, 12],
        lost_after_writing: &[20],
        skipped: &[5, 33],
        ended_twice: &[40],
        ..Pipeline::default()
    };
    let found = diagnosed(&pipeline.log());
    let expected = [
        (FindingKind::Lost, Some("end_awe"), vec![7, 12]),
        (FindingKind::Lost, Some("end_writing"), vec![20]),
        (FindingKind::Skipped, Some("beg_global"), vec![5, 33]),
        (FindingKind::Duplicated, Some("end_global"), vec![40]),
    ];
    let named: Vec<_> =
        found.findings.iter().map(|it| (it.kind, it.subject.as_deref(), numbers(it))).collect();
    assert_eq!(named, expected);
}

#[test]
fn buffers_under_way_at_the_end_are_not_lost() {
    let log = Pipeline { buffers: 60, ..Pipeline::default() }.log();
    let lines: Vec<&str> = log.lines().collect();
    // The recording ends between the last buffer's awe and its writing.
    let cut = lines[..lines.len() - 3].join("\n") + "\n";
    let found = diagnosed(&cut);
    assert_eq!(kinds(&found), [], "{:?}", found.findings);
    assert_eq!(found.losses.under_way.iter().map(|key| key.words()[0]).collect::<Vec<_>>(), [60]);
}

#[test]
fn spikes_at_even_distances_and_changes_of_level_are_seen() {
    each_seed(|seed| {
        let calm = Pipeline { seed, buffers: 300, ..Pipeline::default() };
        let spiky = diagnosed(&Pipeline { spike_every: Some(25), ..calm.clone() }.log());
        assert_eq!(kinds(&spiky), [FindingKind::Period], "seed {seed}: {:?}", spiky.findings);
        let period = &spiky.findings[0];
        assert_eq!((period.every_count, period.subject.as_deref()), (Some(25), Some("awe")));
        let changed = diagnosed(&Pipeline { slower_from: Some(180), ..calm }.log());
        assert_eq!(kinds(&changed), [FindingKind::Change], "seed {seed}: {:?}", changed.findings);
        let at = numbers(&changed.findings[0])[0];
        assert!((165..=195).contains(&at), "seed {seed}: {at}");
    });
}

#[test]
fn what_a_stage_inverts_is_found() {
    let found = diagnosed(DOCUMENTED_LOG);
    assert_eq!(kinds(&found), [FindingKind::Inverted]);
    assert_eq!((found.findings[0].count, found.findings[0].subject.as_deref()), (10, Some("global")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever fires in whatever order, a diagnosis is made, and every buffer is in one place at most.
    #[test]
    fn no_order_of_events_is_too_strange(
        events in prop::collection::vec((0_u64..90_000, 0..7_usize, 0_i64..40, 1_u32..5), 0..600),
    ) {
        const PROBES: [&str; 7] = ["beg_a", "end_a", "beg_b", "end_b", "beg_c", "end_c", "c_start"];
        let mut events = events;
        events.sort_unstable();
        let word = |&(time, probe, key, pid): &(u64, usize, i64, u32)| {
            format!("{time}:{}:{key}@{pid}", PROBES[probe])
        };
        let words: Vec<String> = events.iter().map(word).collect();
        let found = diagnosed(&log_of(&words.join(" ")));
        for slow in &found.slowest {
            prop_assert_eq!(slow.steps_ns.iter().sum::<i64>(), slow.total_ns);
        }
        let lost: usize = found.losses.lost.values().chain(found.losses.missed.values()).map(Vec::len).sum();
        prop_assert!(found.buffers + lost as u64 <= events.len() as u64);
    }
}
