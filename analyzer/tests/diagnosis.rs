//! What is said of simulated pipelines, whose trouble is known: source, processor (awe, then writing), sink.

mod made;
mod pipeline;
mod schema;

use std::collections::BTreeMap;

use made::{DOCUMENTED_LOG, log_of, trace_of};
use pipeline::Pipeline;
use proptest::prelude::*;
use schema::misfits;
use serde_json::Value;
use tracer_analyzer::Selection;
use tracer_analyzer::analysis::diagnosis::{
    Diagnosis, Finding, FindingKind, LimitKind, ResourceKind, Watch, diagnose,
};
use tracer_analyzer::analysis::{Analysis, analyze};
use tracer_analyzer::screen::json;
use tracer_analyzer::stage::{Draft, choice::choose_keys, choose};
use tracer_format::Trace;

const SCHEMA: &str = include_str!("../../format-spec/analyze.schema.json");

fn diagnosed(log: &str) -> Diagnosis {
    said_of(log, &[]).diagnosis.unwrap()
}

/// What is said of `log` with these stages.
fn said_of(log: &str, stages: &[&str]) -> Analysis {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let selection = Selection::all();
    let given: Vec<Draft> = stages.iter().map(|stage| stage.parse().unwrap()).collect();
    let chosen = choose_keys(&trace, &selection, &choose(&given, &trace.definitions).unwrap());
    let mut watch = Watch::new(&chosen.stages, &trace.definitions, selection.time_range(&trace));
    let analysis = analyze(&trace, &selection, &chosen.stages, &mut watch).unwrap().chosen_by(chosen);
    Analysis { diagnosis: Some(diagnose(watch, &analysis, 5)), ..analysis }
}

fn fits_schema(analysis: &Analysis) {
    let [schema, document]: [Value; 2] =
        [SCHEMA, &json(analysis)].map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(misfits(&document, &schema, &schema, "$"), [""; 0]);
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
fn a_source_that_stands_still_and_catches_up_is_named() {
    each_seed(|seed| {
        let calm = Pipeline { seed, buffers: 300, rate: 150.0, ..Pipeline::default() };
        let stall = Some(("source", 600_000_000, 100_000_000));
        let found = diagnosed(&Pipeline { stall, ..calm.clone() }.log());
        assert_eq!(kinds(&found), [FindingKind::Stall], "seed {seed}: {:?}", found.findings);
        assert_eq!(found.findings[0].program.as_deref(), Some("source"));
        assert_eq!(found.limit.kind, LimitKind::Source, "{}", found.limit.text);
        // A source that has nothing to do for once has nothing to make up for.
        let log = calm.log();
        let later = |line: &str| match line.get(1..17).and_then(|time| time.trim().parse::<u64>().ok()) {
            Some(time_ns) if time_ns > 1_601_000_000 => {
                format!("[{:>16}{}\n", time_ns + 100_000_000, &line[17..])
            }
            _ => format!("{line}\n"),
        };
        let idle = diagnosed(&log.lines().map(later).collect::<String>());
        assert_eq!(kinds(&idle), [], "seed {seed}: {:?}", idle.findings);
    });
}

#[test]
fn buffers_that_come_in_bursts_wait_but_nothing_is_narrow() {
    each_seed(|seed| {
        for (batch, workers) in [(4, 1), (12, 1), (12, 3)] {
            let bursts = Pipeline { seed, batch, workers, buffers: 600, rate: 120.0, ..Pipeline::default() };
            let found = diagnosed(&bursts.log());
            assert_eq!(found.limit.kind, LimitKind::Source, "seed {seed}, {batch}: {}", found.limit.text);
            assert_eq!(kinds(&found), [], "seed {seed}: {:?}", found.findings);
        }
    });
}

#[test]
fn threads_that_never_meet_are_no_lock_unless_some_waited() {
    each_seed(|seed| {
        let rare = Pipeline { seed, workers: 4, buffers: 300, rate: 100.0, ..Pipeline::default() };
        let has_lock =
            |found: &Diagnosis| found.limit.resources.iter().any(|it| it.kind == ResourceKind::Lock);
        assert!(!has_lock(&diagnosed(&rare.log())), "seed {seed}");
        assert!(has_lock(&diagnosed(&Pipeline { lock: true, rate: 1500.0, ..rare }.log())), "seed {seed}");
    });
}

/// Eight monitors, taken again and again: some are waited for, some are waited in, by threads that come as they like.
fn monitors(seed: u64) -> String {
    let (mut log, mut random) = (String::new(), seed);
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut events: Vec<(u64, &str, u64)> = Vec::new();
    let mut free: BTreeMap<u64, u64> = BTreeMap::new();
    for _ in 0..400 {
        let monitor = next(8);
        let mut now = free.get(&monitor).unwrap_or(&0) + 1000 + next(50_000);
        let probes: &[&str] = match next(4) {
            0 => &["enter_start", "enter_done", "held_start", "held_done"],
            1 => &["enter_start", "enter_done", "held_start", "wait_start", "wait_done", "held_done"],
            2 => &["wait_start", "wait_done"],
            _ => &["held_start", "held_done", "held_done"],
        };
        for probe in probes {
            events.push((now, probe, monitor + 30));
            now += 500 + next(5000);
        }
        free.insert(monitor, now);
    }
    events.sort_unstable();
    for (time, probe, monitor) in events {
        log += &log_of(&format!("{time}:{probe}:{monitor}"));
    }
    log
}

#[test]
fn keys_that_go_their_own_ways_are_no_pipeline() {
    let stages =
        ["enter", "held", "wait"].map(|name| format!("{name} = p:{name}_start -> p:{name}_done by seq"));
    let stages: Vec<&str> = stages.iter().map(String::as_str).collect();
    each_seed(|seed| {
        let found = said_of(&monitors(seed), &stages).diagnosis.unwrap();
        assert_eq!(kinds(&found), [], "seed {seed}: {:?}", found.findings);
        assert_eq!(found.limit.kind, LimitKind::None, "{}", found.limit.text);
        assert!(found.limit.text.contains("% of the keys go along one path"), "{}", found.limit.text);
        assert!(found.losses.lost.is_empty() && found.losses.missed.is_empty());
    });
}

#[test]
fn each_of_two_pipelines_is_diagnosed() {
    let one = Pipeline { lost_after_awe: &[7], ..Pipeline::default() };
    let other = Pipeline { seed: 2, buffers: 90, awe_ns: 8e6, ..Pipeline::default() };
    let other = other.log().replace("demo:", "shop:").replace("processor", "packer   ");
    let lines = one.log() + &other;
    let mut lines: Vec<&str> = lines.lines().filter(|line| line.contains("Seq")).collect();
    lines.sort_unstable();
    let analysis = said_of(&(lines.join("\n") + "\n"), &[]);
    fits_schema(&analysis);
    let found = analysis.diagnosis.unwrap();
    assert_eq!((kinds(&found), found.limit.kind), (vec![FindingKind::Lost], LimitKind::Source));
    let [other] = &found.others[..] else { panic!("one more path, not {}", found.others.len()) };
    assert_eq!((other.buffers, other.limit.program.as_deref()), (90, Some("packer")), "{}", other.limit.text);
    assert!(matches!(other.limit.kind, LimitKind::Bottleneck | LimitKind::Overload));
    assert_eq!(kinds(other), []);
}

#[test]
fn many_buffers_of_a_count_may_be_lost() {
    let lost: Vec<usize> = (1..=60).filter(|number| number % 4 == 0).collect();
    let found = diagnosed(&Pipeline { lost_after_awe: Box::leak(lost.into()), ..Pipeline::default() }.log());
    assert_eq!(kinds(&found), [FindingKind::Lost], "{:?}", found.findings);
    assert_eq!(found.findings[0].count, 15);
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
        let analysis = said_of(&log_of(&words.join(" ")), &[]);
        fits_schema(&analysis);
        let found = analysis.diagnosis.unwrap();
        for slow in &found.slowest {
            prop_assert_eq!(slow.steps_ns.iter().sum::<i64>(), slow.total_ns);
        }
        let lost: usize = found.losses.lost.values().chain(found.losses.missed.values()).map(Vec::len).sum();
        prop_assert!(found.buffers + lost as u64 <= events.len() as u64);
    }
}

/// `count` buffers that are split, worked on in `parts` parts by four processes, and joined.
fn split_and_joined(count: u64, parts: u64) -> String {
    let mut events = Vec::new();
    let mut event = |time_ns: u64, pid: u64, probe: &str, args: String| {
        let line =
            format!("[{time_ns:>16}] [PID:{pid:>7}] {:<12} video:{probe:<24} | Seq: {args}\n", "video");
        events.push((time_ns, events.len(), line));
    };
    for buffer in 0..count {
        let at = 1_000_000 + 10_000_000 * buffer;
        event(at, 1, "beg_split", buffer.to_string());
        event(at + 500_000, 1, "end_split", buffer.to_string());
        for part in 0..parts {
            let pid = 10 + (buffer * parts + part) % 4;
            let begin = at + 600_000 + 10_000 * part;
            event(begin, pid, "beg_tile", format!("{buffer} | arg1: {part}"));
            event(begin + 2_000_000 + 1000 * part, pid, "end_tile", format!("{buffer} | arg1: {part}"));
        }
        event(at + 3_000_000, 20, "beg_join", buffer.to_string());
        event(at + 3_300_000, 20, "end_join", buffer.to_string());
    }
    events.sort();
    events.into_iter().map(|(.., line)| line).collect()
}

#[test]
fn buffers_that_become_several_and_one_again_are_shown_as_such() {
    let analysis = said_of(&split_and_joined(100, 4), &[]);
    fits_schema(&analysis);
    let found = analysis.diagnosis.unwrap();
    let steps: Vec<&str> = found.route.steps.iter().map(|step| &step.name[..]).collect();
    assert_eq!((steps, found.buffers), (vec!["split", "split -> join", "join"], 100));
    let [fan] = &found.fans[..] else { panic!("{:?}", found.fans) };
    assert_eq!((&fan.name[..], &fan.key[..], fan.step), ("tile", "seq,arg1", Some(1)));
    assert_eq!([fan.buffers, fan.usual, fan.usual_buffers, fan.least, fan.most], [100, 4, 100, 4, 4]);
    // From the begin of part 0 to the end of part 3.
    assert_eq!(fan.spread.summary().unwrap().p50, 30_000 + 2_003_000);
    assert_eq!(kinds(&found), [], "{:?}", found.findings);
}
