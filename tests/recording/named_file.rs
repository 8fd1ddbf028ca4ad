//! `-x ./app`: the probes of a file, whether it runs already or not.

use std::process::Command;

use crate::tool::{Folder, Recording, compile_c, events, live, stderr, stdout};

/// Fires ten times, first thing, only while it is traced.
const TICKS: &str = r#"
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
volatile unsigned short named_tick_semaphore __attribute__((section(".probes")));
int main(void) { for (int i = 0; i < 10; i++) if (named_tick_semaphore) STAP_PROBE1(named, tick, i); return 0; }
"#;

fn count(folder: &Folder) -> usize {
    events(&stdout(&folder.tracer(&["replay", "run.trace"]), 0)).len()
}

fn run(program: std::path::PathBuf) {
    assert!(Command::new(program).status().expect("it runs").success());
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_that_does_not_run_yet_is_recorded_from_its_first_probe_by_its_file() {
    let _alone = live();
    let folder = Folder::new("named-file");
    compile_c(&folder, "ticks", TICKS, &["-O2"]);
    folder.copy_program(folder.path("ticks"), "other");
    std::fs::hard_link(folder.path("ticks"), folder.path("link")).expect("linked");
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "named:*", "-x", "./ticks"]);
    run(folder.path("ticks"));
    run(folder.path("link"));
    // Another file with the same content is another program.
    run(folder.path("other"));
    // A new build at the same path is the program that was named.
    std::fs::rename(folder.path("other"), folder.path("ticks")).expect("renamed");
    run(folder.path("ticks"));
    let output = recording.stop();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(count(&folder), 30, "{}", stderr(&output));
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_command_is_recorded_only_in_the_file_that_is_named() {
    let _alone = live();
    let folder = Folder::new("named-command");
    compile_c(&folder, "ticks", TICKS, &["-O2"]);
    folder.copy_program(folder.path("ticks"), "other");
    let args = ["record", "-o", "run.trace", "-e", "named:*", "-x", "./ticks", "--"];
    let output = folder.tracer(&[&args[..], &["sh", "-c", "./other; ./ticks; ./other"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(count(&folder), 10, "{}", stderr(&output));
}

/// In one line, before anything is recorded, also with a command or --wait.
#[test]
fn a_path_that_is_no_program_with_such_a_probe_is_refused_at_once() {
    let folder = Folder::new("named-refused");
    compile_c(&folder, "ticks", TICKS, &["-O2"]);
    compile_c(&folder, "bare", "int main(void) { return 0; }", &["-O2"]);
    folder.write("text", "#!/bin/sh\n");
    for (file, probe, expected) in [
        ("./absent", "named:*", "./absent: No such file or directory"),
        ("./bare", "named:*", "-x ./bare: it has no USDT probes"),
        ("./text", "named:*", "./text: not an ELF file"),
        ("./ticks", "named:tock", "-x ./ticks: no probe matches named:tock; the nearest is named:tick"),
    ] {
        for more in [&["--wait"][..], &["--", "true"]] {
            let output =
                folder.tracer(&[&["record", "-o", "run.trace", "-e", probe, "-x", file][..], more].concat());
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(expected) && said.lines().count() == 1, "{said}");
            assert!(!folder.path("run.trace").exists());
        }
    }
    let output = folder.tracer(&["record", "-x", "ticks", "-x", "./ticks"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}
