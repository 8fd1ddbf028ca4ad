//! Debian's Python, whose probes carry strings: recorded with the right values, whichever of the two starts first.

use std::path::Path;
use std::process::Command;

use crate::target::{Target, of_process, until};
use crate::tool::{Folder, Recording, live, stderr, stdout};

/// The one of the distribution: others are built without probes.
const PYTHON: &str = "/usr/bin/python3.11";

/// Calls the function that a line of its input names. Python 3.11 fires `function__entry` only while a profiler is set;
/// `slice` takes what a profiler is given and fires nothing itself.
const SCRIPT: &str = "\
import sys
def leaf():
    return 1
def outer():
    return leaf() + 1
def warm():
    pass
sys.setprofile(slice)
for line in sys.stdin:
    globals()[line.strip()]()
    print('done', flush=True)
";

/// What `outer` fires: the file, the function, and the line where it is.
fn expected(script: &Path, calls: usize) -> Vec<(String, String)> {
    let fired = |probe: &str, function: &str, line: u32| {
        let values = format!("- | arg0: \"{}\" | arg1: \"{function}\" | arg2: {line}", script.display());
        (format!("python:function__{probe}"), values)
    };
    let call = [
        fired("entry", "outer", 4),
        fired("entry", "leaf", 2),
        fired("return", "leaf", 3),
        fired("return", "outer", 5),
    ];
    std::iter::repeat_n(call, calls).flatten().collect()
}

/// The events of the script's own functions; the interpreter calls others of its library.
fn of_script(log: &str, pid: u32) -> Vec<(String, String)> {
    let own = |values: &str| values.contains("\"outer\"") || values.contains("\"leaf\"");
    of_process(log, pid).into_iter().filter(|(_, values)| own(values)).collect()
}

const REQUEST: &str = "python:function__*(str,str)";

#[test]
#[ignore = "needs root and eBPF"]
fn a_python_that_runs_already_is_recorded() {
    let _alone = live();
    let folder = Folder::new("python-before");
    let script = folder.write("script.py", SCRIPT);
    let mut python = Target::start(Command::new(PYTHON).arg(&script));
    assert_eq!(python.ask("warm"), "done");
    let pid = python.pid().to_string();
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", REQUEST, "-p", &pid]);
    for _ in 0..100 {
        python.ask("outer");
    }
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert_eq!(of_script(&log, python.pid()), expected(&script, 100));
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_python_that_starts_while_recording_is_recorded() {
    let _alone = live();
    let folder = Folder::new("python-during");
    let script = folder.write("script.py", SCRIPT);
    let args = ["-o", "run.trace", "-e", REQUEST, "-x", "python3.11", "--wait", "--print"];
    let recording = Recording::start(&folder, &args);
    let mut python = Target::start(Command::new(PYTHON).arg(&script));
    until("the running Python is found", || {
        python.ask("warm");
        let printed = std::fs::read_to_string(folder.path("printed")).expect("UTF-8");
        of_process(&printed, python.pid()).iter().any(|(_, values)| values.contains("\"warm\""))
    });
    for _ in 0..100 {
        python.ask("outer");
    }
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert_eq!(of_script(&log, python.pid()), expected(&script, 100));
}
