//! A process whose file, name, arguments, probes and strings hold escape sequences, quotes, newlines, text that runs
//! backwards and bytes that are no text: it disturbs neither the terminal nor the log, JSON or CSV.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::target::{Target, until};
use crate::tool::{Folder, Recording, compile_c, events, live, stderr};

/// Clears the screen, sets a title, turns text around, ends the line, and pretends to be an event; not all of it is UTF-8.
const NASTY: &[u8] = b"a\x1b[2Jb\x1b]0;c\x07\"'`\\\r\n[               1] [PID:      1] x y | Seq: 1\n\xe2\x80\xae\xc2\x9b31m\xff,(z) deleted";

/// Waits for a line, and fires with a string.
const SOURCE: &str = r#"
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/sdt.h>
volatile unsigned short provider_hit_semaphore __attribute__((section(".probes")));
int main(int count, char **words) {
    char line[8];
    prctl(PR_SET_NAME, words[1]);
    while (fgets(line, sizeof line, stdin)) {
        STAP_PROBE2(provider, hit, words[1], count);
        printf("%d\n", provider_hit_semaphore);
        fflush(stdout);
    }
}
"#;

/// The program under a nasty name, with a nasty provider in its notes.
fn program(folder: &Folder) -> PathBuf {
    let plain = compile_c(folder, "plain", SOURCE, &["-O2"]);
    let mut bytes = std::fs::read(&plain).expect("read");
    let (old, new) = (b"provider\0hit\0", b"\x1b[31m\n\"\xe2\0hit\0");
    let at = bytes.windows(old.len()).position(|window| window == old).expect("the note");
    bytes[at..at + new.len()].copy_from_slice(new);
    folder.write_program(OsStr::from_bytes(NASTY), &bytes)
}

/// Text that a terminal shows as it is.
#[track_caller]
fn assert_harmless(what: &str, text: &[u8]) {
    let text = str::from_utf8(text).unwrap_or_else(|error| panic!("{what}: {error}"));
    let bad = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
    assert_eq!(text.find(bad), None, "{what}: {text:?}");
}

/// Has Python, which is strict, read standard input.
#[track_caller]
fn python(script: &str, input: &[u8]) -> String {
    let mut command = Command::new("/usr/bin/python3.11");
    command.args(["-X", "utf8", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("Python runs");
    child.stdin.take().expect("piped").write_all(input).expect("written");
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(input));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Looks at the trace with every verb.
fn check_verbs(folder: &Folder, count: usize) {
    let run = |args: &[&str]| -> Output {
        let output = folder.tracer(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        assert_harmless(args[0], &output.stderr);
        output
    };
    for args in [
        &["replay", "run.trace"][..],
        &["info", "run.trace"],
        &["info", "--counts", "run.trace"],
        &["analyze", "run.trace"],
        &["analyze", "--format", "markdown", "run.trace"],
        &["verify", "run.trace"],
    ] {
        assert_harmless(args[0], &run(args).stdout);
    }
    for verb in ["info", "analyze", "verify"] {
        let output = run(&[verb, "--format", "json", "run.trace"]).stdout;
        assert_eq!(python("import json, sys; print(json.load(sys.stdin)['version'])", &output), "1\n");
    }
    // JSON and CSV hold the names themselves, not what the log shows.
    let name = String::from_utf8_lossy(NASTY).into_owned();
    run(&["export", "run.trace", "-o", "run.json"]);
    let json = std::fs::read(folder.path("run.json")).expect("there");
    let script = "import json, sys; print([e['args']['name'] for e in json.load(sys.stdin)['traceEvents'] if e['name'] == 'process_name'][0], end='')";
    assert_eq!(python(script, &json), name);
    run(&["export", "run.trace", "-o", "run.csv"]);
    let csv = std::fs::read(folder.path("run.csv")).expect("there");
    let script = "import csv, io, sys; rows = list(csv.DictReader(io.StringIO(sys.stdin.buffer.read().decode(), newline=''))); print(len(rows), rows[0]['program'], sep='|', end='')";
    assert_eq!(python(script, &csv), format!("{count}|{name}"));
}

#[test]
#[ignore = "needs root and eBPF"]
fn hostile_names_disturb_nothing() {
    let _alone = live();
    let folder = Folder::new("hostile-name");
    let program = program(&folder);
    let mut command = Command::new(&program);
    let mut target = Target::start(command.arg(OsStr::from_bytes(NASTY)));
    assert_eq!(target.ask(""), "0");
    let pid = target.pid().to_string();
    let listed = folder.tracer(&["list", "-p", &pid]);
    assert_harmless("list", &listed.stdout);
    assert!(String::from_utf8_lossy(&listed.stdout).contains(":hit"));

    let args = ["-o", "run.trace", "-e", "*:hit(str)", "-p", &pid, "--print"];
    let recording = Recording::start(&folder, &args);
    until("the target is traced", || target.ask("") == "1");
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    assert_harmless("record", &summary.stderr);
    let printed = std::fs::read(folder.path("printed")).expect("there");
    assert_harmless("record --print", &printed);
    let printed = String::from_utf8(printed).expect("UTF-8");
    // One line for each event: none can pretend to be another.
    let count = events(&printed).len();
    assert_eq!(printed.lines().count(), count + 4, "{printed}");
    assert!(printed.contains(r#"arg0: "a\x1b[2Jb\x1b]0;c\x07\"'`\\\r\n["#), "{printed}");
    check_verbs(&folder, count);
}
