//! A pipe that nothing reads for a while: what was fired waits in memory, compressed, up to `--memory`; beyond that it is counted as
//! lost.

use std::fs::File;
use std::io::Read;
use std::process::Command;
use std::thread::JoinHandle;

use crate::target::{Target, guarded};
use crate::tool::{Folder, Recording, live, stderr};

/// Far more than the rings and the batches behind them have room for.
const HITS: u64 = 3_000_000;

/// Opens the pipe at once, and reads it once the file `go` is there.
fn reader(folder: &Folder) -> JoinHandle<Vec<u8>> {
    let (pipe, go) = (folder.path("pipe"), folder.path("go"));
    std::thread::spawn(move || {
        let (mut pipe, mut bytes) = (File::open(pipe).expect("there"), Vec::new());
        while !go.exists() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        pipe.read_to_end(&mut bytes).expect("read");
        bytes
    })
}

/// Records into a pipe that is not read while the target fires; gives the number of lost events.
fn lost(name: &str, memory: &str) -> u64 {
    let folder = Folder::new(name);
    assert!(Command::new("mkfifo").arg(folder.path("pipe")).status().expect("mkfifo runs").success());
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let reading = reader(&folder);
    let recording = Recording::start(&folder, &["-o", "pipe", "-e", "target:hit", "--memory", memory]);
    target.wait_for_recorder();
    assert_eq!(target.fire(HITS), (1, HITS));
    folder.write("go", "");
    let summary = recording.stop();
    let said = stderr(&summary);
    folder.write("run.trace", reading.join().expect("no panic"));
    let verified = folder.tracer(&["verify", "run.trace"]);
    assert!(matches!(verified.status.code(), Some(0 | 3)), "{}", stderr(&verified));
    let counts = said.lines().find_map(|line| line.strip_prefix("tracer: pipe: ")).expect("a summary");
    let (recorded, rest) = counts.split_once(" events, ").expect("events");
    let lost: u64 = rest.split_once(" lost").expect("lost").0.parse().expect("a number");
    assert_eq!(recorded.parse::<u64>().expect("a number") + lost, HITS, "{said}");
    assert!(matches!((summary.status.code(), lost), (Some(3), _) | (Some(0), 0)), "{said}");
    lost
}

#[test]
#[ignore = "needs root and eBPF"]
fn what_a_pipe_does_not_take_waits_in_memory() {
    let _alone = live();
    assert_eq!(lost("pipe-default", "64M"), 0);
}

#[test]
#[ignore = "needs root and eBPF"]
fn what_has_no_room_in_memory_is_counted() {
    let _alone = live();
    assert!(lost("pipe-small", "64K") > 0, "the memory is not bounded");
}
