//! What a recording writes: tables, bounded files, rotated files.

use crate::target::pipeline::Pipeline;
use crate::target::until;
use crate::tool::{Folder, Recording, events, live, stderr, stdout};

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
    let parts: Vec<u32> = (0..100).filter(|n| folder.path(&name(*n)).exists()).collect();
    assert_eq!(parts.len(), 3, "{parts:?}");
    let logs: Vec<_> = parts.iter().map(|n| stdout(&folder.tracer(&["replay", &name(*n)]), 0)).collect();
    let keys: Vec<i64> = logs
        .iter()
        .flat_map(|log| events(log))
        .filter(|event| event.3 == "buffer_tracker:beg_global")
        .map(|event| event.4.parse().expect("a number"))
        .collect();
    assert!(!keys.is_empty());
    assert!(keys.windows(2).all(|pair| pair[1] == pair[0] + 1), "a buffer is missing between two files");
}

fn name(part: u32) -> String {
    if part == 0 { "run.trace".to_owned() } else { format!("run.{part}.trace") }
}
