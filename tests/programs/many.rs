//! More programs than the recorder may have descriptors: what nothing maps any more is let go, and what does not fit is named.

use std::process::{Command, Output};

use crate::tool::{Folder, TRACER, compile_c, live, stderr, stdout};

const PROGRAMS: usize = 200;
const DESCRIPTORS: u32 = 128;

const PROGRAM: &str = r"
#include <stdio.h>
#include <sys/sdt.h>
int main(int argc, char **argv) {
    for (int i = 0; i < 10; i++) STAP_PROBE1(many, hit, i);
    if (argc > 1) getchar();
}
";

#[test]
#[ignore = "needs root and eBPF"]
fn more_programs_than_descriptors_are_recorded() {
    let _alone = live();
    let folder = Folder::new("many");
    let program = compile_c(&folder, "program", PROGRAM, &["-O2"]);
    for number in 0..PROGRAMS {
        folder.copy_program(&program, format!("program{number}"));
    }
    let script = format!("for i in $(seq 0 {}); do ./program$i; done", PROGRAMS - 1);
    let output = record(&folder, &script);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let events = log.lines().filter(|line| line.contains("many:hit") && line.contains("| Seq: ")).count();
    assert_eq!(events, 10 * PROGRAMS);
}

/// Those that ran at a time took all descriptors; they are let go once these have ended.
#[test]
#[ignore = "needs root and eBPF"]
fn what_runs_after_too_many_is_recorded() {
    let _alone = live();
    let folder = Folder::new("too_many");
    let program = compile_c(&folder, "program", PROGRAM, &["-O2"]);
    for number in 0..PROGRAMS {
        folder.copy_program(&program, format!("program{number}"));
    }
    folder.copy_program(&program, "later");
    let script = format!(
        "mkfifo end; exec 3<>end; for i in $(seq 0 {}); do ./program$i wait <&3 & sleep 0.02; done; sleep 1; yes >&3 & yes=$!; sleep 1;
         for i in $(seq 20); do ./later; sleep 0.3; done; kill $yes",
        PROGRAMS - 1
    );
    let output = record(&folder, &script);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("descriptors are short"), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
    let later = log.lines().filter(|line| line.contains("later") && line.contains("| Seq: ")).count();
    assert!(later >= 100, "{later}: {}", stderr(&output));
}

/// Records a script with few descriptors.
fn record(folder: &Folder, script: &str) -> Output {
    let mut command = Command::new("prlimit");
    command.arg(format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}")).args([
        TRACER,
        "record",
        "-q",
        "-o",
        "run.trace",
    ]);
    command.args(["-e", "many:*", "--", "sh", "-c", script]).current_dir(folder.path(""));
    command.output().expect("tracer runs")
}
