//! Processes that come and go while they are recorded: short-lived workers, pids that are reused, programs that others make
//! room for, a command with its children. Needs root (see `tool::live`).

use std::collections::{BTreeMap, HashMap};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::target::until;
use crate::tool::{Folder, Recording, compile_c, events, is_only_late, live, stderr, stdout};
use tracer_format::{Batch, Definitions, ProcessId, Trace};

/// Fires `worker:beg_task` and `worker:end_task` with a number, its pid, and its start time in clock ticks.
const WORKER: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/sdt.h>

int main(int argc, char **argv) {
    long number = atol(argv[1]), pid = getpid(), start = 0;
    char text[1024] = {0};
    FILE *stat = fopen("/proc/self/stat", "r");
    size_t length = fread(text, 1, sizeof text - 1, stat);
    text[length] = 0;
    sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %ld", &start);
    DTRACE_PROBE3(worker, beg_task, number, pid, start);
    DTRACE_PROBE3(worker, end_task, number, pid, start);
    return number % 7;
}
"#;

/// Runs `COUNT` workers one after the other, 200 a second, each with one of 50 pids.
const SPAWNER: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    long count = atol(argv[1]);
    int last_pid = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    for (long number = 0; number < count; number++) {
        char text[32];
        pwrite(last_pid, text, snprintf(text, sizeof text, "%ld", 30000 + number % 50), 0);
        pid_t pid = fork();
        if (pid == 0) {
            snprintf(text, sizeof text, "%ld", number);
            execl(argv[2], argv[2], text, (char *)0);
            _exit(99);
        }
        waitpid(pid, 0, 0);
        at.tv_nsec += 5000000;
        at.tv_sec += at.tv_nsec / 1000000000, at.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, 0);
    }
    return 0;
}
"#;

/// The first three arguments of all events, by the process that fired.
type ByProcess = BTreeMap<ProcessId, Vec<(i64, i64, i64)>>;

fn by_process(bytes: &[u8]) -> (Definitions, ByProcess) {
    let trace = Trace::open(bytes).expect("a trace");
    let mut found = ByProcess::new();
    let mut batches = trace.batches();
    while let Some(batch) = batches.next() {
        let Batch::Events { columns, rows } = batch else { continue };
        for row in rows {
            let thread = columns.event(row).thread;
            let process = trace.definitions.threads[thread.index()].process;
            let word = |index: usize| columns.row_values(row)[index].cast_signed();
            found.entry(process).or_default().push((word(0), word(1), word(2)));
        }
    }
    (trace.definitions.clone(), found)
}

#[test]
#[ignore = "needs root and eBPF"]
fn workers_that_live_for_a_millisecond_are_told_apart() {
    let _alone = live();
    // 20 s with TRACER_WORKERS=4000.
    let count: usize = std::env::var("TRACER_WORKERS").map_or(600, |text| text.parse().expect("a number"));
    let folder = Folder::new("workers");
    let worker = compile_c(&folder, "worker", WORKER, &["-O2"]);
    let spawner = compile_c(&folder, "spawner", SPAWNER, &["-O2"]);
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "worker:*", "--wait"]);
    // The first ones make the program known.
    until("the program is recorded", || {
        let first = Command::new(&worker).arg("-1").status().expect("the worker runs");
        assert_eq!(first.code(), Some(255));
        let log = folder.tracer(&["replay", "run.trace"]).stdout;
        String::from_utf8_lossy(&log).contains("| Seq: -1 ")
    });
    let status = Command::new(&spawner).arg(count.to_string()).arg(&worker).status();
    assert!(status.expect("the spawner runs").success());
    let summary = recording.stop();
    // On a loaded machine some may not have been held, which is said; their file was attached to all the same.
    let said = stderr(&summary);
    assert!(is_only_late(&said), "{said}");
    let code = if said.contains("not recorded: ") { 3 } else { 0 };
    assert_eq!(summary.status.code(), Some(code), "{said}");

    let bytes = std::fs::read(folder.path("run.trace")).expect("there");
    let (definitions, processes) = by_process(&bytes);
    let exits: HashMap<ProcessId, u32> =
        definitions.exits.iter().map(|exit| (exit.process, exit.status)).collect();
    let mut numbers = Vec::new();
    let mut pids = std::collections::HashSet::new();
    for (id, fired) in processes {
        let process = &definitions.processes[id.index()];
        let (number, pid, ticks) = fired[0];
        if number < 0 {
            continue;
        }
        assert_eq!(fired, [(number, pid, ticks); 2], "a process of its own: {process:?}");
        assert_eq!(i64::from(process.pid), pid);
        assert_eq!(process.start_ns.cast_signed(), ticks * 10_000_000, "{process:?}");
        assert_eq!(&*process.program, "worker");
        let command = [worker.to_str().expect("UTF-8"), &number.to_string()].map(Arc::from);
        assert_eq!(*process.command, command);
        assert_eq!(exits.get(&id), Some(&((u32::try_from(number).unwrap() % 7) << 8)), "worker {number}");
        numbers.push(number);
        pids.insert(pid);
    }
    numbers.sort_unstable();
    let expected: Vec<i64> = (0..i64::try_from(count).expect("a number")).collect();
    assert_eq!(numbers, expected, "every worker has both events");
    assert!(pids.len() <= count / 2, "pids were reused: {}", pids.len());
}

/// A shell that runs workers of its own, directly and through another shell.
#[test]
#[ignore = "needs root and eBPF"]
fn a_command_is_followed_from_the_first_probe_of_every_child() {
    let _alone = live();
    let folder = Folder::new("tree");
    let worker = compile_c(&folder, "worker", WORKER, &["-O2"]);
    let worker = worker.to_str().expect("UTF-8");
    // A process beside the command, of the same program, is not recorded.
    let beside_script = format!("while [ -e {worker} ]; do {worker} 1000; : >ran; sleep 0.01; done");
    let mut beside = Command::new("sh");
    beside.args(["-c", &beside_script]).current_dir(folder.path("")).stdin(Stdio::null());
    let mut beside = beside.spawn().expect("sh runs");
    // Until one beside it has begun and fired: the first of the two may have fired before the recording.
    let wait = "for i in 1 2; do rm -f ran; until [ -e ran ]; do sleep 0.01; done; done";
    let script = format!("{worker} 1; {wait}; sh -c '{worker} 2 & {worker} 3; wait'; exec {worker} 4");
    let run = |args: &[&str]| {
        let mut all = vec!["record", "-f", "-o", "run.trace", "-e", "worker:*"];
        all.extend(args);
        all.extend(["--", "sh", "-c", &script]);
        let output = folder.tracer(&all);
        assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
        let is_late = stderr(&output).contains("not recorded: ") && is_only_late(&stderr(&output));
        let log = stdout(&folder.tracer(&["replay", "run.trace"]), if is_late { 3 } else { 0 });
        let mut numbers: Vec<String> = events(&log)
            .iter()
            .map(|event| event.4.split(' ').next().expect("a number").to_owned())
            .collect();
        numbers.sort();
        (numbers, is_late)
    };
    // On a loaded machine one may say that it was late.
    let mut whole = 0;
    for _ in 0..5 {
        let (numbers, is_late) = run(&[]);
        whole += usize::from(!is_late);
        let expected = ["1", "1", "2", "2", "3", "3", "4", "4"];
        assert!(
            numbers == expected || is_late && numbers.iter().all(|it| expected.contains(&&it[..])),
            "{numbers:?}"
        );
    }
    assert!(whole >= 3, "most of five are not late: {whole}");
    let (all, _) = run(&["-a"]);
    beside.kill().and_then(|()| beside.wait()).expect("ended");
    assert!(all.iter().any(|number| number == "1000"), "{all:?}");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_that_is_replaced_is_another_process() {
    let _alone = live();
    let folder = Folder::new("exec");
    let worker = compile_c(&folder, "worker", WORKER, &["-O2"]);
    let other = folder.copy_program(&worker, "other");
    let (worker, other) = (worker.to_str().expect("UTF-8"), other.to_str().expect("UTF-8"));
    let script = format!("import os; os.execv('{other}', ['{other}', '5'])");
    let script = format!("{worker} 3; exec python3 -c \"{script}\"");
    let args = ["record", "-o", "run.trace", "-e", "worker:*", "-x", "other", "--", "sh", "-c", &script];
    let output = folder.tracer(&args);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let programs: Vec<_> = events(&log).into_iter().map(|event| event.2).collect();
    assert_eq!(programs, ["other", "other"], "-x chooses programs");
}

/// As in most containers: the kernel's programs see other pids there than the recorder does.
#[test]
#[ignore = "needs root and eBPF"]
fn inside_of_a_pid_namespace_everybody_is_recorded_and_it_says_so() {
    let _alone = live();
    let folder = Folder::new("pid-namespace");
    let worker = compile_c(&folder, "worker", WORKER, &["-O2"]);
    let worker = worker.to_str().expect("UTF-8");
    let run = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args([
            "--pid",
            "--fork",
            "--mount-proc",
            crate::tool::TRACER,
            "record",
            "-f",
            "-o",
            "run.trace",
        ]);
        let output = command.args(["-e", "worker:*"]).args(args).current_dir(folder.path("")).output();
        output.expect("unshare runs")
    };
    let output = run(&["--", worker, "5"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert!(stderr(&output).contains("every process is recorded"), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let programs: Vec<_> = events(&log).into_iter().map(|event| event.2).collect();
    assert_eq!(programs, ["worker", "worker"], "{log}");
    let output = run(&["-p", "1", "--wait"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("-p: the kernel tells other pids inside"), "{}", stderr(&output));
}
