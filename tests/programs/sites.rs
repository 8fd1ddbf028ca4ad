//! A program with a thousand sites: all are attached and recorded, and how long that takes is printed.

use std::fmt::Write;
use std::process::Command;
use std::time::Instant;

use crate::target::{Target, of_process};
use crate::tool::{Folder, Recording, compile_c, live, stderr, stdout};

const SITES: usize = 1000;

/// Fires every one of its probes once for a line of input: `sites:pN(N, line)`.
fn source() -> String {
    let mut source =
        "#include <stdio.h>\n#include <sys/sdt.h>\nint main(void) {\n    long line;\n".to_owned();
    source.push_str("    while (scanf(\"%ld\", &line) == 1) {\n");
    for n in 0..SITES {
        writeln!(source, "        STAP_PROBE2(sites, p{n}, {n}, line);").expect("a string takes every write");
    }
    source.push_str("        puts(\"done\");\n        fflush(stdout);\n    }\n}\n");
    source
}

/// Records two rounds of all probes that match `request`; the recorder may have `descriptors` at a time.
fn check(mode: &str, request: &str, sites: std::ops::Range<usize>, descriptors: u32) {
    let folder = Folder::new(&format!("sites-{mode}"));
    let program = compile_c(&folder, "sites", &source(), &["-O2"]);
    let mut target = Target::start(&mut Command::new(program));
    let pid = target.pid().to_string();
    let begun = Instant::now();
    // Quiet: a thousand probes that were found are more than a pipe holds.
    let args = ["-q", "-o", "run.trace", "-e", request, "-p", &pid, "--attach", mode];
    let recording = Recording::start_limited(&folder, descriptors, &args);
    let ready = begun.elapsed();
    for line in [7, 8] {
        target.ask(line);
    }
    let ending = Instant::now();
    let summary = recording.stop();
    let (count, ended) = (sites.len(), ending.elapsed());
    println!("{count} sites, {mode}: from the start to ready {ready:?}, from Ctrl-C to the end {ended:?}");
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let of_line = |line| sites.clone().map(move |n| (format!("sites:p{n}"), format!("{n} | arg1: {line}")));
    let events = of_process(&log, target.pid());
    assert!(events.into_iter().eq(of_line(7).chain(of_line(8))), "{mode}: {log}");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_thousand_sites_are_recorded() {
    let _alone = live();
    check("multi", "sites:*", 0..SITES, 64);
}

/// Few of them, because the kernel detaches perf events one at a time, 0.1 s each.
#[test]
#[ignore = "needs root and eBPF"]
fn there_may_be_more_perf_events_than_descriptors_by_default() {
    let _alone = live();
    check("perf", "sites:p97?", 970..980, 48);
}

/// Sites of one program that fires each of them once.
const MANY: usize = 5000;
/// Programs; they have more sites together than 16 bits can number.
const PROGRAMS: usize = 14;

/// Programs that nothing ran before, each with more sites than all that were there when the recording began.
#[test]
#[ignore = "needs root and eBPF"]
fn later_programs_may_have_any_number_of_sites() {
    let _alone = live();
    let folder = Folder::new("sites-later");
    let lines = "STAP_PROBE1(later, tick, 7);\n".repeat(MANY);
    let source = format!("#include <sys/sdt.h>\nint main(void) {{\n{lines}}}\n");
    let program = compile_c(&folder, "later", &source, &["-O0"]);
    for n in 0..PROGRAMS {
        folder.copy_program(&program, format!("later{n}"));
    }
    let command = format!("for n in $(seq 0 {}); do ./later$n; done", PROGRAMS - 1);
    let args = ["record", "-q", "-o", "run.trace", "-e", "later:*", "--", "sh", "-c", &command];
    let output = folder.tracer(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert_eq!(log.matches(" later:tick ").count(), MANY * PROGRAMS, "{}", stderr(&output));
}
