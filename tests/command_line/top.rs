//! `tracer top` as plain tables, of files and pipes.

use std::process::Stdio;

use crate::tool::{Folder, stderr, stdout};

/// A log of a stage `work` with buffers that take 40 to 49 us, one each millisecond.
fn log(name: &str) -> String {
    (0..100_u64).fold(String::new(), |log, seq| {
        let at = 1_000_000_000 + seq * 1_000_000;
        let end = at + 40_000 + seq % 10 * 1000;
        log + &format!("[{at}] [PID: 7] app app:beg_{name} | Seq: {seq}\n")
            + &format!("[{end}] [PID: 7] app app:end_{name} | Seq: {seq}\n")
    })
}

fn trace(folder: &Folder, name: &str) {
    folder.write("run.txt", log(name));
    let made = folder.tracer(&["import", "run.txt", "-o", "run.trace"]);
    assert!(made.status.success(), "{}", stderr(&made));
}

/// A whole trace as fast as it goes.
const PLAYED: [&str; 5] = ["top", "--batch", "--speed", "100000", "run.trace"];

#[test]
fn the_last_table_has_what_analyze_says() {
    let folder = Folder::new("top");
    trace(&folder, "work");
    let shown = folder.tracer(&PLAYED);
    assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
    let text = stdout(&shown, 0);
    let row = text.lines().rev().find(|line| line.starts_with("work ")).expect("a row of the stage");
    let analyzed = folder.tracer(&["analyze", "--format", "json", "run.trace"]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&analyzed, 0)).expect("JSON");
    assert_eq!(json["stages"][0]["latency_ns"]["p50"], 44_000);
    assert_eq!(row.matches("44.00 us").count(), 2, "now and since the begin: {row}");
    assert!(text.contains("ended  lost 0"), "{text}");
}

#[test]
fn rates_are_of_the_time_that_there_was() {
    let folder = Folder::new("top-rate");
    let title = |log: &str| {
        folder.write("short.txt", log);
        assert!(folder.tracer(&["import", "short.txt", "-fo", "short.trace"]).status.success());
        let shown = folder.tracer(&["top", "--batch", "--speed", "100000", "short.trace"]);
        let text = stdout(&shown, 0);
        text.lines().next().expect("a title").to_owned()
    };
    let one = "[1000000000] [PID: 7] app app:beg_work | Seq: 1\n";
    assert!(!title(one).contains("events/s"), "{}", title(one));
    let three = format!(
        "{one}[1001000000] [PID: 7] app app:end_work | Seq: 1\n[1002000000] [PID: 7] app app:beg_work | Seq: 2\n"
    );
    assert!(title(&three).contains("  1500 events/s  3 events"), "{}", title(&three));
}

#[test]
fn what_comes_through_a_pipe_is_shown_and_what_is_filtered_is_not() {
    let folder = Folder::new("top-pipe");
    trace(&folder, "work");
    let file = std::fs::File::open(folder.path("run.trace")).expect("it is there");
    let mut command = folder.command(&["top", "-b", "-", "-x", "other"]);
    let shown = command.stdin(Stdio::from(file)).output().expect("it runs");
    assert_eq!((shown.status.code(), stdout(&shown, 0).contains("work")), (Some(0), false), "{shown:?}");
    let played = folder.tracer(&[
        "top",
        "-b",
        "--follow",
        "run.trace",
        "--stage",
        "w = app:beg_work -> app:end_work by seq",
    ]);
    assert!(stdout(&played, 0).lines().any(|line| line.starts_with("w ")), "{}", stdout(&played, 0));
}

#[test]
fn what_it_cannot_do_is_one_line() {
    let folder = Folder::new("top-wrong");
    trace(&folder, "work");
    let error = |args: &[&str], code: i32, expected: &str| {
        let out = folder.tracer(args);
        let text = stderr(&out);
        assert_eq!((out.status.code(), text.lines().count()), (Some(code), 1), "{args:?}: {text}");
        assert!(text.contains(expected), "{args:?}: {text}");
    };
    error(&["top", "run.trace"], 2, "no terminal, on which stages could be drawn; --batch prints tables");
    error(&["top", "--batch", "run.txt"], 1, "not a trace");
    error(&["top", "--batch", "none.trace"], 1, "cannot open none.trace");
    error(&["top", "--batch", "--speed", "0", "run.trace"], 2, "--speed");
}

#[test]
fn names_drive_no_terminal_and_stay_in_the_line() {
    let folder = Folder::new("top-hostile");
    let name = format!("<b>\u{1b}]0;owned\u{7}{}", "\u{202e}x".repeat(900));
    trace(&folder, &name.replace(' ', ""));
    for locale in ["C", "C.UTF-8"] {
        let mut command = folder.command(&PLAYED);
        let shown = command.env("COLUMNS", "60").env("LC_ALL", locale).output().expect("it runs");
        let text = stdout(&shown, 0);
        assert!(text.lines().any(|line| line.contains("44.00 us")), "{text}");
        let is_harmless = |letter: char| letter == '\n' || !letter.is_control();
        assert!(text.chars().all(is_harmless), "{text:?}");
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert!(locale != "C" || text.is_ascii(), "{text:?}");
    }
}
