//! C++ exceptions, whose probes are in a shared library: recorded with the right values, whichever starts first.

use std::path::PathBuf;
use std::process::Command;

use crate::target::{Target, address, of_process, until};
use crate::tool::{Folder, Recording, live, stderr, stdout};

/// Throws, catches, throws on and catches N times for each line N; answers with the address of the type, then those of
/// the objects.
const SOURCE: &str = r"
#include <cstdio>
#include <typeinfo>
int main() {
    int n;
    while (scanf(`%d`, &n) == 1) {
        printf(`%p`, (const void *)&typeid(long));
        for (long i = 0; i < n; i++)
            try {
                try { throw i; } catch (long &) { throw; }
            } catch (long &caught) { printf(` %p`, (void *)&caught); }
        puts(``);
        fflush(stdout);
    }
}
";

fn throwing(folder: &Folder) -> PathBuf {
    let source = folder.write("throwing.cc", SOURCE.replace('`', "\""));
    let program = folder.path("throwing");
    let status = Command::new("c++").arg("-O2").arg(&source).arg("-o").arg(&program).status();
    assert!(status.expect("c++ runs").success(), "throwing compiles");
    program
}

/// What an answer's exceptions fire, in order.
fn expected(answer: &str) -> Vec<(String, String)> {
    let mut addresses = answer.split(' ').map(address);
    let kind = addresses.next().expect("a type");
    let fired = |object: u64| {
        let event = move |probe: &str| (format!("libstdcxx:{probe}"), format!("{object} | arg1: {kind}"));
        ["throw", "catch", "rethrow", "catch"].map(event)
    };
    addresses.flat_map(fired).collect()
}

#[test]
#[ignore = "needs root and eBPF"]
fn exceptions_of_a_running_program_are_recorded() {
    let _alone = live();
    let folder = Folder::new("exception-before");
    let mut target = Target::start(&mut Command::new(throwing(&folder)));
    target.ask(1);
    let pid = target.pid().to_string();
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "libstdcxx:*", "-p", &pid]);
    let expected = expected(&target.ask(100));
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert_eq!(of_process(&log, target.pid()), expected);
}

#[test]
#[ignore = "needs root and eBPF"]
fn exceptions_of_a_program_that_starts_while_recording_are_recorded() {
    let _alone = live();
    let folder = Folder::new("exception-during");
    let program = throwing(&folder);
    let args = ["-o", "run.trace", "-e", "libstdcxx:*", "-x", "throwing", "--wait", "--print"];
    let recording = Recording::start(&folder, &args);
    let mut target = Target::start(&mut Command::new(program));
    until("the library of the running program is found", || {
        target.ask(1);
        let printed = std::fs::read_to_string(folder.path("printed")).expect("UTF-8");
        !of_process(&printed, target.pid()).is_empty()
    });
    let expected = expected(&target.ask(100));
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert!(of_process(&log, target.pid()).ends_with(&expected), "{log}");
}
