//! Pairing against naive models, written from the documentation: whole lists instead of one pass, no limits.

mod made;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use made::trace_of;
use proptest::prelude::*;
use tracer_analyzer::analysis::{Analysis, analyze};
use tracer_analyzer::pair::{HandOff, Side, Sink, Span};
use tracer_analyzer::select::Selection;
use tracer_analyzer::stage::{Draft, Stage, choose};
use tracer_format::Trace;

/// An event: time, pid, probe, key.
type Fired = (u64, u32, String, i64);
/// A span: stage, class, key, begin, end.
type Found = (String, &'static str, i64, Option<u64>, Option<u64>);
/// A hand-off: from, to, key, left, arrived.
type Handed = (String, String, i64, u64, u64);

#[derive(Default)]
struct Kept {
    stages: Vec<Stage>,
    spans: Vec<Found>,
    hand_offs: Vec<Handed>,
    near_loss: Vec<bool>,
}

impl Sink for Kept {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        let name = self.stages[span.stage as usize].name.clone();
        let ends = [span.begin, span.end].map(|end| end.map(|point| point.time_ns));
        self.spans.push((name, span.class.name(), span.key.words()[0], ends[0], ends[1]));
        self.near_loss.push(span.near_loss);
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        let name = |edge: tracer_analyzer::pair::Edge| {
            let side = if edge.side == Side::Begin { "begin" } else { "end" };
            format!("{} {side}", self.stages[edge.stage as usize].name)
        };
        let (left_ns, arrived_ns) = (hand_off.left.time_ns, hand_off.arrived.time_ns);
        self.hand_offs.push((
            name(hand_off.from),
            name(hand_off.to),
            hand_off.key.words()[0],
            left_ns,
            arrived_ns,
        ));
        Ok(())
    }
}

fn log(events: &[Fired]) -> String {
    let line = |(time_ns, pid, probe, key): &Fired| {
        format!("[{time_ns:>16}] [PID:{pid:>7}] {:<12} p:{probe:<28} | Seq: {key}\n", "a")
    };
    events.iter().map(line).collect()
}

fn analyzed(log: &str, given: &[&str]) -> (Analysis, Kept) {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let given: Vec<Draft> = given.iter().map(|stage| stage.parse().unwrap()).collect();
    let drafts = choose(&given, &trace.definitions).unwrap();
    let stages: Vec<Stage> = drafts.into_iter().map(|draft| draft.stage).collect();
    let mut kept = Kept { stages: stages.clone(), ..Kept::default() };
    let analysis = analyze(&trace, &Selection::all(), &stages, &mut kept).unwrap();
    kept.spans.sort();
    kept.hand_offs.sort();
    (analysis, kept)
}

/// What becomes of the events of one key in one stage, as the schema says.
fn classes(all: &[Fired], of_key: &[&Fired], found: &mut Vec<Found>) {
    let is_begin = |event: &Fired| event.2.starts_with("beg_");
    let name = of_key[0].2[4..].to_owned();
    let mut span = |class, begin: Option<&Fired>, end: Option<&Fired>| {
        found.push((name.clone(), class, of_key[0].3, begin.map(|it| it.0), end.map(|it| it.0)));
    };
    // An end, and later one begin, and nothing more.
    if let &[end, begin] = of_key
        && !is_begin(end)
        && is_begin(begin)
    {
        // At the same time, the begin counts as the earlier.
        let class = if end.0 == begin.0 { "complete" } else { "inverted" };
        span(class, Some(begin), Some(end));
        return;
    }
    let mut ended = false;
    let mut rest = of_key;
    while let [event, later @ ..] = rest {
        rest = later;
        if !is_begin(event) {
            if let [begin, more @ ..] = rest
                && is_begin(begin)
                && begin.0 == event.0
                && !ended
            {
                span("complete", Some(begin), Some(event));
                (ended, rest) = (true, more);
                continue;
            }
            span(if ended { "repeated_end" } else { "orphan_end" }, None, Some(event));
            ended = true;
            continue;
        }
        match rest {
            [] => span("open", Some(event), None),
            [end, more @ ..] if !is_begin(end) => {
                span("complete", Some(event), Some(end));
                (ended, rest) = (true, more);
            }
            [next, ..] if is_next_life(all, event, next) => span("open", Some(event), None),
            _ => {
                span("repeated_begin", Some(event), None);
                let first = *event;
                let mut depth = 1;
                while let [event, more @ ..] = rest
                    && depth > 0
                    && !(is_begin(event) && is_next_life(all, first, event))
                {
                    rest = more;
                    if is_begin(event) {
                        depth += 1;
                        span("repeated_begin", Some(event), None);
                    } else {
                        depth -= 1;
                        span("repeated_end", None, Some(event));
                    }
                }
                ended = true;
            }
        }
    }
}

/// Whether the process of `old` fired nothing between the first event of that of `new` and `new`.
fn is_next_life(all: &[Fired], old: &Fired, new: &Fired) -> bool {
    let at = |event: &Fired| all.iter().position(|other| std::ptr::eq(other, event)).unwrap();
    let first = all.iter().find(|event| event.1 == new.1).unwrap();
    let last = all[..at(new)].iter().rfind(|event| event.1 == old.1).unwrap();
    old.1 != new.1 && last.0 < first.0
}

fn wild() -> impl Strategy<Value = Vec<Fired>> {
    let probe = prop::sample::select(vec!["beg_a", "end_a", "beg_b", "end_b"]);
    let event = (0_u64..30, 1_u32..4, probe, 0_i64..3);
    prop::collection::vec(event, 1..40).prop_map(|mut events| {
        events.sort_by_key(|event| event.0);
        events.into_iter().map(|(time, pid, probe, key)| (time, pid, probe.to_owned(), key)).collect()
    })
}

/// A stage with stages inside, which come one after the other.
#[derive(Debug, Clone)]
struct Tree {
    name: usize,
    inside: Vec<Tree>,
}

/// A stage with any number of each of its two inner stages inside, in any order.
fn tree(name: usize) -> BoxedStrategy<Tree> {
    if name > 6 {
        return Just(Tree { name, inside: Vec::new() }).boxed();
    }
    let inside = prop_oneof![tree(2 * name + 1), tree(2 * name + 2)];
    prop::collection::vec(inside, 0..4).prop_map(move |inside| Tree { name, inside }).boxed()
}

/// Lays the stages out in time, each as the model says, and gives the end.
fn lay_out(
    siblings: &[Tree],
    key: i64,
    mut time_ns: u64,
    events: &mut Vec<Fired>,
    handed: &mut Vec<Handed>,
) -> (u64, Vec<(u64, u64)>) {
    let mut places = Vec::new();
    for Tree { name, inside } in siblings {
        time_ns += 1;
        let begin_ns = time_ns;
        events.push((begin_ns, 1, format!("beg_s{name}"), key));
        let (end_ns, inner) = lay_out(inside, key, time_ns, events, handed);
        time_ns = end_ns + 1;
        events.push((time_ns, 1, format!("end_s{name}"), key));
        if let (Some(first), Some(last)) = (inner.first(), inner.last()) {
            let (first_name, last_name) = (inside[0].name, inside[inside.len() - 1].name);
            handed.push((format!("s{name} begin"), format!("s{first_name} begin"), key, begin_ns, first.0));
            handed.push((format!("s{last_name} end"), format!("s{name} end"), key, last.1, time_ns));
        }
        places.push((begin_ns, time_ns));
    }
    for (at, to) in siblings.iter().enumerate() {
        // A stage does not hand on to itself: the last other one does.
        if let Some(from) = siblings[..at].iter().rposition(|from| from.name != to.name) {
            let names = (format!("s{} end", siblings[from].name), format!("s{} begin", to.name));
            handed.push((names.0, names.1, key, places[from].1, places[at].0));
        }
    }
    (time_ns, places)
}

/// What becomes of one thread's events in one stage that nests; `unwinding` if the key is an argument that unwinds.
fn nested(events: &[&Fired], unwinding: bool, lost: Option<(u64, u64)>, found: &mut BTreeSet<Found>) {
    let mut open: Vec<&Fired> = Vec::new();
    let mut span = |class, begin: Option<&Fired>, end: Option<&Fired>| {
        let ends = [begin, end].map(|event| event.map(|event| event.0));
        found.insert(("a".to_owned(), class, begin.or(end).unwrap().1.into(), ends[0], ends[1]));
    };
    let touched = |begin: &Fired, end: &Fired| lost.is_some_and(|lost| begin.0 <= lost.1 && end.0 >= lost.0);
    for event in events {
        // Nothing is paired across a loss.
        if let Some(lost) = lost
            && event.0 > lost.1
        {
            open.retain(|begin| {
                let stays = begin.0 > lost.1;
                if !stays {
                    span("open", Some(begin), None);
                }
                stays
            });
        }
        if event.2 == "beg_a" {
            open.push(event);
            continue;
        }
        let begun = if unwinding {
            open.iter().rposition(|begin| begin.3 == event.3)
        } else {
            open.len().checked_sub(1)
        };
        let Some(begun) = begun else {
            span("orphan_end", None, Some(event));
            continue;
        };
        open.drain(begun + 1..).for_each(|left| span("open", Some(left), None));
        let begin = open.remove(begun);
        if touched(begin, event) {
            span("open", Some(begin), None);
            span("orphan_end", None, Some(event));
        } else {
            span("complete", Some(begin), Some(event));
        }
    }
    open.into_iter().for_each(|left| span("open", Some(left), None));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn classes_are_those_of_the_model(events in wild()) {
        let mut keys: BTreeMap<(String, i64), Vec<&Fired>> = BTreeMap::new();
        for event in &events {
            keys.entry((event.2[4..].to_owned(), event.3)).or_default().push(event);
        }
        let mut expected = Vec::new();
        keys.values().for_each(|of_key| classes(&events, of_key, &mut expected));
        expected.sort();
        let given = ["a = p:beg_a -> p:end_a by seq", "b = p:beg_b -> p:end_b by seq"];
        let (analysis, kept) = analyzed(&log(&events), &given);
        prop_assert_eq!(kept.spans, expected);
        prop_assert_eq!(analysis.stages.iter().map(|report| report.given_up).sum::<u64>(), 0);
    }

    #[test]
    fn every_lap_of_a_key_has_its_hand_offs(
        laps in prop::collection::vec((prop::collection::vec(prop_oneof![tree(1), tree(2)], 0..4), 0_i64..3), 1..8),
    ) {
        let (mut events, mut expected, mut time_ns) = (Vec::new(), Vec::new(), 0);
        for (trees, key) in laps {
            // The stage that comes first tells the laps apart.
            let lap: Vec<Tree> = std::iter::once(Tree { name: 0, inside: Vec::new() }).chain(trees).collect();
            (time_ns, _) = lay_out(&lap, key, time_ns, &mut events, &mut expected);
        }
        events.sort();
        expected.sort();
        let (_, kept) = analyzed(&log(&events), &[]);
        prop_assert_eq!(kept.hand_offs, expected);
    }

    #[test]
    fn threads_nest_and_unwind(
        events in wild(),
        unwinding in any::<bool>(),
        lost in prop::option::of((0_u64..30, 0_u64..5)),
    ) {
        // Times that differ, so that a span is known by them.
        let mut numbered = events;
        numbered.iter_mut().zip(1..).for_each(|(event, count)| event.0 = event.0 * 100 + count);
        numbered.retain(|event| event.2.ends_with("_a"));
        let lost = lost.map(|(at, length)| (at * 100, (at + length) * 100));
        let mut text = log(&numbered);
        if let Some((from_ns, to_ns)) = lost {
            text += &format!("[{to_ns:>16}] Lost 3 events on CPU 0 since {from_ns}\n");
        }
        let mut expected = BTreeSet::new();
        for pid in 1..4 {
            let of_thread: Vec<&Fired> = numbered.iter().filter(|event| event.1 == pid).collect();
            nested(&of_thread, unwinding, lost, &mut expected);
        }
        let by = if unwinding { "tid unwinding arg0" } else { "tid" };
        let (_, kept) = analyzed(&text, &[&format!("a = p:beg_a -> p:end_a by {by}")]);
        prop_assert_eq!(kept.spans, expected.into_iter().collect::<Vec<_>>());
    }
}

/// What is said of the log with the loss of one event, between 25 and 35, that turned `what` into it.
#[test]
fn loss_marks_what_it_turned_into_something_else() {
    let lost = "[              35] Lost 1 events on CPU 0 since 25\n";
    let cases = [
        // The end was lost, and the next begin repeats.
        ("10:beg_a 20:x 40:beg_a 50:end_a", vec![true, true, true]),
        // The begin was lost, and its end repeats.
        ("10:beg_a 20:end_a 40:end_a", vec![true, false]),
        // An end, and later a begin: the loss may have taken what stood with either.
        ("40:end_a 50:beg_a", vec![true]),
        ("10:end_a 20:beg_a", vec![true]),
        ("10:beg_a 20:end_a", vec![false]),
        ("40:end_a", vec![true]),
        ("10:beg_a", vec![true]),
        ("10:beg_a 20:beg_a 40:end_a 50:end_a", vec![false, false, true, true]),
    ];
    for (events, expected) in cases {
        let fired = |word: &str| {
            let (time, probe) = word.split_once(':').unwrap();
            (time.parse().unwrap(), 1, probe.to_owned(), 1)
        };
        let events: Vec<Fired> = events.split(' ').map(fired).collect();
        let stage = ["a = p:beg_a -> p:end_a by seq"];
        let (_, kept) = analyzed(&(log(&events) + lost), &stage);
        let mut found = kept.near_loss;
        found.sort();
        let mut expected = expected;
        expected.sort();
        assert_eq!(found, expected, "{events:?}");
    }
}
