//! Comparisons of hand-made traces: verdicts, what they look like, and that the JSON fits its schema.

mod made;
mod schema;

use std::fmt::Write as _;

use made::{golden, log_of, trace_of};
use schema::misfits;
use serde_json::Value;
use tracer_analyzer::analysis::diff::{Diff, Judgment, Percentile, Verdict, diff};
use tracer_analyzer::analysis::{Analysis, analyze};
use tracer_analyzer::report::{markdown, text};
use tracer_analyzer::screen::diff::{json, report};
use tracer_analyzer::select::Selection;
use tracer_analyzer::stage::{Stage, choose};
use tracer_format::Trace;

const SCHEMA: &str = include_str!("../../format-spec/diff.schema.json");

fn analyzed(log: &str) -> Analysis {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let drafts = choose(&[], &trace.definitions).unwrap();
    let stages: Vec<Stage> = drafts.into_iter().map(|draft| draft.stage).collect();
    analyze(&trace, &Selection::all(), &stages, &mut ()).unwrap()
}

/// A span of stage `name` for each latency, one after the other from `begin_ns` on.
fn spans(name: &str, begin_ns: u64, latencies_ns: impl IntoIterator<Item = u64>) -> String {
    let (mut events, mut time_ns) = (String::new(), begin_ns);
    for (key, latency_ns) in latencies_ns.into_iter().enumerate() {
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
    Judgment { threshold_percent: 10.0, min_spans: 30, by: vec![Percentile::P50] }
}

fn compared(base: &str, new: &str) -> Diff {
    diff(&analyzed(&log_of(base)), &analyzed(&log_of(new)), &judgment())
}

/// The verdict on stage `a`.
fn verdict(base: &str, new: &str, judgment: &Judgment) -> (Verdict, Vec<Percentile>) {
    let diff = diff(&analyzed(&log_of(base)), &analyzed(&log_of(new)), judgment);
    (diff.stages[0].verdict, diff.stages[0].by.clone())
}

#[test]
fn a_change_over_the_threshold_and_over_chance_is_one() {
    let of = |middle_ns, count| spans("a", 0, around(middle_ns, count));
    for (base, new, expected) in [
        (of(1000, 500), of(1000, 500), Verdict::Same),
        // Surely another median, but by less than 10 %.
        (of(1000, 500), of(1080, 500), Verdict::Same),
        (of(1000, 500), of(1120, 500), Verdict::Slower),
        (of(1000, 500), of(880, 500), Verdict::Faster),
        (of(1000, 40), of(1300, 40), Verdict::Slower),
        (of(1000, 500), of(1300, 29), Verdict::TooFew),
        (of(1000, 29), of(1300, 500), Verdict::TooFew),
        (of(1000, 500), "1:beg_a:1".into(), Verdict::Gone),
        ("1:beg_a:1".into(), of(1000, 500), Verdict::New),
    ] {
        assert_eq!(verdict(&base, &new, &judgment()).0, expected, "{}", &new[..30.min(new.len())]);
    }
}

#[test]
fn wide_distributions_of_one_kind_are_the_same() {
    // Half of the spans take ten times as long as the others: medians of 41 and 59 % differ by a factor by chance alone.
    let of =
        |slow: u64| spans("a", 0, (0..40).map(move |i| if i * 17 % 40 < slow { 10_000 } else { 1000 } + i));
    assert_eq!(verdict(&of(17), &of(23), &judgment()).0, Verdict::Same);
    assert_eq!(verdict(&of(2), &of(38), &judgment()).0, Verdict::Slower);
}

#[test]
fn a_slow_tail_shows_in_the_percentiles_that_are_asked_for() {
    let base = spans("a", 0, around(1000, 2000));
    let new =
        spans("a", 0, around(1000, 2000).enumerate().map(|(i, ns)| if i % 20 == 0 { ns * 5 } else { ns }));
    let by = |by: &[Percentile]| Judgment { by: by.to_vec(), ..judgment() };
    use Percentile::{P50, P90, P99};
    assert_eq!(verdict(&base, &new, &by(&[P50])), (Verdict::Same, vec![]));
    assert_eq!(verdict(&base, &new, &by(&[P50, P90, P99])), (Verdict::Slower, vec![P99]));
    assert_eq!(verdict(&new, &base, &by(&[P99])), (Verdict::Faster, vec![P99]));
    // Too few for that percentile, though not for the median.
    let few = spans("a", 0, around(1000, 100));
    assert_eq!(verdict(&few, &few, &by(&[P50, P99])).0, Verdict::TooFew);
    // Which does not hide that the median grew.
    let slow = spans("a", 0, around(2000, 100));
    assert_eq!(verdict(&few, &slow, &by(&[P50, P99])), (Verdict::Slower, vec![P50]));
    assert_eq!(verdict(&slow, &few, &by(&[P50, P99])).0, Verdict::TooFew);
}

#[test]
fn a_base_of_zero_is_compared_without_a_ratio() {
    let zero = spans("a", 0, (0..100).map(|_| 0));
    let some = spans("a", 0, around(1000, 100));
    assert_eq!(verdict(&zero, &zero, &judgment()).0, Verdict::Same);
    assert_eq!(verdict(&zero, &some, &judgment()).0, Verdict::Slower);
    let shown = text(&report(&compared(&zero, &some)));
    let words: Vec<&str> = shown.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(words, ["change", "-", "-", "-", "-", "slower", "(p50)"]);
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
    let diff = diff(&analyzed(&base), &analyzed(&new), &judgment());
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
    let lossy = analyzed(&(log_of(&a) + "[           1000] Lost 1 events on CPU 0 since 900\n"));
    assert!(diff(&lossy, &analyzed(&log_of(&a)), &judgment()).is_uncertain());
    assert!(diff(&analyzed(&log_of(&a)), &lossy, &judgment()).is_uncertain());
}

#[test]
fn the_json_fits_its_schema() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let (base, new) = pair();
    for (base, new) in
        [(&base, &new), (&new, &base), (&base, &String::new()), (&String::new(), &String::new())]
    {
        let document = json(&diff(&analyzed(base), &analyzed(new), &judgment()));
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
    let diff = diff(&analyzed(&log), &analyzed(&log), &judgment());
    for shown in [text(&report(&diff)), markdown(&report(&diff)), json(&diff)] {
        assert!(shown.contains("[2J") && !shown.contains('\x1b'), "{shown}");
    }
}
