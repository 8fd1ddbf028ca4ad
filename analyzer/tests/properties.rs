//! What spans have in common, in logs of which that is known: of those that take most of the time, and of the slow ones.

mod made;
mod schema;

use std::fmt::Write as _;

use made::trace_of;
use proptest::prelude::*;
use schema::misfits;
use serde_json::Value;
use tracer_analyzer::analysis::diagnosis::{Common, Finding, FindingKind, Watch, diagnose};
use tracer_analyzer::analysis::{Growth, Properties, analyze};
use tracer_analyzer::screen::json;
use tracer_analyzer::select::Selection;
use tracer_analyzer::stage::Stage;
use tracer_format::Trace;

const SCHEMA: &str = include_str!("../../format-spec/analyze.schema.json");

/// Numbers that look random, the same ones each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// From 0.7 ms to 1.3 ms, seldom up to 3 ms.
    fn usual_ns(&mut self) -> u64 {
        let most = if self.below(50) == 0 { 2_300_000 } else { 600_000 };
        700_000 + self.below(most)
    }
}

/// A span: when it begins, how long it takes, where, and what else its begin and its end have.
#[derive(Debug, Clone)]
struct Made {
    begin_ns: u64,
    len_ns: u64,
    pid: u32,
    begin: String,
    end: String,
}

/// The events of `spans` in the order of time; each has a number as key.
fn log(spans: &[Made]) -> String {
    let mut lines = Vec::new();
    for (number, span) in spans.iter().enumerate() {
        let mut event = |time_ns: u64, probe: &str, more: &str| {
            let pid = span.pid;
            let line = format!(
                "[{time_ns:>16}] [PID:{pid:>7}] {:<12} {probe:<30} | Seq: {number}{more}\n",
                "worker"
            );
            lines.push((time_ns, line));
        };
        event(span.begin_ns, "shop:beg_pack", &span.begin);
        event(span.begin_ns + span.len_ns, "shop:end_pack", &span.end);
    }
    lines.sort();
    lines.into_iter().fold(String::from("\nTrace started. Ctrl-C to stop.\n\n"), |mut log, (_, line)| {
        log.push_str(&line);
        log
    })
}

/// What is found of `log` with these stages; the report fits the schema.
fn found(log: &str, stages: &[&str]) -> Vec<Finding> {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let selection = Selection::all();
    let stages: Vec<Stage> = stages.iter().map(|stage| stage.parse().unwrap()).collect();
    let watch = Watch::new(&stages, &trace.definitions, selection.time_range(&trace));
    let mut sinks = (watch, (Growth::new(&stages), Properties::new(&stages, &trace.definitions)));
    let mut analysis = analyze(&trace, &selection, &stages, &mut sinks).unwrap();
    let (watch, (growth, properties)) = sinks;
    analysis.tree = Some(growth.tree());
    analysis.diagnosis = Some(diagnose(watch, &analysis, 5));
    properties.add_findings(&mut analysis);
    let [schema, document]: [Value; 2] =
        [SCHEMA, &json(&analysis)].map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(misfits(&document, &schema, &schema, "$"), [""; 0]);
    let is_of_properties = |it: &Finding| matches!(it.kind, FindingKind::OneValue | FindingKind::SetApart);
    analysis.diagnosis.unwrap().findings.into_iter().filter(is_of_properties).collect()
}

const BY_NUMBER: &str = "pack = shop:beg_pack -> shop:end_pack by seq";
const BY_THREAD: &str = "pack = shop:beg_pack -> shop:end_pack by tid";

/// Spans one after the other, one each 5 ms.
fn spans(count: u64, mut of: impl FnMut(u64) -> Made) -> Vec<Made> {
    (0..count).map(|number| Made { begin_ns: 1_000_000 + 5_000_000 * number, ..of(number) }).collect()
}

fn made(len_ns: u64) -> Made {
    Made { begin_ns: 0, len_ns, pid: 7, begin: String::new(), end: String::new() }
}

/// The property and the condition of the only finding, and its counts.
#[track_caller]
fn only(found: &[Finding], kind: FindingKind) -> (String, String, [u64; 4]) {
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind, kind, "{found:?}");
    let Common { property, value, spans, spans_with, others, others_with, .. } =
        found[0].common.clone().unwrap();
    (property, value, [spans, spans_with, others, others_with])
}

#[test]
fn the_value_that_slow_spans_have_sets_them_apart() {
    let mut dice = Dice(1);
    // Every 20th order is of kind 3, and takes four times as long.
    let made = spans(800, |number| {
        let (kind, times) = if number % 20 == 0 { (3, 4) } else { (number % 3, 1) };
        Made { begin: format!(" | arg1: {kind}"), ..made(times * dice.usual_ns()) }
    });
    let found = found(&log(&made), &[BY_NUMBER]);
    let (property, value, counts) = only(&found, FindingKind::SetApart);
    assert_eq!((&property[..], &value[..], counts[0], counts[2]), ("arg1", "3", 20, 780));
    // 40 orders are of that kind.
    assert!(counts[1] >= 18 && counts[1] + counts[3] == 40, "{counts:?}");
    assert_eq!(found[0].keys.len() as u64, counts[1]);
    assert!(found[0].keys.iter().all(|key| key.words()[0] % 20 == 0), "{found:?}");
    let text = format!("pack: {} of the 20 slowest are with arg1 = 3, ", counts[1]);
    assert!(found[0].text.starts_with(&text), "{}", found[0].text);
}

#[test]
fn what_only_the_end_tells_counts_too() {
    let mut dice = Dice(2);
    let made = spans(800, |number| {
        let (state, times) = if number % 25 == 7 { ("failed", 5) } else { ("done", 1) };
        Made { end: format!(" | arg1: \"{state}\""), ..made(times * dice.usual_ns()) }
    });
    let (property, value, counts) = only(&found(&log(&made), &[BY_NUMBER]), FindingKind::SetApart);
    assert_eq!((&property[..], &value[..]), ("arg1", "failed"));
    assert!(counts[1] >= 18 && counts[1] + counts[3] == 32, "{counts:?}");
}

/// A stage of which one probe tells: neither its duration nor the pause that it makes itself sets its slow spans apart.
#[test]
fn a_stage_that_one_probe_tells_has_properties_too() {
    const TOLD: &str = "pack = shop:end_pack lasting arg1 ns by seq";
    let mut dice = Dice(11);
    let told =
        |kind: u64, len_ns: u64| Made { end: format!(" | arg1: {len_ns} | arg2: {kind}"), ..made(len_ns) };
    let kinds = spans(800, |number| {
        let (kind, times) = if number % 20 == 0 { (3, 4) } else { (number % 3, 1) };
        told(kind, times * dice.usual_ns())
    });
    let (property, value, counts) = only(&found(&log(&kinds), &[TOLD]), FindingKind::SetApart);
    assert_eq!((&property[..], &value[..], counts[0]), ("arg2", "3", 20));
    let slow_for_no_reason = spans(800, |number| {
        let times = if dice.usual_ns().is_multiple_of(17) { 6 } else { 1 };
        told(number % 3, times * dice.usual_ns())
    });
    assert_eq!(found(&log(&slow_for_no_reason), &[TOLD]).len(), 0);
}

#[test]
fn a_slow_process_among_several_sets_its_spans_apart() {
    let mut dice = Dice(3);
    let made = spans(1200, |number| {
        let (pid, times) =
            if number % 4 == 2 { (12, 3) } else { (10 + u32::try_from(number % 4).unwrap(), 1) };
        Made { pid, ..made(times * dice.usual_ns()) }
    });
    let found = found(&log(&made), &[BY_NUMBER]);
    let (property, value, _) = only(&found, FindingKind::SetApart);
    assert_eq!((&property[..], &value[..]), ("pid", "12"));
    assert!(found[0].text.contains("in process 12 of worker, "), "{}", found[0].text);
    assert!(found[0].text.contains("(the same: in thread 12 of worker)"), "{}", found[0].text);
}

#[test]
fn the_number_beyond_which_spans_are_slow_is_told() {
    let mut dice = Dice(4);
    let made = spans(1000, |_| {
        let bytes = dice.below(100_000);
        let slow_ns = if bytes >= 97_000 { 4_000_000 } else { 0 };
        Made { begin: format!(" | arg1: {bytes}"), ..made(slow_ns + dice.usual_ns()) }
    });
    let (property, value, _) = only(&found(&log(&made), &[BY_NUMBER]), FindingKind::SetApart);
    let least: u64 = value.strip_prefix(">= ").unwrap().parse().unwrap();
    assert!(property == "arg1" && (97_000..98_500).contains(&least), "{property} {value}");
}

/// As `method` probes tell them: four slow methods stand among quick ones in the first half of the file, and no line has most of
/// the slow spans.
#[test]
fn numbers_that_are_only_names_have_no_beyond() {
    let mut dice = Dice(12);
    let made = spans(4000, |_| {
        let line = 11 * (1 + dice.below(60));
        let times = if [66, 121, 209, 319].contains(&line) { 4 } else { 1 };
        Made { begin: format!(" | arg1: {line}"), ..made(times * dice.usual_ns()) }
    });
    let found = found(&log(&made), &[BY_NUMBER]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn one_lock_that_has_most_of_the_time_is_named() {
    let mut dice = Dice(5);
    let made = spans(300, |number| {
        let (lock, times) =
            if number % 2 == 0 { (140_000_000_000_000_u64, 20) } else { (10 + number % 9, 1) };
        let pid = 20 + u32::try_from(number % 3).unwrap();
        Made { pid, begin: format!(" | arg1: {lock}"), ..made(times * dice.usual_ns() / 10) }
    });
    let found = found(&log(&made), &[BY_THREAD]);
    let values: Vec<&Finding> = found.iter().filter(|it| it.kind == FindingKind::OneValue).collect();
    let common = values[0].common.clone().unwrap();
    assert_eq!(values.len(), 1, "{found:?}");
    assert_eq!((&common.property[..], &common.value[..]), ("arg1", "140000000000000"));
    assert_eq!((common.spans, common.spans_with), (300, 150));
    assert!((0.93..0.97).contains(&common.time_share), "{common:?}");
    let text = "of the time of pack has arg1 = 140000000000000, 50 % of its spans, of 10 values; if it is a text, \
                record it: -e 'shop:beg_pack(arg1:str)'";
    assert!(values[0].text.ends_with(text), "{}", values[0].text);
}

#[test]
fn texts_that_differ_in_their_values_are_one() {
    let mut dice = Dice(6);
    let made = spans(300, |number| {
        let (text, times) =
            if number % 3 == 0 { (format!("UPDATE t SET x = {number}"), 30) } else { ("END".to_owned(), 1) };
        Made { begin: format!(" | arg1: \"{text}\""), ..made(times * dice.usual_ns() / 20) }
    });
    let found = found(&log(&made), &[BY_THREAD]);
    let common = found.iter().find(|it| it.kind == FindingKind::OneValue).unwrap().common.clone().unwrap();
    assert_eq!((&common.value[..], common.spans_with), ("UPDATE t SET x = ?", 100));
}

#[test]
fn a_method_has_the_time_without_the_methods_that_it_calls() {
    let mut log = String::from("\nTrace started. Ctrl-C to stop.\n\n");
    let mut event = |time_us: u64, probe: &str, method: &str| {
        let (time_ns, probe) = (1000 * time_us, format!("vm:method__{probe}"));
        writeln!(log, "[{time_ns:>16}] [PID:      1] vm           {probe:<30} | Seq: 1 | arg1: \"{method}\"")
            .unwrap();
    };
    // Each call of "outer" is 100 us long; "inner" has 90 us of it.
    event(1, "entry", "main");
    for call in 0..50 {
        let at = 10 + 110 * call;
        event(at, "entry", "outer");
        event(at + 5, "entry", "inner");
        event(at + 95, "return", "inner");
        event(at + 100, "return", "outer");
    }
    event(5600, "return", "main");
    let found = found(&log, &["method = vm:method__entry -> vm:method__return by tid"]);
    let (property, value, counts) = only(&found, FindingKind::OneValue);
    assert_eq!((&property[..], &value[..], counts), ("arg1", "inner", [101, 50, 0, 0]));
    // 4500 us of 5599 us.
    assert!((found[0].common.as_ref().unwrap().time_share - 4500.0 / 5599.0).abs() < 1e-9);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// What has nothing to do with the time sets nothing apart, though it comes in bunches: also if slow spans do.
    #[test]
    fn chance_sets_nothing_apart(seed in 1_u64..1 << 40, bunch in 1_u64..120, slow_bunch in 1_u64..40) {
        let (mut dice, mut kind, mut times) = (Dice(seed), 0, 1);
        let made = spans(1500, |_| {
            kind = if dice.below(bunch) == 0 { dice.below(2) } else { kind };
            times = match times {
                1 if dice.below(20 * slow_bunch) == 0 => 3,
                3 if dice.below(slow_bunch) == 0 => 1,
                times => times,
            };
            let pid = 10 + u32::try_from(dice.below(4)).unwrap();
            let begin = format!(" | arg1: {kind} | arg2: {}", dice.below(1000));
            Made { pid, begin, ..made(times * dice.usual_ns()) }
        });
        let found = found(&log(&made), &[BY_NUMBER]);
        prop_assert!(found.is_empty(), "{:?}", found);
    }

    /// The counts are those of a model written from the documentation: the slowest hundredth, twenty at least, by one value.
    #[test]
    fn counts_are_those_of_a_simple_model(seed in 1_u64..1 << 40, every in 10_u64..60, count in 400_u64..3000) {
        let mut dice = Dice(seed);
        let made = spans(count, |_| {
            let is_odd = dice.below(every) == 0;
            let times = if is_odd { 5 } else { 1 };
            Made { begin: format!(" | arg1: {}", u8::from(is_odd)), ..made(times * dice.usual_ns()) }
        });
        let mut slowest: Vec<&Made> = made.iter().collect();
        slowest.sort_by_key(|span| std::cmp::Reverse(span.len_ns));
        let slow = usize::try_from(count / 100).unwrap().max(20);
        let odd = |spans: &[&Made]| spans.iter().filter(|span| span.begin.ends_with('1')).count();
        let expected = [slow, odd(&slowest[..slow]), slowest.len() - slow, odd(&slowest[slow..])];
        if slowest[slow - 1].len_ns == slowest[slow].len_ns {
            return Ok(());
        }
        let found = found(&log(&made), &[BY_NUMBER]);
        for finding in found.iter().filter(|it| it.kind == FindingKind::SetApart) {
            let Common { value, spans, spans_with, others, others_with, .. } = finding.common.clone().unwrap();
            let said = [spans, spans_with, others, others_with].map(|count| usize::try_from(count).unwrap());
            prop_assert_eq!((&value[..], said), ("1", expected));
        }
        // Half of the slow ones and more, in a thousand spans, are seen.
        let is_clear = expected[1] * 10 >= slow * 9 && every >= 20;
        prop_assert!(found.iter().any(|it| it.kind == FindingKind::SetApart) || !is_clear, "{:?}", expected);
    }
}
