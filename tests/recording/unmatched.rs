//! Names that match nothing are refused at once, in one line and with the nearest names.

use std::process::Command;

use crate::target::{Target, guarded};
use crate::tool::{Folder, live, stderr};

/// A thread that waits for the end of input; says its id.
const THREADED: &str = r#"
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/sdt.h>
#include <unistd.h>
static void *run(void *argument) { printf("%d\n", gettid()); fflush(stdout); pause(); STAP_PROBE(threaded, end); return argument; }
int main(void) { pthread_t thread; pthread_create(&thread, 0, run, 0); pthread_join(thread, 0); }
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn what_matches_nothing_is_refused_before_the_recording_begins() {
    let _alone = live();
    let folder = Folder::new("unmatched");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "unmatched-target")));
    target.answer();
    let threaded = crate::tool::compile_c(&folder, "threaded", THREADED, &["-O2", "-pthread"]);
    let mut threaded = Target::start(&mut Command::new(threaded));
    let (tid, pid) = (threaded.answer(), threaded.pid().to_string());
    let own = target.pid().to_string();
    let ended = {
        let mut child = Command::new("true").spawn().expect("runs");
        child.wait().expect("ended");
        child.id().to_string()
    };
    let hit = ["-e", "target:hit"];
    for (args, expected) in [
        (&["-e", "target:hti"][..], "no probe matches target:hti in any running process; the nearest "),
        (&["-e", "target:hit", "-e", "nosuch:probe"], "no probe matches nosuch:probe in any running process"),
        (&["-e", "target:hti", "--", "./unmatched-target"], "no probe matches target:hti in the command"),
        (
            &["-x", "unmatched-target"],
            "no probe matches buffer_tracker:* in these processes; there is target:hit",
        ),
        (
            &["-x", "./unmatched-target"],
            "-x ./unmatched-target: no probe matches buffer_tracker:*; there is target:hit",
        ),
        (&["-p", &format!("{own},{ended}")], &format!("-p {ended}: there is no such process")),
        (
            &[hit[0], hit[1], "-x", "unmatched-tagret"],
            "-x unmatched-tagret: no process runs such a program; the nearest",
        ),
        (&[hit[0], hit[1], "-p", &ended], "there is no such process"),
        (&[hit[0], hit[1], "-p", "2"], "-p 2: "),
        (
            &[hit[0], hit[1], "-p", &own, "-p", &tid],
            &format!("-p {tid}: a thread of process {pid} (threaded); give -p {pid}"),
        ),
        (
            &[hit[0], hit[1], "--key", "target:hit=arg7"],
            "--key target:hit=arg7: target:hit has one argument, arg0",
        ),
        (&["-e", "target:hit(arg3:str)"], "-e target:hit(arg3:str): target:hit has one argument, arg0"),
    ] {
        let output = folder.tracer(&[&["record", "-o", "run.trace"], args].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
        let lines = said.lines().filter(|line| !line.contains("cannot be looked into"));
        assert_eq!(lines.count(), 1, "{args:?}: {said}");
        assert!(!folder.path("run.trace").exists(), "{args:?}");
    }
    // A command may start others that have one, so it is run; then what it has itself is named.
    let output = folder.tracer(&["record", "-o", "run.trace", "--", "./unmatched-target"]);
    let expected = "the command and its children have none; there is target:hit; -a records every process";
    assert!(output.status.success() && stderr(&output).contains(expected), "{}", stderr(&output));
    let listed = folder.tracer(&["list", "-p", &tid]);
    assert_eq!(listed.status.code(), Some(1), "{}", stderr(&listed));
}
