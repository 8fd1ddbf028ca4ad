//! Comparisons of hand-made traces: verdicts, what they look like, and that the JSON fits its schema.

mod made;
mod schema;

use std::fmt::Write as _;

use made::{golden, log_of, trace_of};
use schema::misfits;
use serde_json::Value;
use tracer_analyzer::analysis::analyze;
use tracer_analyzer::analysis::budget::answers;
use tracer_analyzer::analysis::compare::{
    Collected, Comparison, Judgment, Machine, Percentile, Run, RunSet, Verdict, compare,
};
use tracer_analyzer::analysis::diagnosis::{Watch, diagnose};
use tracer_analyzer::report::{markdown, text};
use tracer_analyzer::screen::diff::{report, write_json};
use tracer_analyzer::select::Selection;
use tracer_analyzer::stage::{Stage, choose};
use tracer_format::Trace;

const SCHEMA: &str = include_str!("../../format-spec/diff.schema.json");

fn run(log: &str, runs: usize) -> Run {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let drafts = choose(&[], &trace.definitions).unwrap();
    let stages: Vec<Stage> = drafts.into_iter().map(|draft| draft.stage).collect();
    let watch = Watch::new(&stages, &trace.definitions, Selection::all().time_range(&trace));
    let mut sinks = (watch, Collected::new(stages.len(), runs));
    let mut analysis = analyze(&trace, &Selection::all(), &stages, &mut sinks).unwrap();
    let (watch, collected) = sinks;
    analysis.diagnosis = Some(diagnose(watch, &analysis, 0));
    Run { name: String::new(), analysis, collected, machine: Machine::of(&trace.definitions) }
}

fn side(logs: &[String]) -> RunSet {
    RunSet::new(logs.iter().map(|log| run(log, logs.len())).collect())
}

/// A span of stage `name` for each latency, one after the other from `begin_ns` on, with keys from 0 on.
fn spans(name: &str, begin_ns: u64, latencies_ns: impl IntoIterator<Item = u64>) -> String {
    spans_of_keys(0, name, begin_ns, latencies_ns)
}

/// The same with keys from `first_key` on.
fn spans_of_keys(
    first_key: u64,
    name: &str,
    begin_ns: u64,
    latencies_ns: impl IntoIterator<Item = u64>,
) -> String {
    let (mut events, mut time_ns) = (String::new(), begin_ns);
    for (key, latency_ns) in (first_key..).zip(latencies_ns) {
        let end_ns = time_ns + latency_ns;
        write!(events, "{time_ns}:beg_{name}:{key} {end_ns}:end_{name}:{key} ").unwrap();
        time_ns = end_ns + 1;
    }
    events
}

/// Latencies from 90 % to 110 % of the middle.
fn around(middle_ns: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |i| middle_ns * 9 / 10 + i * 7919 % count * middle_ns / 5 / count)
}

fn judgment() -> Judgment {
    let by = Some(vec![Percentile::P50]);
    Judgment { min_change_percent: 10.0, min_difference_ns: 1000, min_spans: 30, by }
}

fn json(comparison: &Comparison) -> String {
    let mut text = Vec::new();
    write_json(comparison, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn of_logs(base: &str, new: &str, judgment: &Judgment) -> Comparison {
    compare(side(&[base.to_owned()]), side(&[new.to_owned()]), judgment)
}

fn compared(base: &str, new: &str) -> Comparison {
    of_logs(&log_of(base), &log_of(new), &judgment())
}

/// The verdict on stage `a`.
fn verdict(base: &str, new: &str, judgment: &Judgment) -> (Verdict, Vec<Percentile>) {
    let comparison = of_logs(&log_of(base), &log_of(new), judgment);
    (comparison.stages[0].verdict, comparison.stages[0].by.clone())
}

#[test]
fn a_change_that_counts_and_that_chance_does_not_explain_is_one() {
    let of = |middle_us, count| spans("a", 0, around(middle_us * 1000_u64, count));
    for (base, new, expected) in [
        (of(1000, 500), of(1000, 500), Verdict::Same),
        // Surely another median, but by less than 10 %.
        (of(1000, 500), of(1080, 500), Verdict::Same),
        (of(1000, 500), of(1120, 500), Verdict::Slower),
        (of(1000, 500), of(880, 500), Verdict::Faster),
        (of(1000, 40), of(1300, 40), Verdict::Slower),
        // Chance explains neither this nor that there is no change that counts.
        (of(1000, 30), of(1040, 30), Verdict::Same),
        (of(1000, 500), of(1300, 29), Verdict::TooFew),
        (of(1000, 29), of(1300, 500), Verdict::TooFew),
        (of(1000, 500), "1:beg_a:1".into(), Verdict::Gone),
        ("1:beg_a:1".into(), of(1000, 500), Verdict::New),
    ] {
        assert_eq!(verdict(&base, &new, &judgment()).0, expected, "{}", &new[..30.min(new.len())]);
    }
}

#[test]
fn wide_distributions_of_one_kind_are_no_change() {
    // Half of the spans take ten times as long as the others: medians of 41 and 59 % differ by a factor by chance alone.
    let of = |first_key: u64, slow: u64| {
        let latency = move |i: u64| if i * 17 % 40 < slow { 10_000_000 } else { 1_000_000 } + i * 27 % 40;
        spans_of_keys(first_key, "a", 0, (0..40).map(latency))
    };
    assert_eq!(verdict(&of(0, 17), &of(1000, 23), &judgment()).0, Verdict::Inconclusive);
    assert_eq!(verdict(&of(0, 2), &of(1000, 38), &judgment()).0, Verdict::Slower);
}

#[test]
fn a_slow_tail_shows_in_the_percentiles_that_are_asked_for() {
    let base = spans("a", 0, around(100_000, 2000));
    let new =
        spans("a", 0, around(100_000, 2000).enumerate().map(|(i, ns)| if i % 20 == 0 { ns * 5 } else { ns }));
    let by = |by: &[Percentile]| Judgment { by: Some(by.to_vec()), ..judgment() };
    use Percentile::{P50, P90, P99};
    assert_eq!(verdict(&base, &new, &by(&[P50])), (Verdict::Same, vec![]));
    assert_eq!(verdict(&base, &new, &by(&[P50, P90, P99])), (Verdict::Slower, vec![P99]));
    assert_eq!(verdict(&new, &base, &by(&[P99])), (Verdict::Faster, vec![P99]));
    // Too few for that percentile, though not for the median.
    let few = spans("a", 0, around(100_000, 100));
    assert_eq!(verdict(&few, &few, &by(&[P50, P99])).0, Verdict::TooFew);
    // Which does not hide that the median grew.
    let slow = spans("a", 0, around(200_000, 100));
    assert_eq!(verdict(&few, &slow, &by(&[P50, P99])), (Verdict::Slower, vec![P50]));
    assert_eq!(verdict(&slow, &few, &by(&[P50, P99])).0, Verdict::TooFew);
}

#[test]
fn a_base_of_zero_is_compared_without_a_ratio() {
    let zero = spans("a", 0, (0..100).map(|_| 0));
    let some = spans("a", 0, around(10_000, 100));
    assert_eq!(verdict(&zero, &zero, &judgment()).0, Verdict::Same);
    assert_eq!(verdict(&zero, &some, &judgment()).0, Verdict::Slower);
    let shown = text(&report(&compared(&zero, &some)));
    let last = shown.lines().find(|line| line.contains("change ")).unwrap();
    let words: Vec<&str> = last.split_whitespace().collect();
    assert_eq!(words, ["stage", "change", "99", "%", "range", "could", "see", "verdict"], "{shown}");
    assert!(shown.contains("slower (p50)"), "{shown}");
}

#[test]
fn what_is_shorter_than_can_be_measured_does_not_count() {
    let of = |middle_ns| spans("a", 0, around(middle_ns, 500));
    assert_eq!(verdict(&of(1000), &of(1500), &judgment()).0, Verdict::Same);
    let finer = Judgment { min_difference_ns: 100, ..judgment() };
    assert_eq!(verdict(&of(1000), &of(1500), &finer).0, Verdict::Slower);
}

/// A latency for each key: the same keys are slow in every run of it.
fn work(factor_permille: u64, count: u64) -> String {
    let latency = |key: u64| (500_000 + key * 7919 % 1000 * 2000) * factor_permille / 1000;
    spans("a", 0, (0..count).map(latency))
}

#[test]
fn the_same_work_is_compared_key_by_key() {
    let finest = Judgment { min_change_percent: 1.0, ..judgment() };
    let comparison = of_logs(&log_of(&work(1000, 200)), &log_of(&work(1030, 200)), &finest);
    let shift = comparison.stages[0].shift.unwrap();
    assert!(shift.is_paired && (shift.ratio - 1.03).abs() < 1e-3, "{shift:?}");
    assert_eq!(comparison.stages[0].verdict, Verdict::Slower);
    // Other keys: their latencies vary far more than 3 %.
    let other = spans("a", 0, (0..200).map(|key| (500_000 + key * 6101 % 1000 * 2000) * 103 / 100));
    let comparison = of_logs(&log_of(&work(1000, 200)), &log_of(&other), &finest);
    assert!(!comparison.stages[0].shift.unwrap().is_paired);
    assert_eq!(comparison.stages[0].verdict, Verdict::Inconclusive);
}

/// So many runs, each as a whole slower or faster than the next.
fn runs(factors_permille: &[u64]) -> RunSet {
    let log = |factor: &u64| log_of(&spans("a", 0, around(100_000 * factor, 300)));
    side(&factors_permille.iter().map(log).collect::<Vec<_>>())
}

#[test]
fn what_differs_from_run_to_run_is_no_change() {
    let by = |base: &[u64], new: &[u64]| {
        let judgment = Judgment { min_change_percent: 5.0, ..judgment() };
        let comparison = compare(runs(base), runs(new), &judgment);
        (comparison.stages[0].verdict, comparison.stages[0].more_runs)
    };
    // One run a side cannot know.
    assert_eq!(by(&[1000], &[1100]).0, Verdict::Slower);
    let (verdict, more) = by(&[900, 1000, 1150], &[1000, 1200, 1050]);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(more.is_some_and(|more| more > 3), "{more:?}");
    assert_eq!(by(&[995, 1000, 1005], &[1095, 1100, 1108]).0, Verdict::Slower);
    assert_eq!(by(&[1095, 1100, 1108], &[995, 1000, 1005]).0, Verdict::Faster);
    assert_eq!(by(&[1000, 1001, 1002], &[1000, 1002, 1001]).0, Verdict::Same);
}

/// "-1.0 to +22.8 %" stood beside "slower", without a word.
#[test]
fn a_range_that_holds_no_change_is_explained_beside_a_verdict() {
    let shown = |new: &[u64]| {
        let judgment = Judgment { min_change_percent: 5.0, ..judgment() };
        text(&report(&compare(runs(&[970, 1000, 1030]), runs(new), &judgment)))
    };
    let narrow = shown(&[1080, 1110, 1150]);
    assert!(narrow.contains("slower (p50)") && narrow.contains("though its 99 % range holds 0"), "{narrow}");
    let clear = shown(&[2000, 2001, 2002]);
    assert!(clear.contains("slower (p50)") && !clear.contains("though its"), "{clear}");
}

#[test]
fn a_slow_tail_is_caught_without_being_asked_for() {
    let base = spans("a", 0, around(1_000_000, 2000));
    let slow = |(i, ns): (usize, u64)| if i % 8 == 0 { ns * 5 } else { ns };
    let new = spans("a", 0, around(1_000_000, 2000).enumerate().map(slow));
    let usual = Judgment { by: None, ..judgment() };
    assert_eq!(verdict(&base, &new, &usual), (Verdict::Slower, vec![Percentile::P90]));
    assert_eq!(verdict(&base, &base, &usual), (Verdict::Same, vec![]));
    // Where it does not decide, it is said.
    let shown = text(&report(&compared(&base, &new)));
    assert!(shown.contains("a: p90 changed by +"), "{shown}");
}

/// One stage of each verdict.
fn pair() -> (String, String) {
    let stage = |name: &str, begin_ns, middle_ns, count| spans(name, begin_ns, around(middle_ns, count));
    let base = stage("awe", 0, 1_500_000, 300)
        + &stage("read", 1_000_000_000, 20_000, 300)
        + &stage("write", 2_000_000_000, 400_000, 300)
        + &stage("close", 3_000_000_000, 900, 50)
        + &stage("rare", 3_100_000_000, 900, 5)
        + "3200000000:beg_awe:900 ";
    let new = stage("awe", 0, 1_800_000, 300)
        + &stage("read", 1_000_000_000, 12_000, 250)
        + &stage("write", 2_000_000_000, 404_000, 300)
        + &stage("open", 3_000_000_000, 700, 50)
        + &stage("rare", 3_100_000_000, 900, 6)
        + "3200000000:beg_awe:900 3300000000:beg_awe:901 ";
    (log_of(&base), log_of(&new) + "[      1000300000] Lost 7 events on CPU 1 since 1000200000\n")
}

#[test]
fn reports_of_a_comparison_are_these() {
    let (base, new) = pair();
    let diff = of_logs(&base, &new, &judgment());
    let verdicts: Vec<_> = diff.stages.iter().map(|stage| (&stage.name[..], stage.verdict)).collect();
    let expected = [
        ("awe", Verdict::Slower),
        ("read", Verdict::Faster),
        ("write", Verdict::Same),
        ("close", Verdict::Gone),
        ("rare", Verdict::TooFew),
        ("open", Verdict::New),
    ];
    assert_eq!(verdicts, expected);
    golden("diff.txt", &text(&report(&diff)));
    golden("diff.md", &markdown(&report(&diff)));
    golden("diff.json", &json(&diff));
}

#[test]
fn what_was_lost_or_is_gone_makes_it_uncertain() {
    let a = spans("a", 0, around(1000, 100));
    let both = format!("{a}{}", spans("b", 1_000_000, around(1000, 100)));
    assert!(!compared(&a, &a).is_uncertain());
    assert!(compared(&both, &a).is_uncertain(), "gone");
    assert!(!compared(&a, &both).is_uncertain(), "new");
    let lossy = log_of(&a) + "[           1000] Lost 1 events on CPU 0 since 900\n";
    assert!(of_logs(&lossy, &log_of(&a), &judgment()).is_uncertain());
    assert!(of_logs(&log_of(&a), &lossy, &judgment()).is_uncertain());
    assert!(of_logs("", "", &judgment()).is_uncertain(), "nothing was compared");
}

#[test]
fn the_json_fits_its_schema() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let (base, new) = pair();
    for (base, new) in
        [(&base, &new), (&new, &base), (&base, &String::new()), (&String::new(), &String::new())]
    {
        let mut comparison = of_logs(base, new, &judgment());
        let conditions = ["work.p99 > 1ns", "none.p99 > 1ms"].map(|it| it.parse().unwrap());
        comparison.new.budget = vec![("n".to_owned(), answers(&conditions, &run(new, 1).analysis))];
        let document = json(&comparison);
        let wrong = misfits(&serde_json::from_str(&document).unwrap(), &schema, &schema, "$");
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    let wrong = misfits(&serde_json::json!({ "version": 2, "stages": [{}] }), &schema, &schema, "$");
    assert!(wrong.len() >= 4, "{wrong:?}");
}

#[test]
fn a_name_cannot_drive_the_terminal() {
    let events = spans("a", 0, around(1000, 100));
    let log = log_of(&events).replace("_a", "_a\\x1b[2J");
    let diff = of_logs(&log, &log, &judgment());
    for shown in [text(&report(&diff)), markdown(&report(&diff)), json(&diff)] {
        assert!(shown.contains("[2J") && !shown.contains('\x1b'), "{shown}");
    }
}

/// They stood as their probes were found, another way in each recording.
#[test]
fn stages_stand_in_the_order_in_which_buffers_pass_them() {
    let of = |work_ns: u64| {
        let mut events = "1000:beg_last:9999 2000:end_last:9999 ".to_owned();
        for key in 1..=100_u64 {
            let mut time_ns = key * 1_000_000;
            for stage in ["first", "middle", "last"] {
                write!(events, "{time_ns}:beg_{stage}:{key} {}:end_{stage}:{key} ", time_ns + work_ns + key)
                    .unwrap();
                time_ns += work_ns + 50_000;
            }
        }
        events
    };
    let comparison = compared(&of(100_000), &of(130_000));
    let names: Vec<&str> = comparison.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["first", "middle", "last"]);
}
