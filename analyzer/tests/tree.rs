//! Where the time of threads goes, in traces small enough to be computed by hand.

mod made;

use made::{log_of, trace_of};
use tracer_analyzer::analysis::{Growth, SeenSpan, Tree, analyze};
use tracer_analyzer::select::Selection;
use tracer_analyzer::stage::Stage;
use tracer_format::Trace;

const STAGES: [&str; 3] = [
    "query = p:beg_query -> p:end_query by tid",
    "lock = p:beg_lock -> p:end_lock by tid",
    "transaction = p:beg_transaction -> p:end_transaction by tid",
];

/// The tree, and its places as `depth stage spans total own`.
fn grown(events: &str) -> (Tree, Vec<String>) {
    let bytes = trace_of(&log_of(events));
    let trace = Trace::open(&bytes).unwrap();
    let stages: Vec<Stage> = STAGES.iter().map(|stage| stage.parse().unwrap()).collect();
    let mut growth = Growth::new(&stages);
    analyze(&trace, &Selection::all(), &stages, &mut growth).unwrap();
    let tree = growth.tree();
    let line = |node: &tracer_analyzer::analysis::TreeNode| {
        let name = &stages[node.stage as usize].name;
        format!("{} {name} {} {} {}", node.depth, node.latency.count(), node.total_ns, node.own_ns)
    };
    let lines = tree.nodes.iter().map(line).collect();
    (tree, lines)
}

#[test]
fn own_time_is_the_time_without_what_is_inside() {
    let (tree, lines) = grown(
        "10:beg_query:1 20:beg_lock:1 25:end_lock:1 30:beg_query:1 35:beg_lock:1 36:end_lock:1 40:end_query:1 60:end_query:1 \
         5:x:1@2 15:beg_lock:1@2 18:end_lock:1@2 100:beg_query:1 110:end_query:1",
    );
    assert_eq!(lines, ["0 query 2 60 45", "1 query 1 10 9", "2 lock 1 1 1", "1 lock 1 5 5", "0 lock 1 3 3"]);
    // One thread from 10 to 110, one from 15 to 18.
    assert_eq!((tree.threads, tree.thread_ns, tree.idle_ns), (2, 103, 40));
    assert!(tree.overlapping.is_empty());
}

#[test]
fn what_goes_on_when_the_outer_one_ends_stands_beside_the_tree() {
    let (tree, lines) = grown(
        "10:beg_query:1 12:beg_transaction:1 14:beg_lock:1 15:end_lock:1 20:end_query:1 \
         30:beg_query:1 33:end_query:1 40:beg_query:1 45:end_transaction:1 50:end_query:1",
    );
    assert_eq!(lines, ["0 query 3 23 22", "1 lock 1 1 1"]);
    assert_eq!(tree.overlapping, [2]);
}

#[test]
fn what_was_left_without_an_end_is_around_nothing() {
    let (tree, lines) = grown("10:beg_query:1 11:beg_lock:1 20:end_query:1 30:beg_query:1 35:end_query:1");
    assert_eq!(lines, ["0 query 2 15 15"]);
    assert!(tree.overlapping.is_empty());
}

/// 40 queries of 10 to 13 ns on one thread, each with a lock of 2 ns; one lock takes 500 ns, one query is slow by itself.
fn queries() -> String {
    let mut events = String::new();
    for number in 0..40_u64 {
        let begin = 1000 * number;
        let (lock, rest) = match number {
            17 => (500, 8),
            30 => (2, 90),
            _ => (2, 8 + number % 4),
        };
        events += &format!(
            "{begin}:beg_query:1@7 {}:beg_lock:1@7 {}:end_lock:1@7 {}:end_query:1@7 ",
            begin + 3,
            begin + 3 + lock,
            begin + lock + rest,
        );
    }
    events
}

#[test]
fn the_slowest_spans_say_what_took_their_time() {
    let bytes = trace_of(&log_of(&queries()));
    let trace = Trace::open(&bytes).unwrap();
    let stages: Vec<Stage> = STAGES.iter().map(|stage| stage.parse().unwrap()).collect();
    let mut growth = Growth::new(&stages).within(&trace.definitions, Selection::all().time_range(&trace));
    analyze(&trace, &Selection::all(), &stages, &mut growth).unwrap();
    let tree = growth.tree();
    let told: Vec<String> = tree.slowest[..2]
        .iter()
        .map(|slow| {
            let SeenSpan { pid, begin_ns, latency_ns, .. } = slow.seen;
            format!("{} {pid} {begin_ns} {latency_ns} {:?} {}", slow.stage, slow.parts, slow.reason)
        })
        .collect();
    let expected = [
        "0 7 17000 508 [(1, 500), (0, 8)] lock took 500 ns, 250.0 times its median",
        "0 7 30000 92 [(0, 90), (1, 2)] query itself took 90 ns, 9.0 times its median",
    ];
    assert_eq!(told, expected);
    // Only spans that nothing is around, and only those above the median.
    assert!(tree.slowest.iter().all(|slow| slow.stage == 0 && slow.seen.latency_ns > 12));
    assert_eq!(tree.clone().with_slowest(1).slowest.len(), 1);
    let [p50, .., max] = tree.nodes[0].examples.unwrap();
    assert_eq!((p50.latency_ns, max.begin_ns, tree.nodes[1].depth), (12, 17_000, 1));
    // From 0 to 39 012 ns in 11 slices: the slow lock is in the fifth.
    let means = &tree.nodes[0].over_time_ns;
    assert_eq!(means.len(), 11);
    assert!(means[4].unwrap() > 100.0 && means[3].unwrap() < 14.0, "{means:?}");
}

#[test]
fn threads_that_together_are_older_than_time_itself_end_at_its_limit() {
    let end_ns = u64::MAX - 1;
    let (tree, lines) = grown(&format!(
        "0:beg_query:1 0:beg_query:1@2 0:beg_query:1@3 {end_ns}:end_query:1 {end_ns}:end_query:1@2 {end_ns}:end_query:1@3"
    ));
    assert_eq!((tree.threads, tree.thread_ns, tree.idle_ns), (3, u64::MAX, 0));
    assert_eq!(lines.len(), 1, "{lines:?}");
}
