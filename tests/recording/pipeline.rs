//! The demo pipeline recorded: every firing, in order, printed and replayed alike.

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::target::pipeline::{Pipeline, fired};
use crate::target::until;
use crate::tool::{Folder, Recording, TRACER, events, live, sample, stderr, stdout};

/// Numbers of events that the log says were lost, with the probe.
fn lost(log: &str) -> HashMap<String, u64> {
    let mut lost = HashMap::new();
    for line in log.lines().filter_map(|line| Some(line.split_once("] Lost ")?.1)) {
        let (count, rest) = line.split_once(" events of ").expect("a probe");
        let (probe, _) = rest.split_once(' ').expect("a processor");
        *lost.entry(probe.to_owned()).or_default() += count.parse::<u64>().expect("a number");
    }
    lost
}

fn printed(folder: &Folder) -> String {
    std::fs::read_to_string(folder.path("printed")).expect("UTF-8")
}

#[test]
#[ignore = "needs root and eBPF"]
fn every_firing_of_the_pipeline_is_recorded_or_reported_lost() {
    let _alone = live();
    let folder = Folder::new("pipeline");
    // Attached by inode: it is enough that the programs ran once.
    let warm = Pipeline::start(&["--rate", "100"]);
    let recording = Recording::start(&folder, &["-o", "run.trace"]);
    drop(warm);
    let output = Command::new(sample("pipeline"))
        .args(["--count", "100000", "--rate", "0", "--awe", "0", "--writing", "0"])
        .output()
        .expect("the pipeline runs");
    let summary = recording.stop();
    let log = folder.tracer(&["replay", "run.trace"]);
    let text = String::from_utf8_lossy(&log.stdout);
    // None on a machine that has a moment for the recorder.
    let lost = lost(&text);
    let code = if lost.is_empty() { 0 } else { 3 };
    assert_eq!((summary.status.code(), log.status.code()), (Some(code), Some(code)), "{}", stderr(&summary));
    let events = events(&text);
    // The pipeline that only warmed up is of other processes.
    let pids: HashMap<&String, u32> = events.iter().map(|event| (&event.2, event.1)).collect();
    let fired = fired(&stderr(&output));
    assert_eq!(fired.len(), 6, "{fired:?}");
    for (probe, fired) in fired {
        let recorded = events.iter().filter(|event| event.3 == probe && pids[&event.2] == event.1).count();
        assert_eq!(recorded as u64 + lost.get(&probe).unwrap_or(&0), fired, "{probe}: {lost:?}");
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn the_printed_log_is_the_replayed_log() {
    let _alone = live();
    let folder = Folder::new("print");
    let _pipeline =
        Pipeline::start(&["--rate", "2000", "--awe", "50us", "--writing", "20us", "--workers", "3"]);
    let recording = Recording::start(&folder, &["-o", "run.trace", "--print"]);
    until("5000 events are printed", || events(&printed(&folder)).len() > 5000);
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let printed = printed(&folder);
    assert!(stdout(&folder.tracer(&["replay", "run.trace"]), 0) == printed, "the logs differ");
    let times: Vec<u64> = events(&printed).iter().map(|event| event.0).collect();
    assert!(times.is_sorted());
}

#[test]
#[ignore = "needs root and eBPF"]
fn programs_started_while_recording_are_found() {
    let _alone = live();
    let folder = Folder::new("later");
    let recording = Recording::start(&folder, &["-o", "run.trace", "--wait", "--print"]);
    let pipeline = Pipeline::start(&["--rate", "500", "--awe", "50us", "--writing", "20us"]);
    let probes = ["beg_global", "beg_awe", "end_awe", "beg_writing", "end_writing", "end_global"];
    until("every probe is recorded", || {
        let printed = printed(&folder);
        let events = events(&printed);
        probes.iter().all(|probe| events.iter().any(|event| event.3 == format!("buffer_tracker:{probe}")))
    });
    let summary = recording.stop();
    drop(pipeline);
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let printed = printed(&folder);
    for probe in probes {
        assert_eq!(printed.matches(&format!("Found probe {probe:<35} in")).count(), 1, "{probe}");
    }
    assert!(stdout(&folder.tracer(&["replay", "run.trace"]), 0) == printed, "the logs differ");
}

#[test]
#[ignore = "needs root and eBPF"]
fn the_children_of_a_command_are_recorded() {
    let _alone = live();
    let folder = Folder::new("children");
    let pipeline = sample("pipeline");
    let pipeline = pipeline.to_str().expect("UTF-8");
    let output =
        folder.tracer(&["record", "-o", "run.trace", "--", pipeline, "--rate", "500", "--count", "1000"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let last = events(&log)
        .into_iter()
        .rev()
        .find(|event| event.3 == "buffer_tracker:end_global")
        .expect("an event");
    assert_eq!(last.4, "1000");
}

/// The recorder raises its own limit.
#[test]
#[ignore = "needs root and eBPF"]
fn a_command_has_the_limit_of_descriptors_that_the_recorder_was_given() {
    let _alone = live();
    let folder = Folder::new("descriptors");
    let mut command = Command::new("prlimit");
    command.args([
        "--nofile=333:4096",
        TRACER,
        "record",
        "-q",
        "-o",
        "run.trace",
        "-e",
        "target:*",
        "--wait",
    ]);
    let command = command.args(["--", "sh", "-c", "ulimit -n; ulimit -Hn"]).current_dir(folder.path(""));
    let output = command.output().expect("prlimit runs");
    assert!(stdout(&output, 0).ends_with("333\n4096\n"), "{output:?}");
}

#[test]
#[ignore = "needs root and eBPF"]
fn loss_is_counted_exactly_and_stands_at_its_place() {
    let _alone = live();
    let folder = Folder::new("loss");
    let mut hammer = Command::new(sample("hammer"));
    hammer.args(["--wait", "--count", "400000", "--threads", "2"]);
    let hammer = hammer.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut hammer = hammer.spawn().expect("hammer runs");
    // Far too small for what comes while the recorder is stopped.
    let args = ["-o", "run.trace", "-e", "hammer:*", "--ring-size", "4K", "--print"];
    let recording = Recording::start(&folder, &args);
    recording.signal("STOP");
    hammer.stdin.take().expect("piped").write_all(b"\n").expect("it reads");
    let output = hammer.wait_with_output().expect("it ends");
    recording.signal("CONT");
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(3), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
    assert!(printed(&folder) == log, "the logs differ");
    let lost: u64 = lost(&log).values().sum();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    let fired: u64 = fired(&said).values().sum();
    assert_eq!(fired, 800_000);
    assert!(lost > 0, "nothing was lost");
    assert_eq!(events(&log).len() as u64 + lost, fired);
    assert!(stdout(&folder.tracer(&["info", "run.trace"]), 3).contains(&lost.to_string()));
}

#[test]
#[ignore = "needs root and eBPF"]
fn without_privilege_it_says_what_is_missing() {
    let _alone = live();
    let folder = Folder::new("nobody");
    let _pipeline = Pipeline::start(&["--rate", "100"]);
    folder.copy_program(TRACER, "tracer");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(""), open).expect("set");
    folder.write(
        "log",
        "[            1000] [PID:     17] worker       demo:beg_work                  | Seq: 1\n",
    );
    let run = |args: &str| {
        let script = format!("cd {} && ./tracer {args}", folder.path("").display());
        Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", &script])
            .output()
            .expect("setpriv runs")
    };
    let output = run("record -o run.trace");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("permission denied (needs root, or CAP_BPF and CAP_PERFMON)"),
        "{}",
        stderr(&output)
    );
    assert!(!folder.path("run.trace").exists(), "an empty trace is left");
    stdout(&run("import log -o s.trace"), 0);
    assert!(stdout(&run("replay s.trace"), 0).contains("demo:beg_work"));
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_without_a_matching_probe_is_an_error_that_names_it() {
    let _alone = live();
    let folder = Folder::new("none");
    let output =
        folder.tracer(&["record", "-o", "run.trace", "-e", "no_such_provider:*", "--duration", "1s"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("no probe matches no_such_provider:* in any running process"),
        "{}",
        stderr(&output)
    );
    assert!(!folder.path("run.trace").exists());
    // A command may start others that have one, so it is run.
    let output = folder.tracer(&["record", "-o", "run.trace", "-e", "no_such_provider:*", "--", "true"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("no matching probe was found"), "{}", stderr(&output));
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_recording_is_followed_and_piped_while_it_is_made() {
    let _alone = live();
    let folder = Folder::new("follow-live");
    let _pipeline =
        Pipeline::start(&["--rate", "2000", "--awe", "50us", "--writing", "20us", "--workers", "3"]);
    let mut following = folder.command(&["replay", "--follow", "run.trace"]);
    let following = following.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tracer runs");
    let script = "\"$0\" record -qo - --max-events 5000 | tee run.trace | \"$0\" replay - >piped";
    let piped = Command::new("sh").args(["-c", script, TRACER]).current_dir(folder.path("")).status();
    assert!(piped.expect("sh runs").success());
    let followed = following.wait_with_output().expect("ended");
    let expected = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert_eq!(events(&expected).len(), 5000);
    let piped = std::fs::read_to_string(folder.path("piped")).expect("UTF-8");
    assert!(piped == expected, "the piped log differs");
    assert!(stdout(&followed, 0) == expected, "the followed log differs");
}
