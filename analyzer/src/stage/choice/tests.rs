//! Keys that are chosen for programs whose true pairs are known, of every kind and at random.

use std::collections::BTreeMap;

use tracer_format::{ProcessId, ThreadId};

use proptest::prelude::*;

use super::candidate::Candidate;
use super::decision::{Decision, Refusal, decide};
use super::sample::{Fired, Life, Sample};
use super::trial::Trial;
use super::unwinding::unwound;
use super::widening::widen;
use crate::stage::Scope;

/// A stage being simulated, with its true pairs.
#[derive(Default)]
struct Simulated {
    fired: Vec<Fired>,
    /// End and begin, by position.
    truth: BTreeMap<usize, usize>,
    lives: Vec<Life>,
}

impl Simulated {
    /// A firing; gives its position.
    fn fire(&mut self, is_end: bool, [parent, process, thread]: [u32; 3], args: &[i64]) -> usize {
        let mut fired = Fired {
            is_end,
            thread: ThreadId(thread),
            process: ProcessId(process),
            parent,
            ..Fired::default()
        };
        fired.arity = u8::try_from(args.len()).unwrap();
        for (to, &arg) in fired.args.iter_mut().zip(args) {
            *to = Some(arg);
        }
        let now_ns = self.fired.len() as u64;
        while self.lives.len() <= process as usize {
            self.lives.push(Life { first_ns: now_ns, last_ns: now_ns, program: 0 });
        }
        self.lives[process as usize].last_ns = now_ns;
        self.fired.push(fired);
        self.fired.len() - 1
    }

    fn begin(&mut self, at: [u32; 3], args: &[i64]) -> usize {
        self.fire(false, at, args)
    }

    fn end(&mut self, begin: usize, at: [u32; 3], args: &[i64]) {
        let end = self.fire(true, at, args);
        self.truth.insert(end, begin);
    }

    fn sample(&self) -> Sample<'_> {
        Sample { fired: &self.fired, lives: &self.lives }
    }

    fn key(&self) -> String {
        shown(&decide(&self.sample()))
    }

    /// The share of the true pairs that the decision finds, and of its pairs that are true.
    fn agreement(&self, decision: &Decision) -> (f64, f64) {
        let key = decision.key.clone().unwrap();
        let trial = match decision.unwinding {
            Some(arg) if decision.nested && decision.left > 0 => unwound(&self.sample(), arg).0,
            _ => Trial::new(&self.sample(), key),
        };
        let mut begin_of = vec![0; self.fired.len()];
        for (&end, &begin) in &self.truth {
            begin_of[end] = u32::try_from(begin).unwrap() + 1;
        }
        let truth = Trial::of_pairs(key, begin_of);
        let right = (trial.pairs - trial.missing_in(&truth)) as f64;
        (right / self.truth.len() as f64, right / trial.pairs.max(1) as f64)
    }
}

fn shown(decision: &Decision) -> String {
    match &decision.key {
        Ok(key) => format!("{key}{}", if decision.nested { " nested" } else { "" }),
        Err(why) => format!("{why:?}"),
    }
}

/// Numbers that look random, the same ones each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Calls of `threads` threads, up to `deepest` deep, with the function's address as argument or without arguments.
fn calls(seed: u64, threads: u32, deepest: usize, with_argument: bool) -> Simulated {
    let (mut stage, mut dice) = (Simulated::default(), Dice(seed));
    let mut stacks: Vec<Vec<(usize, i64)>> = vec![Vec::new(); threads as usize];
    while stage.truth.len() < 300 {
        let thread = dice.below(threads.into());
        let at = [1, 0, u32::try_from(thread).unwrap()];
        let stack = &mut stacks[usize::try_from(thread).unwrap()];
        let function = 4096 + 64 * i64::try_from(dice.below(7)).unwrap();
        let args = |function| if with_argument { vec![function] } else { Vec::new() };
        if stack.len() < deepest && (stack.is_empty() || dice.below(2) == 0) {
            stack.push((stage.begin(at, &args(function)), function));
        } else if let Some((begin, function)) = stack.pop() {
            stage.end(begin, at, &args(function));
        }
    }
    for (thread, stack) in (0..).zip(&mut stacks) {
        while let Some((begin, function)) = stack.pop() {
            let args = if with_argument { vec![function] } else { Vec::new() };
            stage.end(begin, [1, 0, thread], &args);
        }
    }
    stage
}

/// Requests with numbers of their own, of which up to `depth` are under way; `spread` tells in which scope.
fn requests(
    seed: u64,
    depth: usize,
    at: impl Fn(i64, bool) -> [u32; 3],
    args: impl Fn(i64) -> Vec<i64>,
) -> Simulated {
    let (mut stage, mut dice, mut under_way) = (Simulated::default(), Dice(seed), Vec::new());
    for number in 0..300 {
        under_way.push((stage.begin(at(number, false), &args(number)), number));
        while under_way.len() > usize::try_from(dice.below(depth as u64 + 1)).unwrap() {
            let chosen = usize::try_from(dice.below(under_way.len() as u64)).unwrap();
            let (begin, number) = under_way.swap_remove(chosen);
            stage.end(begin, at(number, true), &args(number));
        }
    }
    stage
}

#[test]
fn calls_are_paired_by_thread() {
    assert_eq!(calls(1, 4, 1, false).key(), "tid");
    assert_eq!(calls(2, 3, 6, false).key(), "tid nested");
    let decision = decide(&calls(3, 3, 6, true).sample());
    assert_eq!(
        (shown(&decision), &decision.agreeing[..], decision.confirmed),
        ("tid nested".into(), &[0][..], true)
    );
    assert!(!decide(&calls(2, 3, 6, false).sample()).confirmed, "no argument agrees");
}

#[test]
fn asynchronous_work_is_paired_by_its_number() {
    let one_thread = requests(1, 6, |_, _| [1, 0, 0], |number| vec![number]);
    assert_eq!(one_thread.key(), "tid,seq");
    let one_process = requests(
        2,
        6,
        |number, is_end| [1, 0, u32::try_from(number % 4).unwrap() + 4 * u32::from(is_end)],
        |number| vec![number],
    );
    assert_eq!(one_process.key(), "pid,seq");
    let two_processes = requests(3, 6, |_, is_end| [1, is_end.into(), is_end.into()], |number| vec![number]);
    assert_eq!(two_processes.key(), "seq");
}

#[test]
fn the_argument_that_is_a_number_is_found_behind_a_clock() {
    let mut clock = 0;
    let mut stage = requests(4, 6, |_, is_end| [1, 0, is_end.into()], |number| vec![0, number]);
    for fired in &mut stage.fired {
        clock += 17;
        fired.args[0] = Some(clock);
    }
    assert_eq!(stage.key(), "pid,arg1");
}

#[test]
fn crossed_arguments_are_tried_last() {
    let mut stage = requests(5, 6, |_, is_end| [1, 0, is_end.into()], |number| vec![number, 0]);
    let mut clock = 1_000_000;
    for fired in &mut stage.fired {
        clock += 17;
        fired.args[1] = Some(clock);
        if fired.is_end {
            fired.args.swap(0, 1);
        }
    }
    assert_eq!(stage.key(), "pid,arg0=arg1");
}

#[test]
fn processes_that_count_alike_are_told_apart_by_their_parent_or_refused() {
    // Sources are processes 0 and 1, sinks 2 and 3.
    let at = |parents: [u32; 2]| {
        move |number: i64, is_end: bool| {
            let family = u32::try_from(number % 2).unwrap();
            let process = family + 2 * u32::from(is_end);
            [parents[family as usize], process, process]
        }
    };
    let args = |number: i64| vec![number / 2];
    assert_eq!(requests(6, 4, at([7, 8]), args).key(), "ppid,seq");
    let refused = decide(&requests(6, 0, at([7, 7]), args).sample());
    assert!(matches!(refused.key, Err(Refusal::SameNumbers(_, 90..))), "{refused:?}");
}

#[test]
fn what_does_not_come_in_pairs_is_refused() {
    let mut stage = calls(7, 1, 1, false);
    for _ in 0..3000 {
        stage.fire(true, [1, 0, 0], &[]);
    }
    assert_eq!(decide(&stage.sample()).key, Err(Refusal::NotInPairs));
    let mut one_sided = Simulated::default();
    for _ in 0..20 {
        one_sided.begin([1, 0, 0], &[]);
    }
    assert_eq!(decide(&one_sided.sample()).key, Err(Refusal::NotInPairs));
    one_sided.fired.truncate(7);
    assert_eq!(decide(&one_sided.sample()).key, Err(Refusal::Few));
}

#[test]
fn calls_left_without_a_return_are_passed_over() {
    let mut stage = calls(8, 1, 8, true);
    // Every tenth return is gone.
    let gone: Vec<usize> = stage.truth.keys().copied().skip(9).step_by(10).collect();
    let moved = |at: usize| at - gone.partition_point(|&end| end < at);
    let fired = stage.fired.iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, fired)| *fired);
    let truth = stage.truth.iter().filter(|(end, _)| !gone.contains(end));
    let truth = truth.map(|(&end, &begin)| (moved(end), moved(begin))).collect();
    stage = Simulated { fired: fired.collect(), truth, lives: stage.lives };
    let decision = decide(&stage.sample());
    assert_eq!((shown(&decision), &decision.agreeing[..]), ("tid nested".into(), &[0][..]), "{decision:?}");
    assert!(decision.left > 0);
}

#[test]
fn the_argument_that_tells_calls_apart_unwinds_them_and_not_the_threads_number() {
    let mut stage = calls(11, 3, 8, true);
    for (at, fired) in stage.fired.iter_mut().enumerate() {
        // A thread has no number yet while it makes its first calls.
        let number = if at < 4 { 0 } else { 500 + i64::from(fired.thread.0) };
        fired.args = [Some(number), Some(7), fired.args[0], None];
        fired.arity = 3;
    }
    let decision = decide(&stage.sample());
    assert_eq!((&decision.agreeing[..], decision.unwinding), (&[0, 2][..], Some(2)), "{decision:?}");
    let alone = calls(11, 3, 8, false);
    assert_eq!(decide(&alone.sample()).unwinding, None);
}

#[test]
fn stages_of_a_provider_share_the_key_that_reaches_farthest() {
    let awe = requests(9, 0, |_, _| [1, 1, 1], |number| vec![number]);
    let global =
        requests(9, 6, |_, is_end| [1, 2 * u32::from(is_end), 2 * u32::from(is_end)], |number| vec![number]);
    let mut stages = vec![(awe.sample(), decide(&awe.sample())), (global.sample(), decide(&global.sample()))];
    assert_eq!(shown(&stages[0].1), "tid");
    widen(&mut stages);
    assert_eq!((shown(&stages[0].1), shown(&stages[1].1)), ("seq".into(), "seq".into()));
    // One that counts buffers is widened by itself, one with a pointer is not.
    let mut alone = vec![(awe.sample(), decide(&awe.sample()))];
    widen(&mut alone);
    assert_eq!(shown(&alone[0].1), "seq");
    let pointer = requests(9, 0, |_, _| [1, 1, 1], |number| vec![number % 3]);
    let mut alone = vec![(pointer.sample(), decide(&pointer.sample()))];
    widen(&mut alone);
    assert_eq!(shown(&alone[0].1), "tid");
}

#[test]
fn stages_that_number_parts_of_buffers_are_keyed_by_both() {
    let split = requests(9, 0, |_, _| [1, 1, 1], |number| vec![number]);
    let worker = |number: i64, _: bool| {
        [1, 2 + u32::try_from(number % 4).unwrap(), 2 + u32::try_from(number % 4).unwrap()]
    };
    let tile = requests(9, 0, worker, |number| vec![number / 4, number % 4]);
    let keys = |other: &Simulated| {
        let mut stages =
            vec![(split.sample(), decide(&split.sample())), (other.sample(), decide(&other.sample()))];
        widen(&mut stages);
        [shown(&stages[0].1), shown(&stages[1].1)]
    };
    assert_eq!(shown(&decide(&tile.sample())), "tid");
    assert_eq!(keys(&tile), ["seq", "seq,arg1"]);
    // Each of four sinks gets every buffer.
    let sinks = requests(9, 0, worker, |number| vec![number / 4]);
    assert_eq!(keys(&sinks), ["seq", "pid,seq"]);
    // What has other numbers is no part.
    let other = requests(9, 0, worker, |number| vec![1_000_000 + number / 4, number % 4]);
    assert_eq!(keys(&other)[1], "tid");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever the number of threads, the depth and the order: the true pairs, or a refusal.
    #[test]
    fn what_is_chosen_gives_the_true_pairs(seed in 1_u64..1 << 40, kind in 0..6, depth in 1_usize..12, width in 1_u32..9) {
        let one = |_: i64, _: bool| [1, 0, 0];
        let spread = move |number: i64, is_end: bool| {
            let process = u32::from(is_end) * width + u32::try_from(number).unwrap() % width;
            [1, process, process]
        };
        let stage = match kind {
            0 => calls(seed, width, depth, true),
            1 => calls(seed, width, depth, false),
            2 => requests(seed, depth, one, |number| vec![number]),
            3 => requests(seed, depth, spread, |number| vec![number * 16]),
            4 => requests(seed, depth, spread, |number| vec![-(number / 5), number % 5]),
            _ => requests(seed, depth, one, |number| vec![77, number]),
        };
        let decision = decide(&stage.sample());
        if let Ok(key) = decision.key {
            let (found, right) = stage.agreement(&decision);
            prop_assert!(found > 0.97 && right > 0.97, "kind {}: {} finds {}, {} right", kind, key, found, right);
        } else {
            prop_assert!(kind >= 2, "calls are never refused: {:?}", decision);
        }
    }

    /// Noise is no stage, or one of which it is said that no argument confirms it.
    #[test]
    fn noise_confirms_nothing(seed in 1_u64..1 << 40) {
        let (mut stage, mut dice) = (Simulated::default(), Dice(seed));
        for _ in 0..600 {
            let (thread, is_end) = (u32::try_from(dice.below(3)).unwrap(), dice.below(2) == 0);
            let args = [i64::try_from(dice.below(90)).unwrap(), i64::try_from(dice.below(1 << 30)).unwrap()];
            stage.fire(is_end, [1, thread, thread], &args);
        }
        let decision = decide(&stage.sample());
        prop_assert!(decision.key.is_err() || !decision.confirmed, "{:?}", decision);
    }
}

/// The widest scope is the greatest.
#[test]
fn keys_are_shown_as_they_are_given() {
    let keys = [
        (Candidate::new(Scope::Tid, &[]), "tid"),
        (Candidate::new(Scope::Trace, &[(0, 0)]), "seq"),
        (Candidate::new(Scope::Ppid, &[(0, 0), (2, 2)]), "ppid,seq,arg2"),
        (Candidate::new(Scope::Pid, &[(1, 0)]), "pid,arg1=arg0"),
    ];
    for (key, expected) in keys {
        assert_eq!(key.to_string(), expected);
    }
}
