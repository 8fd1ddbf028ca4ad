//! The flight recorder: `--last`, its snapshots, and what ends it.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use crate::target::pipeline::Pipeline;
use crate::target::{Target, guarded, until};
use crate::tool::{Folder, Recording, events, live, stderr, stdout};

#[test]
#[ignore = "needs root and eBPF"]
fn a_flight_recorder_writes_the_last_seconds_when_asked() {
    let _alone = live();
    let folder = Folder::new("flight");
    let _pipeline = Pipeline::start(&["--rate", "1000", "--awe", "50us", "--writing", "20us"]);
    let recording = Recording::start(&folder, &["-o", "run.trace", "--last", "500ms"]);
    std::thread::sleep(Duration::from_millis(1500));
    recording.signal("USR1");
    until("the snapshot is there", || folder.tracer(&["verify", "run.trace"]).status.success());
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0));
    let said = stderr(&summary);
    assert!(said.contains("; snapshots written: 2, there now: 2\n"), "{said}");
    for file in ["run.trace", "run.1.trace"] {
        let log = stdout(&folder.tracer(&["replay", file]), 0);
        let events = events(&log);
        let (first, last) = (events.first().expect("events").0, events.last().expect("events").0);
        let bytes = std::fs::metadata(folder.path(file)).expect("there").len();
        let described = format!("tracer: {file}: {} events, 0 lost, ", events.len());
        assert!(said.contains(&described) && said.contains(&format!(" s, {bytes} bytes (")), "{said}");
        assert!(last - first <= 550_000_000, "{file} covers {} ns", last - first);
        let entered = events.iter().filter(|event| event.3 == "buffer_tracker:beg_global");
        let keys: Vec<i64> = entered.map(|event| event.4.parse().expect("a number")).collect();
        assert!(keys.windows(2).all(|pair| pair[1] == pair[0] + 1), "{file} lacks a buffer in the middle");
    }
}

/// Snapshots are asked for while programs fire as fast as they can, and the files of two of them are on their way.
#[test]
#[ignore = "needs root and eBPF"]
fn a_snapshot_at_full_speed_costs_no_event() {
    const HITS: u64 = 500_000;
    let _alone = live();
    let folder = Folder::new("flight-busy");
    let program = guarded(&folder, "target");
    let mut targets = [(); 4].map(|()| Target::start(&mut Command::new(&program)));
    targets.iter_mut().for_each(|target| drop(target.answer()));
    let pids = targets.each_ref().map(|target| target.pid().to_string());
    let args = ["-o", "run.trace", "-e", "target:hit", "--last", "10m", "--memory", "256M"];
    let only = pids.iter().flat_map(|pid| ["-p", pid]);
    let recording = Recording::start(&folder, &args.into_iter().chain(only).collect::<Vec<_>>());
    let mut rounds = 0;
    for snapshots in [2, 1, 0] {
        targets.iter_mut().for_each(|target| target.tell(HITS));
        for _ in 0..snapshots {
            recording.signal("USR1");
            rounds += 1;
            let file = if rounds == 1 { "run.trace".to_owned() } else { format!("run.{}.trace", rounds - 1) };
            until("the file is opened", || folder.path(&file).exists());
        }
        targets.iter_mut().for_each(|target| drop(target.answer()));
    }
    let summary = recording.stop();
    let said = stderr(&summary);
    assert_eq!(summary.status.code(), Some(0), "{said}");
    let fired = 3 * 4 * HITS;
    assert!(said.contains(&format!("tracer: run.3.trace: {fired} events, 0 lost")), "{said}");
    for file in ["run.trace", "run.1.trace", "run.2.trace", "run.3.trace"] {
        stdout(&folder.tracer(&["verify", file]), 0);
    }
}

/// Six perf events are closed in 0.6 s, longer than what is kept.
#[test]
#[ignore = "needs root and eBPF"]
fn a_flight_recorder_looks_back_from_the_end_however_long_it_takes_to_detach() {
    let _alone = live();
    let folder = Folder::new("flight-perf");
    let _pipeline = Pipeline::start(&["--rate", "1000", "--awe", "50us", "--writing", "20us"]);
    let recording = Recording::start(&folder, &["-o", "run.trace", "--last", "300ms", "--attach", "perf"]);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(recording.stop().status.code(), Some(0));
    let events = events(&stdout(&folder.tracer(&["replay", "run.trace"]), 0)).len();
    assert!(events > 0, "nothing was kept");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_slow_buffer_ends_a_flight_recording_with_its_whole_path() {
    let _alone = live();
    let folder = Folder::new("when");
    // Buffers take about 2 ms in awe; the first of over 4 ms is to be caught.
    let _pipeline =
        Pipeline::start(&["--rate", "100", "--awe", "2ms", "--writing", "100us", "--jitter", "0.5"]);
    let args = ["record", "-o", "run.trace", "--last", "5s", "--when", "awe > 4ms", "--duration", "60s"];
    let output = folder.tracer(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let mut begun = HashMap::new();
    let slow = events(&log).into_iter().find_map(|(time_ns, _, _, probe, key)| match &probe[..] {
        "buffer_tracker:beg_awe" => {
            begun.insert(key, time_ns);
            None
        }
        "buffer_tracker:end_awe" => {
            begun.remove(&key).filter(|begun| time_ns - begun > 4_000_000).map(|_| key)
        }
        _ => None,
    });
    let slow = slow.expect("the slow buffer is in the snapshot");
    // It says which one, when, and how long it took.
    let said = stderr(&output);
    let line = said.lines().find(|line| line.starts_with("tracer: --when: ")).expect("a line");
    assert!(
        line.starts_with("tracer: --when: awe took ") && line.contains(&format!(" for key {slow}, ")),
        "{said}"
    );
    let end = events(&log).into_iter().find(|event| event.3 == "buffer_tracker:end_awe" && event.4 == slow);
    let ended_ns = end.expect("there").0;
    assert!(line.contains(&format!("which left it at {ended_ns} ns, 20")) && line.ends_with('Z'), "{said}");
    let path: Vec<_> =
        events(&log).into_iter().filter(|event| event.4 == slow).map(|event| event.3).collect();
    let expected = ["beg_global", "beg_awe", "end_awe", "beg_writing", "end_writing", "end_global"];
    assert_eq!(path, expected.map(|probe| format!("buffer_tracker:{probe}")));
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_name_that_means_nothing_is_refused_before_the_recording_begins() {
    let _alone = live();
    let folder = Folder::new("names");
    let _pipeline = Pipeline::start(&["--rate", "100"]);
    for (args, expected) in [
        (
            &["--last", "1s", "--when", "aew > 1ms"][..],
            "--when: there is no stage \"aew\"; the nearest is awe; --stage gives one",
        ),
        (
            &["--stage", "x = buffer_tracker:beg_aew -> buffer_tracker:end_awe"],
            "--stage \"x\": there is no probe buffer_tracker:beg_aew; the nearest are buffer_tracker:beg_awe, ",
        ),
    ] {
        let output = folder.tracer(&[&["record", "-o", "run.trace", "--duration", "60s"], args].concat());
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert!(!folder.path("run.trace").exists());
    }
    // A command may start anything, so it is told at the end.
    let args = ["record", "-o", "run.trace", "--last", "1s", "--when", "aew > 1ms", "-a", "--", "true"];
    let output = folder.tracer(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("--when: there is no stage \"aew\"; the nearest is awe"),
        "{}",
        stderr(&output)
    );
}
