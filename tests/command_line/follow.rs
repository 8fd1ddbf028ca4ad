//! `tracer replay` of traces that are still coming: files that grow, and pipes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Output, Stdio};

use crate::tool::{Folder, Recording, stderr, stdout};
use tracer_format::{
    ArgKind, Definition, Firing, Gap, Process, Site, SiteId, Thread, ThreadId, Writer, WriterOptions,
};

/// A recorder that writes a flush when it is told to.
struct Recorder<W: Write> {
    writer: Writer<W>,
    time_ns: u64,
}

impl<W: Write> Recorder<W> {
    fn new(sink: W) -> Self {
        let mut writer = Writer::new(sink, WriterOptions::default()).expect("written");
        let process = Process { pid: 7, program: "p".into(), ..Process::default() };
        let site = Site { provider: "demo".into(), probe: "hit".into(), announced: true, ..Site::default() };
        let site = Site { args: vec![ArgKind::Signed(8)].into(), ..site };
        for definition in [
            Definition::Process(process.into()),
            Definition::Thread(Thread::default()),
            Definition::Site(site.into()),
        ] {
            writer.define(definition).expect("written");
        }
        writer.flush().expect("written");
        Self { writer, time_ns: 1000 }
    }

    /// Writes two events, and a loss between them.
    fn flush(&mut self) {
        for at in 0..2 {
            let (time_ns, values) = (self.time_ns + at * 10, &[self.time_ns]);
            let event =
                Firing { time_ns, thread: ThreadId(0), site: SiteId(0), cpu: 0, unreadable: 0, values };
            self.writer.push(&event).expect("written");
        }
        let (from_ns, to_ns) = (self.time_ns + 2, self.time_ns + 5);
        self.writer.gap(Gap { from_ns, to_ns, count: 3, ..Gap::default() }).expect("written");
        self.writer.flush().expect("written");
        self.time_ns += 1000;
    }
}

fn start(folder: &Folder, args: &[&str]) -> Child {
    let mut command = folder.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("tracer runs")
}

/// Waits for a line with `text` and gives all lines up to it.
fn wait_for(lines: &mut impl BufRead, text: &str) -> String {
    let mut all = String::new();
    while !all.contains(text) {
        assert!(lines.read_line(&mut all).expect("read") > 0, "{text} does not come, but {all}");
    }
    all
}

/// The rest of what `child` prints, and how it ends.
fn end(mut child: Child, mut printed: impl Read) -> Output {
    let mut stdout = Vec::new();
    printed.read_to_end(&mut stdout).expect("read");
    let mut stderr = Vec::new();
    if let Some(mut errors) = child.stderr.take() {
        errors.read_to_end(&mut stderr).expect("read");
    }
    Output { status: child.wait().expect("ended"), stdout, stderr }
}

#[test]
fn a_file_is_followed_from_before_its_begin_to_its_end() {
    let folder = Folder::new("follow");
    let mut child = start(&folder, &["replay", "--follow", "run.trace"]);
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    wait_for(&mut errors, "tracer: run.trace does not exist yet, waiting for it\n");
    let mut printed = BufReader::new(child.stdout.take().expect("piped"));
    let mut recorder = Recorder::new(File::create(folder.path("run.trace")).expect("created"));
    let mut log = wait_for(&mut printed, "Trace started");
    for _ in 0..3 {
        recorder.flush();
        // Its second event.
        log += &wait_for(&mut printed, &format!("[{:>16}]", recorder.time_ns - 990));
    }
    recorder.writer.finish().expect("written");
    let output = end(child, printed);
    log += &stdout(&output, 3);
    assert_eq!(log.matches("] Lost 3 events").count(), 3);
    assert_eq!(log, stdout(&folder.tracer(&["replay", "run.trace"]), 3));
}

#[test]
fn what_comes_out_of_a_pipe_is_printed_at_once() {
    let folder = Folder::new("live-pipe");
    let mut child = start(&folder, &["replay", "-"]);
    let mut printed = BufReader::new(child.stdout.take().expect("piped"));
    let mut recorder = Recorder::new(child.stdin.take().expect("piped"));
    recorder.flush();
    wait_for(&mut printed, "[            1010]");
    recorder.flush();
    wait_for(&mut printed, "[            2010]");
    // The recorder dies.
    drop(recorder);
    let output = end(child, printed);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output)
            .contains("standard input: 6 events lost while recording, in 2 gaps; the file is incomplete")
    );
}

#[test]
fn ctrl_c_ends_the_following_of_a_file_and_is_no_failure() {
    let folder = Folder::new("follow-end");
    let mut recorder = Recorder::new(File::create(folder.path("run.trace")).expect("created"));
    let mut child = start(&folder, &["replay", "--follow", "run.trace", "--from", "0s", "--to", "1ns"]);
    let mut printed = BufReader::new(child.stdout.take().expect("piped"));
    wait_for(&mut printed, "Trace started");
    recorder.flush();
    wait_for(&mut printed, "[            1000]");
    let recording = Recording { child };
    recording.signal("INT");
    let output = recording.ended();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_followed_file_that_is_cut_or_removed_is_an_error() {
    for (name, expected) in [
        ("cut", "run.trace: it was cut to 40 bytes while it was followed,"),
        ("removed", "run.trace: it was removed or replaced before its end was written;"),
    ] {
        let folder = Folder::new(&format!("follow-{name}"));
        let path = folder.path("run.trace");
        let mut recorder = Recorder::new(File::create(&path).expect("created"));
        recorder.flush();
        let mut child = start(&folder, &["replay", "--follow", "run.trace"]);
        let mut printed = BufReader::new(child.stdout.take().expect("piped"));
        wait_for(&mut printed, "[            1010]");
        if name == "cut" {
            File::options().write(true).open(&path).and_then(|file| file.set_len(40)).expect("cut");
        } else {
            std::fs::remove_file(&path).expect("removed");
        }
        let output = end(child, printed);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn a_mapped_file_that_is_cut_is_an_error() {
    let folder = Folder::new("mapped-cut");
    let path = folder.path("run.trace");
    let mut recorder = Recorder::new(File::create(&path).expect("created"));
    for _ in 0..3 {
        recorder.flush();
        recorder.time_ns += 2_000_000_000;
    }
    recorder.writer.finish().expect("written");
    let mut child = start(&folder, &["replay", "--speed", "1", "run.trace"]);
    let mut printed = BufReader::new(child.stdout.take().expect("piped"));
    wait_for(&mut printed, "[            1010]");
    // The second flush is decoded, and printed 2 s after the first; the third is decoded after that.
    File::options().write(true).open(&path).and_then(|file| file.set_len(0)).expect("cut");
    let output = end(child, printed);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("tracer: a file was cut short while it was read;"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_paced_replay_prints_the_same_lines() {
    let folder = Folder::new("speed");
    let mut recorder = Recorder::new(File::create(folder.path("run.trace")).expect("created"));
    (0..3).for_each(|_| recorder.flush());
    recorder.writer.finish().expect("written");
    let expected = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
    assert_eq!(stdout(&folder.tracer(&["replay", "--speed", "0.001", "run.trace"]), 3), expected);
    for speed in ["0", "-1", "inf", "fast"] {
        let output = folder.tracer(&["replay", &format!("--speed={speed}"), "run.trace"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("expected a number above 0"), "{}", stderr(&output));
    }
}
