//! Programs that no path leads to: in a mount namespace of their own, or deleted since they were started.

use std::path::Path;
use std::process::Command;

use crate::target::{Target, guarded, of_process};
use crate::tool::{Folder, Recording, live, stderr, stdout};

/// Starts a copy of `program` that only the new process can see.
fn start_hidden(folder: &Folder, program: &Path) -> Target {
    let private = folder.path("private");
    std::fs::create_dir_all(&private).expect("made");
    let script = "mount -t tmpfs none \"$0\" && cp \"$1\" \"$0\"/hidden && exec \"$0\"/hidden";
    let mut command = Command::new("unshare");
    let target = Target::start(command.args(["--mount", "sh", "-c", script]).arg(&private).arg(program));
    assert!(!private.join("hidden").exists(), "the mount is not private");
    target
}

/// Starts `program` and removes its file.
fn start_deleted(folder: &Folder, program: &Path) -> Target {
    let copy = folder.copy_program(program, "deleted");
    let mut target = Target::start(&mut Command::new(&copy));
    // Once it answers it is no longer being executed.
    target.answer();
    std::fs::remove_file(&copy).expect("removed");
    target
}

/// All that `target` fires while it is recorded, and the name that it goes by.
fn check(folder: &Folder, recording: Recording, target: &mut Target, name: &str) {
    target.wait_for_recorder();
    let (_, total) = target.fire(1000);
    assert_eq!(total, 1000);
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let expected: Vec<_> = (0..1000).map(|n| ("target:hit".to_owned(), n.to_string())).collect();
    assert_eq!(of_process(&log, target.pid()), expected);
    assert!(log.contains(&format!("Found probe hit                                 in '{name}'")), "{log}");
    let event = format!("[PID:{:>7}] {name:<12} target:hit", target.pid());
    assert_eq!(log.matches(&event).count(), 1000, "{log}");
}

fn record(folder: &Folder) -> Recording {
    Recording::start(folder, &["-o", "run.trace", "-e", "target:hit", "--wait"])
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_in_a_mount_namespace_of_its_own_is_recorded() {
    let _alone = live();
    let folder = Folder::new("namespace");
    let program = guarded(&folder, "original");
    let mut before = start_hidden(&folder, &program);
    before.answer();
    let recording = record(&folder);
    check(&folder, recording, &mut before, "hidden");

    let folder = Folder::new("namespace-during");
    let program = guarded(&folder, "original");
    let recording = record(&folder);
    let mut during = start_hidden(&folder, &program);
    during.answer();
    check(&folder, recording, &mut during, "hidden");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_that_was_deleted_is_recorded() {
    let _alone = live();
    let folder = Folder::new("deleted");
    let program = guarded(&folder, "original");
    let mut before = start_deleted(&folder, &program);
    check(&folder, record(&folder), &mut before, "deleted");

    let folder = Folder::new("deleted-during");
    let program = guarded(&folder, "original");
    let recording = record(&folder);
    let mut during = start_deleted(&folder, &program);
    check(&folder, recording, &mut during, "deleted");
}
