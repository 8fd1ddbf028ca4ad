//! Keys of stages whose begins and ends are far apart: no events in a row have both of a pair.

mod made;

use made::trace_of;
use tracer_analyzer::select::Selection;
use tracer_analyzer::stage::choice::{Chosen, choose_keys};
use tracer_analyzer::stage::choose;
use tracer_format::Trace;

/// Buffers that are under way at a time; and all of them.
const UNDER_WAY: u64 = 20_000;
const ALL: u64 = 50_000;

fn chosen(log: &str) -> Chosen {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    choose_keys(&trace, &Selection::all(), &choose(&[], &trace.definitions).unwrap())
}

/// What stages were chosen, `NAME by KEY`, and why others were refused.
fn shown(chosen: &Chosen) -> Vec<String> {
    let stages = chosen.stages.iter().map(|stage| format!("{} by {}", stage.name, stage.key));
    stages.chain(chosen.refused.iter().map(|refused| refused.text())).collect()
}

/// Buffers come and go; the one that goes has the number that `leaves` says of the one that came so much earlier.
fn queue(from: u64, leaves: impl Fn(u64) -> u64) -> String {
    let line = |at: u64, pid: u64, probe: &str, seq: u64| {
        format!("[{:>16}] [PID:{pid:>7}] a            p:{probe:<28} | Seq: {seq}\n", 10 * at)
    };
    (from..from + ALL)
        .map(|at| {
            let came = line(2 * at, 1, "beg_queue", number(at));
            match (at - from).checked_sub(UNDER_WAY) {
                Some(earlier) => came + &line(2 * at + 1, 2, "end_queue", leaves(from + earlier)),
                None => came,
            }
        })
        .collect()
}

/// Numbers that do not count up, each once.
fn number(at: u64) -> u64 {
    at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1
}

#[test]
fn ends_are_looked_for_where_they_come() {
    assert_eq!(shown(&chosen(&queue(0, number))), ["queue by seq"]);
}

#[test]
fn a_loss_is_not_looked_across() {
    let lost = format!("[{:>16}] Lost 7 events on CPU 0 since {}\n", 100_000, 99_999);
    // Before the loss no end comes; behind it, those of the begins behind it do.
    assert_eq!(shown(&chosen(&(queue(0, number) + &lost))), ["queue by seq"]);
}

#[test]
fn values_that_are_the_same_by_chance_are_no_key() {
    for shared in [3, 50] {
        let other = |at: u64| if at.is_multiple_of(shared) { number(at) } else { number(at + 2 * ALL) };
        let shown = shown(&chosen(&queue(0, other)));
        assert_eq!(shown, ["4096 begins and 0 ends: they do not come in pairs"]);
    }
}
