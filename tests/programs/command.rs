//! `tracer record -- COMMAND`: nothing of the command is missed from its first probe on, its children are followed, and it
//! ends as the command does.

use std::collections::BTreeSet;

use crate::target::until;
use crate::tool::{Folder, Recording, compile_c, events, live, stderr, stdout};

/// Time, pid, program, probe and values.
type Event = (u64, u32, String, String, String);

/// Fires before `main`, first thing in `main`, and in two generations of children.
const FAMILY: &str = r#"
#include <sys/sdt.h>
#include <sys/wait.h>
#include <unistd.h>
__attribute__((constructor)) static void before(void) { STAP_PROBE1(family, constructor, getpid()); }
int main(void) {
    STAP_PROBE1(family, first, getpid());
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            STAP_PROBE2(family, child, getpid(), i);
            if (fork() == 0) {
                STAP_PROBE2(family, grandchild, getpid(), i);
                _exit(0);
            }
            wait(NULL);
            _exit(0);
        }
    while (wait(NULL) > 0) {}
    STAP_PROBE1(family, last, getpid());
    return 42;
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn the_first_probe_and_all_children_of_a_command_are_recorded() {
    let _alone = live();
    let folder = Folder::new("family");
    compile_c(&folder, "family", FAMILY, &["-O2"]);
    let output = folder.tracer(&["record", "-o", "run.trace", "-e", "family:*", "--", "./family"]);
    assert_eq!(output.status.code(), Some(42), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let events = events(&log);
    // Each says its own pid, which is the one that was recorded.
    let own = |event: &Event| event.4.split(' ').next() == Some(&event.1.to_string());
    assert!(events.len() == 9 && events.iter().all(own), "{log}");
    let names: Vec<&str> = events.iter().map(|event| &event.3[..]).collect();
    assert_eq!(&names[..2], ["family:constructor", "family:first"]);
    assert_eq!(names[8], "family:last");
    let pids = |name: &str| -> BTreeSet<u32> {
        events.iter().filter(|event| event.3 == name).map(|event| event.1).collect()
    };
    let (children, grandchildren) = (pids("family:child"), pids("family:grandchild"));
    assert_eq!((children.len(), grandchildren.len()), (3, 3));
    assert!(children.is_disjoint(&grandchildren));
}

/// Waits until it is traced, fires, and ends as it is told.
const LATE: &str = r#"
#define _SDT_HAS_SEMAPHORES 1
#include <signal.h>
#include <stdlib.h>
#include <sys/sdt.h>
#include <unistd.h>
volatile unsigned short late_hit_semaphore __attribute__((section(".probes")));
int main(int count, char **words) {
    for (int i = 0; i < 10000 && !late_hit_semaphore; i++) usleep(1000);
    for (int i = 0; i < 100; i++) STAP_PROBE1(late, hit, i);
    if (count > 2) raise(atoi(words[2]));
    return atoi(words[1]);
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_that_a_command_starts_is_recorded_and_the_exit_status_passed_on() {
    let _alone = live();
    let folder = Folder::new("status");
    compile_c(&folder, "late", LATE, &["-O2"]);
    for (script, code) in [
        ("./late 0", 0),
        ("./late 7", 7),
        // The shell goes, its name and pid stay.
        ("exec ./late 9", 9),
        // The command is ended by a signal, as a shell would tell it.
        ("exec ./late 0 9", 128 + 9),
        ("exec ./late 0 11", 128 + 11),
        ("exec ./late 0 15", 128 + 15),
    ] {
        let args = ["record", "-f", "-o", "run.trace", "-e", "late:hit", "--", "sh", "-c", script];
        let output = folder.tracer(&args);
        assert_eq!(output.status.code(), Some(code), "{script}: {}", stderr(&output));
        let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
        let values = events(&log).into_iter().map(|event| event.4);
        assert!(values.eq((0..100).map(|n: u32| n.to_string())), "{script}: {log}");
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn ctrl_c_ends_the_command_and_what_it_fired_is_there() {
    let _alone = live();
    let folder = Folder::new("interrupt");
    compile_c(&folder, "late", LATE, &["-O2"]);
    let args = ["-o", "run.trace", "-e", "late:hit", "--print", "--", "sh", "-c", "./late 0; exec sleep 60"];
    let recording = Recording::start(&folder, &args);
    until("the program has fired", || {
        std::fs::read_to_string(folder.path("printed")).expect("UTF-8").contains("| Seq: 99\n")
    });
    let output = recording.stop();
    assert_eq!(output.status.code(), Some(128 + 15), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert_eq!(events(&log).len(), 100, "{log}");
}

/// With job control a shell waits for its children to be suspended.
#[test]
#[ignore = "needs root and eBPF"]
fn a_shell_with_job_control_does_not_take_its_children_for_suspended() {
    let _alone = live();
    let folder = Folder::new("jobs");
    compile_c(&folder, "late", LATE, &["-O2"]);
    let script = "set -m; ./late 0 && ./late 7";
    let args = ["record", "-o", "run.trace", "-e", "late:hit", "--", "bash", "-c", script];
    let output = folder.tracer(&args);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert_eq!(events(&log).len(), 200, "{log}");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_that_only_the_command_can_see_is_recorded_from_its_first_probe() {
    let _alone = live();
    let folder = Folder::new("private");
    compile_c(&folder, "family", FAMILY, &["-O2"]);
    std::fs::create_dir(folder.path("private")).expect("made");
    let script = "mount -t tmpfs none private && cp family private/hidden && private/hidden";
    let command = ["--", "unshare", "--mount", "sh", "-c", script];
    let output = folder.tracer(&[&["record", "-o", "run.trace", "-e", "family:*"], &command[..]].concat());
    assert!(!folder.path("private/hidden").exists(), "the mount is not private");
    assert_eq!(output.status.code(), Some(42), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let names: Vec<String> = events(&log).into_iter().map(|event| event.3).collect();
    assert_eq!(names.len(), 9, "{log}");
    assert_eq!(&names[..2], ["family:constructor", "family:first"]);
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_command_that_does_not_end_is_told_and_then_killed() {
    let _alone = live();
    let folder = Folder::new("stubborn");
    compile_c(&folder, "late", LATE, &["-O2"]);
    let script = "trap '' TERM; ./late 0; while :; do sleep 0.05; done";
    let args = ["--duration", "2s", "-o", "run.trace", "-e", "late:hit", "--", "sh", "-c", script];
    let errors = std::fs::File::create(folder.path("errors")).expect("created");
    let mut command = folder.command(&["record"]);
    let mut recorder = command.args(args).stderr(errors).spawn().expect("tracer runs");
    until("it says that it waits", || {
        let errors = std::fs::read_to_string(folder.path("errors")).expect("UTF-8");
        errors.contains("the recording is over, waiting for the command (PID ")
    });
    // The trace is complete by now.
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert_eq!(events(&log).len(), 100, "{log}");
    let status = std::process::Command::new("kill").args(["-s", "INT", &recorder.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
    assert_eq!(recorder.wait().expect("ended").code(), Some(128 + 9));
}

/// Children are held at each exec for a moment; nothing would let one go if the recorder's end did not.
#[test]
#[ignore = "needs root and eBPF"]
fn a_recorder_that_is_killed_leaves_no_child_held() {
    let _alone = live();
    let folder = Folder::new("killed-command");
    for round in 0..12 {
        let script =
            "while [ -e run.trace ] && [ ! -e end ]; do /bin/true; /bin/true; done; echo ended >>ends";
        let args = ["-q", "-f", "-o", "run.trace", "-e", "family:*", "--", "sh", "-c", script];
        let mut recording = Recording::start(&folder, &args);
        std::thread::sleep(std::time::Duration::from_micros(97_531 * round % 100_000));
        recording.child.kill().expect("killed");
        recording.child.wait().expect("gone");
        folder.write("end", "");
        // A shell whose child stays stopped waits for it.
        until("the command ends", || folder.path("ends").exists());
        std::fs::remove_file(folder.path("ends")).expect("removed");
        std::fs::remove_file(folder.path("end")).expect("removed");
    }
}
