//! Where the trace cannot go on: a full disk, a read-only one, a folder that is removed. The recording ends with one clear
//! line, or goes on, and what was recorded can be read.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::target::{Target, guarded, of_process, until};
use crate::tool::{Folder, Recording, live, sample, stderr, stdout};

/// A small file system of its own; unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    fn new(folder: &Folder, options: &str) -> Self {
        let path = folder.path("disk");
        std::fs::create_dir_all(&path).expect("made");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&path).status();
        assert!(mounted.expect("mount runs").success());
        Self(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// The lines on standard error that are about a failure.
fn failures(output: &Output) -> Vec<String> {
    stderr(output).lines().filter(|line| line.contains("os error")).map(str::to_owned).collect()
}

/// Has the target fire 2000 times and waits until a block of them is in the file: the next one may be larger than what is left.
fn fire_until_some_are_written(folder: &Folder, trace: &str, target: &mut Target) {
    target.wait_for_recorder();
    target.fire(2000);
    let written = || String::from_utf8_lossy(&folder.tracer(&["replay", trace]).stdout).into_owned();
    until("events are in the file", || of_process(&written(), target.pid()).len() > 1000);
}

/// Has the target fire until the recording ends by itself.
fn fire_until_it_ends(mut recording: Recording, target: &mut Target) -> Output {
    until("the recording ends", || {
        target.fire(100_000);
        recording.child.try_wait().expect("asked").is_some()
    });
    recording.ended()
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_full_disk_ends_the_recording_and_what_was_written_is_a_trace() {
    let _alone = live();
    let folder = Folder::new("full");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let pid = target.pid().to_string();
    let _disk = Disk::new(&folder, "size=64k");
    let args = ["-o", "disk/run.trace", "-e", "target:hit", "-p", &pid];
    let recording = Recording::start(&folder, &args);
    fire_until_some_are_written(&folder, "disk/run.trace", &mut target);
    let output = fire_until_it_ends(recording, &mut target);
    assert_eq!(output.status.code(), Some(1));
    let expected = "tracer: cannot record to disk/run.trace: cannot write the trace: No space left on device (os error 28)";
    assert_eq!(failures(&output), [expected]);
    until("the target is not traced any more", || target.fire(0).0 == 0);

    let verified = stdout(&folder.tracer(&["verify", "disk/run.trace"]), 3);
    assert!(verified.starts_with("incomplete: "), "{verified}");
    let log = stdout(&folder.tracer(&["replay", "disk/run.trace"]), 3);
    let events = of_process(&log, target.pid());
    assert!(events.len() > 1000, "{} events", events.len());
    stdout(&folder.tracer(&["repair", "disk/run.trace", "-o", "repaired.trace"]), 3);
    let repaired = stdout(&folder.tracer(&["replay", "repaired.trace"]), 0);
    assert_eq!(of_process(&repaired, target.pid()), events);
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_disk_too_small_for_the_table_leaves_the_journal() {
    let _alone = live();
    let folder = Folder::new("full-parquet");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let pid = target.pid().to_string();
    let _disk = Disk::new(&folder, "size=400k");
    let args = ["-o", "disk/run.parquet", "-e", "target:hit", "-p", &pid];
    let recording = Recording::start(&folder, &args);
    target.fire(300_000);
    let output = recording.stop();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let expected = "tracer: cannot write disk/run.parquet; disk/run.parquet.trace has the recording, see tracer export: \
                    No space left on device (os error 28)";
    assert_eq!(failures(&output), [expected]);
    assert!(!folder.path("disk/run.parquet").exists(), "half a table would be taken for a whole one");
    let log = folder.tracer(&["replay", "disk/run.parquet.trace", "--seq", "299000.."]);
    assert_eq!(of_process(&stdout(&log, 0), target.pid()).len(), 1000);
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_read_only_disk_and_a_missing_folder_are_told_before_anything_is_attached() {
    let _alone = live();
    let folder = Folder::new("read-only");
    let _disk = Disk::new(&folder, "ro");
    for (name, why) in [
        ("disk/run.trace", "Read-only file system (os error 30)"),
        ("disk/run.parquet", "Read-only file system (os error 30)"),
        ("missing/run.trace", "No such file or directory (os error 2)"),
    ] {
        let output = folder.tracer(&["record", "-o", name, "-e", "target:hit", "--", "true"]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stderr(&output), format!("tracer: cannot create {name}: {why}\n"));
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_folder_that_is_removed_meanwhile_matters_only_to_the_next_file() {
    let _alone = live();
    let folder = Folder::new("removed");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let pid = target.pid().to_string();
    std::fs::create_dir(folder.path("out")).expect("made");
    let args = ["-o", "out/run.trace", "-e", "target:hit", "-p", &pid];
    let recording = Recording::start(&folder, &args);
    std::fs::remove_dir_all(folder.path("out")).expect("removed");
    let (_, total) = target.fire(1000);
    let summary = recording.stop();
    assert_eq!((summary.status.code(), total), (Some(0), 1000), "{}", stderr(&summary));
    assert!(stderr(&summary).contains("1000 events, 0 lost"), "{}", stderr(&summary));

    std::fs::create_dir(folder.path("out")).expect("made");
    let rotating = Recording::start(&folder, &[&args[..], &["--rotate", "200ms"]].concat());
    std::fs::rename(folder.path("out"), folder.path("elsewhere")).expect("renamed");
    let output = fire_until_it_ends(rotating, &mut target);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(failures(&output).len(), 1, "{}", stderr(&output));
    assert!(failures(&output)[0].ends_with("No such file or directory (os error 2)"), "{}", stderr(&output));
    let log = folder.tracer(&["replay", "elsewhere/run.trace"]);
    assert!(of_process(&String::from_utf8_lossy(&log.stdout), target.pid()).len() > 1000);
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_reader_that_goes_away_is_no_failure() {
    let _alone = live();
    let folder = Folder::new("pipe");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let pid = target.pid().to_string();
    let mut command = folder.command(&["record", "-o", "-", "-e", "target:hit", "-p", &pid]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tracer runs");
    target.wait_for_recorder();
    drop(child.stdout.take());
    let recording = Recording { child };
    let output = fire_until_it_ends(recording, &mut target);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(failures(&output), [""; 0]);
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_log_that_cannot_be_printed_ends_the_recording_but_costs_no_event() {
    let _alone = live();
    let folder = Folder::new("full-print");
    let full = std::fs::File::options().write(true).open("/dev/full").expect("there");
    let hammer = sample("hammer");
    let hammer = hammer.to_str().expect("UTF-8");
    let args = ["record", "-o", "run.trace", "-e", "hammer:*", "--print", "--", hammer, "--count", "1000"];
    let output = folder.command(&args).stdout(full).output().expect("tracer runs");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let expected = "cannot print the log: No space left on device";
    assert!(failures(&output).last().is_some_and(|line| line.contains(expected)), "{}", stderr(&output));
    stdout(&folder.tracer(&["verify", "run.trace"]), 0);
}

/// The kernel ends a process that writes more, unless it ignores the signal and takes the error instead.
#[test]
#[ignore = "needs root and eBPF"]
fn a_limit_to_the_size_of_files_is_one_line() {
    let _alone = live();
    let folder = Folder::new("file-limit");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let args = ["-o", "run.trace", "-e", "target:hit"];
    let recording = Recording::start_by(&folder, &["prlimit", "--fsize=30000"], &args);
    fire_until_some_are_written(&folder, "run.trace", &mut target);
    let output = fire_until_it_ends(recording, &mut target);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = failures(&output);
    assert!(matches!(&said[..], [line] if line.contains("File too large")), "{said:?}");
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
    assert!(!of_process(&log, target.pid()).is_empty());
}
