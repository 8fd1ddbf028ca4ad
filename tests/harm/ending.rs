//! The end of a recording: the trace is complete before anything is detached, whatever signals follow the first.

use std::process::Command;

use crate::target::{Target, guarded, of_process, until};
use crate::tool::{Folder, Recording, live, stderr, stdout};

/// Files that are attached to; detaching from one takes the kernel some milliseconds.
const FILES: usize = 120;

/// Whether process `pid` still keeps sites attached.
fn is_attached(pid: u32) -> bool {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|fd| {
        std::fs::read_link(fd.path()).is_ok_and(|target| target.to_string_lossy().contains("bpf_link"))
    })
}

#[test]
#[ignore = "needs root and eBPF"]
fn the_trace_is_complete_before_anything_is_detached() {
    let _alone = live();
    let folder = Folder::new("ending");
    let program = guarded(&folder, "target");
    let mut args: Vec<String> =
        ["-o", "run.trace", "-e", "target:hit", "-x", "./target"].map(String::from).to_vec();
    for number in 0..FILES {
        folder.copy_program(&program, format!("copy{number}"));
        args.extend(["-x".to_owned(), format!("./copy{number}")]);
    }
    let mut target = Target::start(&mut Command::new(&program));
    target.answer();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut recording = Recording::start(&folder, &args);
    target.fire(1000);
    recording.signal("INT");
    // It fires on, as programs do that nobody asked.
    target.tell(1_000_000);
    let is_complete = || folder.tracer(&["verify", "run.trace"]).status.code() == Some(0);
    let mut is_over = false;
    until("the recording has ended", || {
        // Before the file, or what is detached in between would count.
        let was_attached = is_attached(recording.child.id());
        assert!(was_attached || is_complete(), "detached from everything, but the trace is not complete");
        // Impatient.
        if !is_over {
            recording.signal("INT");
            recording.signal("TERM");
        }
        is_over = recording.child.try_wait().expect("asked").is_some();
        is_over
    });
    let summary = recording.ended();
    assert!(matches!(summary.status.code(), Some(0 | 3)), "{}", stderr(&summary));
    assert!(is_complete(), "{}", stderr(&summary));
    let code = summary.status.code().expect("a code");
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), code);
    let seen = of_process(&log, target.pid());
    assert!(seen.len() >= 1000, "{} events", seen.len());
}
