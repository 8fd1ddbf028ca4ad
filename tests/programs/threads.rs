//! What the threads of a recorded program did, told from the exported events alone: a stack of calls for each thread.

use std::collections::BTreeMap;
use std::process::Output;

use serde_json::Value;

use crate::tool::{Folder, answer};

/// An event of one thread.
#[derive(Debug, Clone)]
pub(crate) struct Fired {
    pub(crate) time_ns: u64,
    pub(crate) pid: u32,
    pub(crate) probe: String,
    pub(crate) args: Vec<String>,
}

/// The events of a provider in `run.trace`, of these processes or of all, thread by thread, in the order of time.
pub(crate) fn threads(folder: &Folder, provider: &str, pids: &[u32]) -> BTreeMap<String, Vec<Fired>> {
    let filter = format!("{provider}:*");
    let args = ["export", "--force", "run.trace", "-e", &filter, "-o", "events.csv"];
    answer(&of_processes(folder, &args, pids));
    let table = std::fs::read_to_string(folder.path("events.csv")).expect("read");
    let mut lines = table.lines();
    let head: Vec<&str> = lines.next().expect("a head").split(',').collect();
    let column = |name: &str| head.iter().position(|&it| it == name).expect("a column");
    let [time, pid, tid, probe, args] = ["ts_ns", "pid", "tid", "probe", "args"].map(column);
    let mut threads: BTreeMap<String, Vec<Fired>> = BTreeMap::new();
    for line in lines {
        let cells = cells(line);
        let list = cells[args].trim_matches(['[', ']']);
        let fired = Fired {
            time_ns: cells[time].parse().expect("a time"),
            pid: cells[pid].parse().expect("a process"),
            probe: cells[probe].clone(),
            args: list.split([',', ';', ' ']).filter(|arg| !arg.is_empty()).map(str::to_owned).collect(),
        };
        threads.entry(cells[tid].clone()).or_default().push(fired);
    }
    threads
}

/// The cells of a line of CSV, without line ends inside.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            _ => cells.last_mut().expect("one at least").push(letter),
        }
    }
    cells
}

/// How long the calls of a stage took, ns, as a stack for each thread tells: an end closes the innermost call, or, with
/// `same`, the innermost with the same argument; calls inside of that were left without an end.
pub(crate) fn calls(
    threads: &BTreeMap<String, Vec<Fired>>,
    begin: &str,
    ends: &[&str],
    same: Option<usize>,
) -> Vec<u64> {
    let mut took = Vec::new();
    for events in threads.values() {
        let mut open: Vec<&Fired> = Vec::new();
        for fired in events {
            if fired.probe == begin {
                open.push(fired);
            } else if ends.contains(&&fired.probe[..]) {
                let is_same =
                    |call: &&Fired| same.is_none_or(|arg| call.args.get(arg) == fired.args.get(arg));
                if let Some(at) = open.iter().rposition(is_same) {
                    took.push(fired.time_ns - open[at].time_ns);
                    open.truncate(at);
                }
            }
        }
    }
    took.sort_unstable();
    took
}

/// What `analyze` says of a stage, beside what the threads did: key, count, least and greatest time are the same.
#[track_caller]
pub(crate) fn agrees(report: &Value, stage: &str, key: &str, took: &[u64]) {
    let stages = report["stages"].as_array().expect("a list");
    let found = stages.iter().find(|found| found["name"] == stage).expect("the stage is there");
    assert!(found["key"].as_str().is_some_and(|found| found.starts_with(key)), "{stage}: {}", found["key"]);
    let said = ["min", "max"].map(|name| found["latency_ns"][name].as_u64());
    let expected = [took.first(), took.last()].map(|time| time.copied());
    assert_eq!((found["complete"].as_u64(), said), (Some(took.len() as u64), expected), "{stage}: {found}");
}

/// Runs `tracer` on what these processes did, or all.
fn of_processes(folder: &Folder, args: &[&str], pids: &[u32]) -> Output {
    let filter = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]);
    folder.command(args).args(filter).output().expect("tracer runs")
}

/// What `analyze` says of `run.trace`, of these processes or of all.
pub(crate) fn analyzed(folder: &Folder, pids: &[u32]) -> Value {
    let report = of_processes(folder, &["analyze", "--format", "json", "run.trace"], pids);
    serde_json::from_slice(&report.stdout).expect("JSON")
}
