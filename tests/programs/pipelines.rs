//! Two demo pipelines at a time, one after the other, and one with a known fault: what belongs together, and what is found.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::target::pipeline::Pipeline;
use crate::target::until;
use crate::threads::{analyzed, threads};
use crate::tool::{Folder, Recording, live, sample, stderr};

/// Buffers of which both a begin and an end were recorded, in each pipeline by itself.
fn pairs(folder: &Folder, pipelines: &[Vec<u32>], stage: &str) -> u64 {
    let mut seen: BTreeMap<(usize, String), [u64; 2]> = BTreeMap::new();
    for fired in threads(folder, "buffer_tracker", &pipelines.concat()).into_values().flatten() {
        let Some((side, name)) = fired.probe.split_once('_') else { continue };
        let pipeline = pipelines.iter().position(|pids| pids.contains(&fired.pid));
        if name == stage {
            let key = (pipeline.expect("of one of them"), fired.args[0].clone());
            seen.entry(key).or_default()[usize::from(side == "end")] += 1;
        }
    }
    seen.values().filter(|counts| counts.iter().all(|&count| count == 1)).count() as u64
}

/// Every stage is refused, or pairs what belongs to one pipeline.
fn pairs_of_each(folder: &Folder, pipelines: &[Vec<u32>]) -> Value {
    let report = analyzed(folder, &pipelines.concat());
    for stage in report["stages"].as_array().expect("a list") {
        let name = stage["name"].as_str().expect("a name");
        if stage["key"] != "refused" {
            let expected = pairs(folder, pipelines, name);
            assert!(expected > 30, "{name}: {expected}");
            assert_eq!(stage["complete"].as_u64(), Some(expected), "{name} by {}", stage["key"]);
        }
    }
    report
}

fn kinds(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().expect("a list");
    findings.iter().map(|finding| finding["kind"].as_str().expect("a kind")).collect()
}

/// Waits until so much of the trace is there, and a while of work more.
fn recorded(folder: &Folder, bytes: u64) {
    until("events are recorded", || {
        std::fs::metadata(folder.path("run.trace")).is_ok_and(|facts| facts.len() > bytes)
    });
}

#[test]
#[ignore = "needs root and eBPF"]
fn two_pipelines_at_a_time_are_told_apart() {
    let _alone = live();
    let folder = Folder::new("two-pipelines");
    let pipelines = [Pipeline::start(&["--rate", "300"]), Pipeline::start(&["--rate", "200", "--seed", "7"])];
    let recording = Recording::start(&folder, &["-q", "-o", "run.trace", "-e", "buffer_tracker:*"]);
    recorded(&folder, 12_000);
    let output = recording.stop();
    assert!(output.status.success(), "{}", stderr(&output));
    let pids: Vec<Vec<u32>> = pipelines.iter().map(|pipeline| pipeline.pids.clone()).collect();
    let report = pairs_of_each(&folder, &pids);
    let wrong = ["lost", "missed", "skipped", "duplicated"];
    assert!(!kinds(&report).iter().any(|kind| wrong.contains(kind)), "{}", report["findings"]);
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_pipeline_that_is_restarted_keeps_its_runs_apart() {
    let _alone = live();
    let folder = Folder::new("restarted");
    let recording = Recording::start(&folder, &["-q", "-o", "run.trace", "-e", "buffer_tracker:*", "--wait"]);
    let mut pids = Vec::new();
    for run in 1..=2 {
        let pipeline = Pipeline::start(&["--rate", "400"]);
        pids.push(pipeline.pids.clone());
        recorded(&folder, run * 4000);
        pipeline.stop();
    }
    let output = recording.stop();
    assert!(output.status.success(), "{}", stderr(&output));
    let report = pairs_of_each(&folder, &pids);
    let wrong = ["lost", "missed", "skipped", "duplicated"];
    assert!(!kinds(&report).iter().any(|kind| wrong.contains(kind)), "{}", report["findings"]);
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_lost_a_skipped_and_a_repeated_buffer_are_each_found() {
    let _alone = live();
    let folder = Folder::new("planted");
    // For seconds after that, as a buffer is under way for a while on a machine that has just stood still.
    let faults = ["--rate", "200", "--count", "900", "--drop", "120", "--leave-out", "140", "--twice", "160"];
    let mut command = folder.command(&["record", "-q", "-o", "run.trace", "-e", "buffer_tracker:*", "--"]);
    // A pipeline that lost a buffer says so with its exit code, which is the recorder's too.
    let output = command.arg(sample("pipeline")).args(faults).output().expect("it runs");
    assert!(folder.path("run.trace").exists(), "{}", stderr(&output));
    let report = analyzed(&folder, &[]);
    let wanted =
        [("lost", 120, "end_awe"), ("skipped", 140, "beg_global"), ("duplicated", 160, "end_global")];
    for (kind, key, probe) in wanted {
        let findings = report["findings"].as_array().expect("a list");
        let found: Vec<&Value> = findings.iter().filter(|finding| finding["kind"] == kind).collect();
        assert_eq!(found.len(), 1, "{kind}: {}", report["findings"]);
        assert_eq!(
            (&found[0]["keys"], &found[0]["subject"]),
            (&serde_json::json!([key]), &Value::from(probe))
        );
    }
    // Whatever else a busy machine does to it, no buffer overtakes another, and none misses a probe.
    assert!(!kinds(&report).iter().any(|kind| ["missed", "overtaken", "inverted"].contains(kind)));
}
