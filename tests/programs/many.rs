//! More programs, one after the other, than the recorder may have descriptors: what nothing maps any more is let go.

use std::process::Command;

use crate::tool::{Folder, TRACER, compile_c, live, stderr, stdout};

const PROGRAMS: usize = 200;
const DESCRIPTORS: u32 = 128;

const PROGRAM: &str = r"
#include <sys/sdt.h>
int main(void) {
    for (int i = 0; i < 10; i++) STAP_PROBE1(many, hit, i);
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
    let mut command = Command::new("prlimit");
    command.arg(format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}")).args([
        TRACER,
        "record",
        "-q",
        "-o",
        "run.trace",
    ]);
    command.args(["-e", "many:*", "--", "sh", "-c", &script]).current_dir(folder.path(""));
    let output = command.output().expect("tracer runs");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let events = log.lines().filter(|line| line.contains("many:hit") && line.contains("| Seq: ")).count();
    assert_eq!(events, 10 * PROGRAMS);
}
