//! Targets in trouble: crashing, stopped, in a debugger, among processes that are gone before one can look. The recording
//! goes on, and misses nothing that fired.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use crate::target::{Target, guarded, of_process, until};
use crate::tool::{Folder, Recording, compile_c, events, live, stderr, stdout};

/// For each line N: a child that fires N times and crashes right after the last one.
const CRASHING: &str = r#"
#include <stdio.h>
#include <sys/sdt.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    long n;
    setvbuf(stdout, 0, _IOLBF, 0);
    puts("runs");
    while (scanf("%ld", &n) == 1) {
        int status, pid = fork();
        if (pid == 0) {
            for (long i = 0; i < n; i++) STAP_PROBE1(crashing, step, i);
            *(volatile int *)8 = 1;
        }
        wait(&status);
        printf("%d %d\n", pid, WTERMSIG(status));
    }
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn what_a_target_fires_right_before_it_crashes_is_recorded() {
    let _alone = live();
    let folder = Folder::new("crash");
    let program = compile_c(&folder, "crashing", CRASHING, &["-O2"]);
    let mut target = Target::start(&mut Command::new(program));
    target.answer();
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "crashing:step"]);
    let crashed: Vec<(u32, usize)> = [1, 2, 1000]
        .map(|count| {
            let answer = target.ask(count);
            let (pid, signal) = answer.split_once(' ').expect("pid and signal");
            assert_eq!(signal, "11");
            (pid.parse().expect("a pid"), count)
        })
        .to_vec();
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    for (pid, count) in crashed {
        let values = of_process(&log, pid).into_iter().map(|(_, value)| value);
        assert!(values.eq((0..count).map(|n| n.to_string())), "{count} before the crash: {log}");
    }
}

/// A reader of standard error that is slow, or gone, costs no event.
#[test]
#[ignore = "needs root and eBPF"]
fn nobody_need_read_what_the_recorder_says() {
    let _alone = live();
    for is_closed in [false, true] {
        let folder = Folder::new(if is_closed { "closed" } else { "full" });
        let mut known = Target::start(&mut Command::new(guarded(&folder, "known")));
        known.answer();
        let args = ["-o", "run.trace", "-e", "target:hit", "--ring-size", "64K"];
        let mut recording = Recording::start(&folder, &args);
        if is_closed {
            drop(recording.child.stderr.take());
        } else {
            fill_pipe(&format!("/proc/{}/fd/2", recording.child.id()));
        }
        // It has to say that it found another program.
        let mut found = Target::start(&mut Command::new(guarded(&folder, "found")));
        found.answer();
        found.wait_for_recorder();
        // More than the rings hold, but never more at a time: how fast they are emptied is the machine's to say.
        for round in 1..=10 {
            known.fire(1000);
            until("all is in the file", || {
                let log = folder.tracer(&["replay", "run.trace"]);
                of_process(&String::from_utf8_lossy(&log.stdout), known.pid()).len() == round * 1000
            });
        }
        let summary = recording.stop();
        assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
        let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
        assert_eq!(of_process(&log, known.pid()).len(), 10_000);
    }
}

/// Leaves no room in a pipe.
fn fill_pipe(path: &str) {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let pipe = std::fs::File::options().write(true).custom_flags(flags).open(path);
    let mut pipe = pipe.expect("the pipe is there");
    for len in [4096, 1] {
        while pipe.write_all(&vec![b'x'; len]).is_ok() {}
    }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

fn is_in_state(pid: u32, state: char) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    stat.rsplit_once(") ").expect("a state").1.starts_with(state)
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_stopped_target_is_attached_and_detached_all_the_same() {
    let _alone = live();
    let folder = Folder::new("stopped");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let pid = target.pid();
    signal(pid, "STOP");
    until("the target is stopped", || is_in_state(pid, 'T'));
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "target:hit"]);
    signal(pid, "CONT");
    assert_eq!(target.fire(1000), (1, 1000));
    signal(pid, "STOP");
    until("the target is stopped", || is_in_state(pid, 'T'));
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    signal(pid, "CONT");
    until("nothing is attached", || target.fire(1000) == (0, 1000));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert_eq!(of_process(&log, pid).len(), 1000);
}

/// A debugger: holds the process that its argument names; for a line N it lets it make N steps, one at a time,
/// and at the end of its input it lets it go.
const DEBUGGER: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
int main(int count, char **words) {
    int pid = atoi(words[1]), status;
    long n;
    setvbuf(stdout, 0, _IOLBF, 0);
    if (ptrace(PTRACE_ATTACH, pid, 0, 0)) return 1;
    waitpid(pid, &status, 0);
    puts("holds");
    while (scanf("%ld", &n) == 1) {
        long done = 0;
        for (; n > 0; n--) {
            if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) || waitpid(pid, &status, 0) != pid) return 2;
            done += WIFSTOPPED(status) && WSTOPSIG(status) == 5;
        }
        printf("%ld\n", done);
    }
    ptrace(PTRACE_DETACH, pid, 0, 0);
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn a_target_in_a_debugger_is_recorded_step_by_step() {
    let _alone = live();
    let folder = Folder::new("debugger");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let program = compile_c(&folder, "debugger", DEBUGGER, &["-O2"]);
    let mut debugger = Target::start(Command::new(program).arg(target.pid().to_string()));
    assert_eq!(debugger.answer(), "holds");
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "target:hit"]);
    // Fewer steps than it takes: it must not be waiting for the next line, where it makes none.
    target.tell(1000);
    assert_eq!(debugger.ask(4000), "4000");
    debugger.close();
    assert_eq!(target.answer(), "1 1000");
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let values = of_process(&log, target.pid()).into_iter().map(|(_, value)| value);
    assert!(values.eq((0..1000).map(|n: u32| n.to_string())), "{log}");
    assert_eq!(target.fire(0).0, 0);
}

/// Processes that are gone before the recorder can look, as fast as they can be made: each fires once. Prints how many.
const SWARM: &str = r#"
#include <stdio.h>
#include <sys/sdt.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    int made = 0;
    for (int i = 0; i < 2000; i++) {
        int pid = vfork();
        if (pid == 0) { STAP_PROBE1(swarm, one, i); _exit(0); }
        made += pid > 0;
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
    }
    while (wait(NULL) > 0) {}
    printf("%d\n", made);
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn a_swarm_of_short_processes_is_recorded_without_a_word() {
    let _alone = live();
    let folder = Folder::new("swarm");
    let swarm = compile_c(&folder, "swarm", SWARM, &["-O2"]);
    let swarm = swarm.to_str().expect("UTF-8");
    let output = folder.tracer(&["record", "-o", "run.trace", "-e", "swarm:one", "--", swarm]);
    assert_eq!(stdout(&output, 0), "2000\n");
    // What it says is about what it found, not about processes that are gone.
    let said = stderr(&output);
    assert!(!said.contains("os error") && said.lines().count() < 12, "{said}");
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let events = events(&log);
    let values = events.iter().map(|event| &event.4[..]);
    assert!(values.eq((0..2000).map(|n: u32| n.to_string())), "{} events", events.len());
    assert!(events.iter().all(|event| event.2 == "swarm"), "each has its program's name");
}
