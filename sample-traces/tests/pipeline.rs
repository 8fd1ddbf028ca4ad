//! The programs as a shell runs them: every buffer passes every probe, and the pipeline ends in order.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

const PROBES: [&str; 6] = ["beg_awe", "beg_global", "beg_writing", "end_awe", "end_global", "end_writing"];
const QUICK: [&str; 4] = ["--rate=0", "--awe=0", "--writing=0", "--size=100"];

fn program(path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn pipeline(arguments: &[&str]) -> Command {
    program(env!("CARGO_BIN_EXE_pipeline"), arguments)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The `fired` lines: probe name without provider, and count.
fn fired(text: &str) -> BTreeMap<&str, u64> {
    let counts = text.lines().filter_map(sample_traces::fired::parse);
    counts.map(|(probe, count)| (probe.strip_prefix("buffer_tracker:").unwrap_or(probe), count)).collect()
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal)
        .expect("the child is not waited for");
}

/// Everything the program prints until it ends.
fn rest(stderr: Option<ChildStderr>) -> String {
    let mut rest = String::new();
    stderr.expect("piped").read_to_string(&mut rest).expect("UTF-8");
    rest
}

#[test]
fn every_buffer_fires_every_probe_once() {
    for workers in ["--workers=1", "--workers=4"] {
        let output = pipeline(&[&QUICK[..], &["--count=2000", workers]].concat()).output().expect("starts");
        let text = text(&output);
        assert!(output.status.success(), "{workers}: {text}");
        assert_eq!(fired(&text), PROBES.map(|p| (p, 2000)).into(), "{workers}: {text}");
        assert!(text.contains("pipeline: 2000 buffers entered, 2000 left, "), "{text}");
    }
}

#[test]
fn a_signal_to_the_launcher_stops_the_source_and_drains_the_rest() {
    for kind in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let mut child = pipeline(&["--rate=500", "--awe=4ms", "--writing=0"]).spawn().expect("starts");
        std::thread::sleep(std::time::Duration::from_millis(400));
        signal(&child, kind);
        let text = rest(child.stderr.take());
        assert!(child.wait().expect("ends").success(), "{kind:?}: {text}");
        let counts = fired(&text);
        let made = counts["beg_global"];
        assert!(made > 0, "{kind:?}: {text}");
        assert_eq!(counts, PROBES.map(|p| (p, made)).into(), "{kind:?}: {text}");
    }
}

#[test]
fn the_source_ends_with_its_launcher() {
    let mut child = pipeline(&["--rate=100"]).spawn().expect("starts");
    std::thread::sleep(std::time::Duration::from_millis(400));
    child.kill().expect("not waited for yet");
    // The sink inherited standard output and ends only when source and processor have closed their pipes.
    let mut output = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut output).expect("UTF-8");
    child.wait().expect("ends");
    assert_eq!(output, "");
}

#[test]
fn a_source_whose_reader_goes_away_ends_without_an_error() {
    let mut child = program(env!("CARGO_BIN_EXE_source"), &["--rate=0"]).spawn().expect("starts");
    let mut first = [0; 16];
    child.stdout.take().expect("piped").read_exact(&mut first).expect("a header");
    let text = rest(child.stderr.take());
    assert!(child.wait().expect("ends").success(), "{text}");
    assert!(text.starts_with("fired buffer_tracker:beg_global "), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_stranger_on_the_pipe_is_named_and_fails() {
    for path in [env!("CARGO_BIN_EXE_sink"), env!("CARGO_BIN_EXE_processor")] {
        let mut child = program(path, &[]).stdin(Stdio::piped()).spawn().expect("starts");
        child.stdin.take().expect("piped").write_all(b"GET / HTTP/1.1\r\n").expect("room in the pipe");
        let text = rest(child.stderr.take());
        assert_eq!(child.wait().expect("ends").code(), Some(1));
        assert!(text.contains("standard input: found 0x20544547 where a buffer starts"), "{text}");
    }
}

#[test]
fn the_hammer_counts_the_hits_of_all_threads_and_waits_when_asked() {
    let arguments = ["--count=1000", "--threads=3", "--wait"];
    let mut child =
        program(env!("CARGO_BIN_EXE_hammer"), &arguments).stdin(Stdio::piped()).spawn().expect("starts");
    child.stdin.take().expect("piped").write_all(b"go\n").expect("room in the pipe");
    let lines: Vec<String> =
        BufReader::new(child.stderr.take().expect("piped")).lines().map(|l| l.expect("UTF-8")).collect();
    assert!(child.wait().expect("ends").success());
    assert!(lines[0].starts_with("cpu_ns_per_hit ") && lines[1].starts_with("wall_ns_per_hit "), "{lines:?}");
    assert_eq!(lines[2..], ["fired hammer:hit 3000"]);
}
