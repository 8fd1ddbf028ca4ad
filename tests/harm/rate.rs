//! Two programs at full speed on all processors: what they fired was recorded or is reported lost, wherever one looks.

use std::process::Command;

use crate::target::{Target, guarded};
use crate::tool::{Folder, Recording, live, stderr, stdout};

const HITS: u64 = 400_000;

/// Values of the events of one process, in the order of the log.
fn values(log: &str, pid: u32) -> Vec<u64> {
    let mark = format!("[PID:{pid:>7}]");
    let lines = log.lines().filter(|line| line.contains(&mark));
    lines.filter_map(|line| line.rsplit_once(" | Seq: ")?.1.parse().ok()).collect()
}

/// Numbers between `before` and `after` in the lines that have both.
fn numbers(text: &str, before: &str, after: &str) -> Vec<u64> {
    let rests = text.lines().filter_map(|line| Some(line.split_once(before)?.1));
    rests.filter_map(|rest| rest.split_once(after)?.0.parse().ok()).collect()
}

/// Records two programs at full speed, the second half of it while the recorder is stopped if `is_stopped`; gives the number of
/// lost events, once every verb agrees on it.
fn check(name: &str, options: &[&str], is_stopped: bool) -> u64 {
    let folder = Folder::new(name);
    let program = guarded(&folder, "target");
    let mut targets = [(); 2].map(|()| Target::start(&mut Command::new(&program)));
    targets.iter_mut().for_each(|target| drop(target.answer()));
    let recording =
        Recording::start(&folder, &[&["-o", "run.trace", "-e", "target:hit"][..], options].concat());
    for half in 1..=2 {
        if is_stopped && half == 2 {
            recording.signal("STOP");
        }
        targets.iter_mut().for_each(|target| target.tell(HITS / 2));
        for target in &mut targets {
            assert_eq!(target.answer(), format!("1 {}", half * HITS / 2));
        }
    }
    recording.signal("CONT");
    let summary = recording.stop();
    let log = folder.tracer(&["replay", "run.trace"]);
    let text = String::from_utf8(log.stdout).expect("UTF-8");
    let mut recorded = 0;
    for target in &targets {
        let values = values(&text, target.pid());
        assert!(values.is_sorted_by(|one, next| one < next), "in order and none twice");
        assert!(values.last().is_none_or(|last| *last < HITS));
        recorded += values.len() as u64;
    }
    let lost: u64 = numbers(&text, "] Lost ", " events of target:hit on CPU ").iter().sum();
    assert_eq!(recorded + lost, 2 * HITS, "{recorded} recorded, {lost} lost");
    println!("{name}: {recorded} recorded, {lost} lost");

    let code = if lost > 0 { 3 } else { 0 };
    assert_eq!((summary.status.code(), log.status.code()), (Some(code), Some(code)), "{}", stderr(&summary));
    assert!(stderr(&summary).contains(&format!("{recorded} events, {lost} lost")), "{}", stderr(&summary));
    // Each event that was lost is of a process that is named.
    let named = numbers(&stderr(&summary), "not recorded: ", " events in target (process ");
    assert_eq!(named.iter().sum::<u64>(), lost, "{}", stderr(&summary));
    let said = |text: &str| {
        if lost > 0 { text.contains(&format!("{lost} events")) } else { text.contains("no events") }
    };
    let info = stdout(&folder.tracer(&["info", "run.trace"]), code);
    let line = info.lines().find(|line| line.starts_with("lost ")).expect("a line");
    assert!(said(line), "{info}");
    let analysis = stdout(&folder.tracer(&["analyze", "run.trace"]), code);
    assert!(said(analysis.lines().nth(1).expect("a second line")), "{analysis}");
    let json = stdout(&folder.tracer(&["analyze", "run.trace", "--format", "json"]), code);
    assert_eq!(numbers(&json, "\"lost\": ", ","), [lost], "{json}");
    stdout(&folder.tracer(&["export", "run.trace", "-o", "run.json"]), code);
    let json = std::fs::read_to_string(folder.path("run.json")).expect("there");
    let slices: Vec<&str> =
        json.lines().filter(|line| line.contains("\"cat\":\"loss\",\"ph\":\"b\"")).collect();
    let shown: u64 =
        numbers(&slices.join("\n"), "\"args\":{\"count\":", ",\"probe\":\"target:hit\"").iter().sum();
    assert_eq!(shown, lost);
    lost
}

#[test]
#[ignore = "needs root and eBPF"]
fn two_programs_at_full_speed_are_recorded_or_reported_lost() {
    let _alone = live();
    check("rate-default", &[], false);
}

#[test]
#[ignore = "needs root and eBPF"]
fn what_a_small_ring_loses_is_shown_by_every_verb() {
    let _alone = live();
    assert!(check("rate-small", &["--ring-size", "4K"], true) > 0, "nothing was lost");
}
