//! What a recording writes: tables, bounded files, rotated files.

use crate::target::pipeline::Pipeline;
use crate::target::until;
use crate::tool::{Folder, Recording, TRACER, events, live, sample, stderr, stdout};

#[test]
#[ignore = "needs root and eBPF"]
fn a_recording_to_parquet_goes_through_a_trace() {
    let _alone = live();
    let folder = Folder::new("parquet");
    let _pipeline = Pipeline::start(&["--rate", "500", "--awe", "50us", "--writing", "20us"]);
    let recording = Recording::start(&folder, &["-o", "run.parquet"]);
    let journal = folder.path("run.parquet.trace");
    assert!(journal.exists(), "nothing would be left after a crash");
    let replayed = || folder.tracer(&["replay", "run.parquet.trace"]).stdout;
    until("an event is in the journal", || !events(&String::from_utf8_lossy(&replayed())).is_empty());
    assert_eq!(recording.stop().status.code(), Some(0));
    let table = std::fs::read(folder.path("run.parquet")).expect("there");
    assert!(table.starts_with(b"PAR1") && table.ends_with(b"PAR1"));
    assert!(!journal.exists());
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_recording_ends_at_its_bounds() {
    let _alone = live();
    let folder = Folder::new("bounds");
    let _pipeline = Pipeline::start(&["--rate", "2000", "--awe", "50us", "--writing", "20us"]);
    stdout(&folder.tracer(&["record", "-o", "n.trace", "--max-events", "5000", "--duration", "60s"]), 0);
    assert_eq!(events(&stdout(&folder.tracer(&["replay", "n.trace"]), 0)).len(), 5000);
    stdout(&folder.tracer(&["record", "-o", "s.trace", "--max-size", "64K", "--duration", "60s"]), 0);
    let bytes = std::fs::metadata(folder.path("s.trace")).expect("there").len();
    assert!((16 << 10..=64 << 10).contains(&bytes), "{bytes} bytes");
}

#[test]
#[ignore = "needs root and eBPF"]
fn rotation_keeps_the_newest_files_and_loses_nothing_between() {
    let _alone = live();
    let folder = Folder::new("rotate");
    let _pipeline = Pipeline::start(&["--rate", "1000", "--awe", "50us", "--writing", "20us"]);
    let recording = Recording::start(&folder, &["-o", "run.trace", "--rotate", "300ms", "--keep", "3"]);
    until("six files were begun", || folder.path(&name(5)).exists());
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let said = stderr(&summary);
    let parts: Vec<u32> = (0..100).filter(|n| folder.path(&name(*n)).exists()).collect();
    assert_eq!(parts.len(), 3, "{parts:?}");
    let written = parts.last().expect("a file") + 1;
    assert!(said.contains(&format!("; files written: {written}, there now: 3\n")), "{said}");
    let logs: Vec<_> = parts.iter().map(|n| stdout(&folder.tracer(&["replay", &name(*n)]), 0)).collect();
    for (part, log) in parts.iter().zip(&logs) {
        let expected = format!("tracer: {}: {} events, 0 lost, ", name(*part), events(log).len());
        assert!(said.contains(&expected), "{expected}: {said}");
    }
    let keys: Vec<i64> = logs
        .iter()
        .flat_map(|log| events(log))
        .filter(|event| event.3 == "buffer_tracker:beg_global")
        .map(|event| event.4.parse().expect("a number"))
        .collect();
    assert!(!keys.is_empty());
    assert!(keys.windows(2).all(|pair| pair[1] == pair[0] + 1), "a buffer is missing between two files");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_recording_without_the_required_events_fails() {
    let _alone = live();
    let folder = Folder::new("required");
    let hammer = sample("hammer");
    let hammer = hammer.to_str().expect("UTF-8");
    for (required, command, code, expected) in [
        (&["--require-events"][..], &["true"][..], 1, "recorded 0 events, --require-events asks for 1"),
        (
            &["--require-events", "11"],
            &[hammer, "--count", "10"],
            1,
            "recorded 10 events, --require-events asks for 11",
        ),
        (&["--require-events=10"], &[hammer, "--count", "10"], 0, "10 events, 0 lost"),
        (&["--require-events"], &[hammer, "--count", "10"], 0, "10 events, 0 lost"),
        (&["--require-events"], &["false"], 1, "recorded 0 events, "),
        (&["--require-events"], &["sh", "-c", "exit 9"], 9, "recorded 0 events, "),
    ] {
        for name in ["run.trace", "run.parquet"] {
            let args = ["record", "-f", "-o", name, "-e", "hammer:*"];
            let output = folder.tracer(&[&args, required, &["--"], command].concat());
            assert_eq!(output.status.code(), Some(code), "{required:?} {command:?}: {}", stderr(&output));
            assert!(stderr(&output).contains(expected), "{}", stderr(&output));
            assert!(folder.path(name).exists(), "what there is, is kept");
        }
    }
}

fn name(part: u32) -> String {
    if part == 0 { "run.trace".to_owned() } else { format!("run.{part}.trace") }
}

#[test]
fn a_descriptor_that_cannot_be_written_to_is_refused_before_anything_is_recorded() {
    let folder = Folder::new("ready");
    for (script, expected) in [
        ("exec \"$0\" record --ready-fd 99 --wait", "--ready-fd 99: it is not open"),
        ("exec \"$0\" record --ready-fd 3 --wait 3</dev/null", "--ready-fd 3: it is open for reading only"),
    ] {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script, TRACER]).current_dir(folder.path(""));
        let output = command.output().expect("sh runs");
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let line = format!("tracer: {expected}, expected a descriptor to write to\n");
        assert_eq!(stderr(&output), line);
        assert!(!folder.path("run.trace").exists());
    }
}
