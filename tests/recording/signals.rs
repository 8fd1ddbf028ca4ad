//! Signals that end a recording, and one that does not.

use std::process::Command;

use crate::target::{Target, guarded, of_process};
use crate::tool::{Folder, Recording, live, stderr, stdout};

#[test]
#[ignore = "needs root and eBPF"]
fn a_recording_under_nohup_outlives_its_terminal() {
    let _alone = live();
    let folder = Folder::new("nohup");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let args = ["-f", "-o", "run.trace", "-e", "target:hit"];
    let ignoring = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];
    let recording = Recording::start_by(&folder, &ignoring, &args);
    recording.signal("HUP");
    // It would have ended by now: the next signal is taken after this one.
    assert_eq!(target.fire(100), (1, 100));
    recording.signal("USR1");
    assert_eq!(target.fire(100), (1, 200));
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert_eq!(of_process(&log, target.pid()).len(), 200);
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_terminal_that_goes_away_ends_a_recording_in_order() {
    let _alone = live();
    let folder = Folder::new("hangup");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    // Also where the tests themselves run under nohup, which hands the ignored signal on.
    let heeding = ["env", "--default-signal=HUP"];
    let recording = Recording::start_by(&folder, &heeding, &["-o", "run.trace", "-e", "target:hit"]);
    assert_eq!(target.fire(100), (1, 100));
    recording.signal("HUP");
    let summary = recording.ended();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    assert!(stdout(&folder.tracer(&["info", "run.trace"]), 0).contains("100"));
}
