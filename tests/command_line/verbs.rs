//! The tool as a process: exit codes, messages, standard input and output. What a unit test can do is not here.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::tool::{Folder, TRACER, stderr, stdout};

const LOG: &str = "\
[   0] Found probe beg_work                            in 'worker'
[   1] Found probe end_work                            in 'worker'

Trace started. Ctrl-C to stop.

[            1000] [PID:     17] worker       demo:beg_work                  | Seq: 1
[            2500] [PID:     17] worker       demo:end_work                  | Seq: 1
[            4000] [PID:     18] worker       demo:beg_work                  | Seq: 2 | arg1: \"a\\\"b\"
";

/// The verbs that read a trace, each with what it needs besides.
const READERS: &[&[&str]] = &[
    &["replay"],
    &["analyze"],
    &["info"],
    &["verify"],
    &["report", "-o", "-"],
    &["cut", "-o", "-"],
    &["repair", "-o", "-"],
];

fn imported(folder: &Folder) -> String {
    folder.write("log", LOG);
    stdout(&folder.tracer(&["import", "log", "-o", "s.trace"]), 0);
    "s.trace".to_owned()
}

#[test]
fn a_log_comes_back_byte_for_byte() {
    let folder = Folder::new("log");
    let trace = imported(&folder);
    assert_eq!(stdout(&folder.tracer(&["replay", &trace]), 0), LOG);
}

#[test]
fn what_is_no_trace_is_one_clear_line_and_exit_code_1() {
    let folder = Folder::new("no-trace");
    folder.write("text", "hello, this is a text file\n");
    folder.write("empty", "");
    std::fs::create_dir(folder.path("folder")).expect("made");
    for verb in READERS {
        for (file, expected) in [
            ("text", "text: not a trace: it begins with [68, 65, 6c, 6c, 6f"),
            ("empty", "empty: file is empty, a trace needs at least 32 bytes"),
            ("folder", "folder is a directory, expected a file"),
            ("missing", "cannot open missing: No such file"),
        ] {
            let output = folder.tracer(&[verb, &[file][..]].concat());
            assert_eq!(output.status.code(), Some(1), "{verb:?} {file}");
            let errors = stderr(&output);
            assert!(errors.contains(expected), "{verb:?} {file}: {errors}");
            assert_eq!(errors.lines().count(), 1, "{verb:?} {file}: {errors}");
            assert_eq!(output.stdout, b"", "{verb:?} {file}");
        }
    }
}

#[test]
fn a_truncated_trace_gives_what_is_readable_and_exit_code_3() {
    let folder = Folder::new("truncated");
    let trace = imported(&folder);
    let bytes = std::fs::read(folder.path(&trace)).expect("there");
    // Behind the events, before the end.
    folder.write("cut.trace", &bytes[..bytes.len() - 150]);
    for verb in READERS {
        let output = folder.tracer(&[verb, &["cut.trace"][..]].concat());
        assert_eq!(output.status.code(), Some(3), "{verb:?}: {}", stderr(&output));
    }
    assert_eq!(stdout(&folder.tracer(&["replay", "cut.trace"]), 3), LOG);
    assert!(stdout(&folder.tracer(&["info", "cut.trace"]), 3).contains("incomplete"));
}

#[test]
fn repair_makes_a_complete_trace_of_an_incomplete_one() {
    let folder = Folder::new("repair");
    let trace = imported(&folder);
    let bytes = std::fs::read(folder.path(&trace)).expect("there");
    folder.write("cut.trace", &bytes[..bytes.len() - 150]);
    stdout(&folder.tracer(&["repair", "cut.trace", "-o", "whole.trace"]), 3);
    assert_eq!(std::fs::read(folder.path("cut.trace")).expect("there"), bytes[..bytes.len() - 150]);
    assert_eq!(stdout(&folder.tracer(&["replay", "whole.trace"]), 0), LOG);
}

#[test]
fn cut_and_merge_select_and_join() {
    let folder = Folder::new("cut");
    let trace = imported(&folder);
    stdout(&folder.tracer(&["cut", &trace, "--pid", "17", "-o", "17.trace"]), 0);
    stdout(&folder.tracer(&["cut", &trace, "--seq", "2", "-o", "2.trace"]), 0);
    assert_eq!(stdout(&folder.tracer(&["replay", "2.trace"]), 0).matches("Seq: 2").count(), 1);
    // Of one boot of one host, as far as the log tells: none of them has clock anchors.
    let output = folder.tracer(&["merge", "2.trace", "17.trace", "-o", "both.trace"]);
    assert_eq!(stdout(&folder.tracer(&["replay", "both.trace"]), 0), LOG, "{}", stderr(&output));
}

#[test]
fn a_page_shows_the_last_of_several_traces_beside_those_before_it() {
    let folder = Folder::new("report");
    let base = imported(&folder);
    let alone = stdout(&folder.tracer(&["report", &base, "-o", "-"]), 0);
    assert!(alone.contains("<title>s.trace - tracer</title>") && !alone.contains("id=\"compared\""));
    folder.tracer(&["import", "log", "-o", "new.trace"]);
    // A stage with one span cannot be judged.
    let output = folder.tracer(&["report", &base, "new.trace", "-o", "-"]);
    let both = stdout(&output, 3);
    assert!(both.contains("<title>new.trace - tracer</title>") && both.contains("id=\"compared\""));
    let output = folder.tracer(&["report", &base, "-"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr(&output), "tracer: traces to compare cannot come from standard input\n");
}

#[test]
fn plots_are_of_letters_that_the_locale_has() {
    let folder = Folder::new("plots");
    let trace = imported(&folder);
    let plots = |locale: &str, columns: &str| {
        let mut command = folder.command(&["analyze", "--plot", &trace]);
        stdout(&command.env("LC_ALL", locale).env("COLUMNS", columns).output().expect("tracer runs"), 0)
    };
    assert!(plots("C", "40").is_ascii() && plots("C", "40").contains("work, stage 1\n"));
    assert!(plots("de_DE.UTF-8", "100").contains('█'));
    let plain = stdout(&folder.tracer(&["analyze", &trace]), 0);
    assert!(plots("C", "80").starts_with(&plain), "plots stand below the report");
    let output = folder.tracer(&["analyze", "--plot", "--format", "json", &trace]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn a_report_is_as_narrow_as_its_terminal() {
    let folder = Folder::new("narrow");
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/sample-traces/data");
    for (sample, columns) in
        [("pipeline", 40), ("nested", 40), ("documented-log", 40), ("pipeline", 60), ("lossy", 80)]
    {
        for more in [&["--plot"][..], &["--group-by", "program"], &["--group-by", "tid"]] {
            let mut command =
                folder.command(&[&["analyze", &format!("{samples}/{sample}.trace")], more].concat());
            let output =
                command.env("LC_ALL", "C").env("COLUMNS", columns.to_string()).output().expect("tracer runs");
            let shown = String::from_utf8(output.stdout).expect("UTF-8");
            let wide: Vec<&str> = shown.lines().filter(|line| line.len() > columns).collect();
            assert!(wide.is_empty() && shown.lines().count() > 8, "{sample} {more:?}: {wide:#?}");
        }
    }
}

#[test]
fn a_replay_takes_other_times_and_json_and_is_the_log_without() {
    let folder = Folder::new("shapes");
    let trace = imported(&folder);
    let run = |args: &[&str]| stdout(&folder.tracer(&[&["replay", &trace], args].concat()), 0);
    assert_eq!(run(&[]), LOG);
    let waits = run(&["--time", "delta", "--seq", "1..1"]);
    assert!(waits.contains("[    +0.000001500] [PID:     17] worker       demo:end_work"), "{waits}");
    let life = run(&["--seq", "1"]);
    assert!(life.contains("\n         1.500 us  work  work\n["), "{life}");
    assert!(!run(&["--color", "never", "--seq", "1"]).contains('\u{1b}'));
    assert!(run(&["--color", "always"]).contains("\u{1b}[31m"));
    assert_eq!(run(&["--color", "never"]), LOG);
    assert_eq!(run(&["--format", "jsonl"]).lines().count(), 3);
    assert!(run(&["--threads"]).contains("[PID:     18] [TID:     18] worker"));
    // What is piped in is read to its end first.
    let mut command = folder.command(&["replay", "-", "--time", "relative"]);
    let input = std::fs::File::open(folder.path(&trace)).expect("opened");
    assert!(stdout(&command.stdin(input).output().expect("tracer runs"), 0).contains("[     0.000003000] "));
    for args in [["--time", "delta", "--follow"], ["--format", "jsonl", "--threads"]] {
        let output = folder.tracer(&[&["replay", &trace][..], &args].concat());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    }
}

#[test]
fn an_existing_output_is_kept_unless_force_is_given() {
    let folder = Folder::new("force");
    let trace = imported(&folder);
    folder.write("there", "mine");
    let output = folder.tracer(&["cut", &trace, "-o", "there"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "tracer: there exists; give --force to overwrite it, or another -o\n");
    assert_eq!(std::fs::read(folder.path("there")).expect("there"), b"mine");
    stdout(&folder.tracer(&["cut", &trace, "-o", "there", "--force"]), 0);
    assert_eq!(stdout(&folder.tracer(&["replay", "there"]), 0), LOG);
}

#[test]
fn a_trace_is_read_from_standard_input() {
    let folder = Folder::new("stdin");
    let trace = imported(&folder);
    let mut child = Command::new(TRACER)
        .args(["replay", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tracer runs");
    let bytes = std::fs::read(folder.path(&trace)).expect("there");
    child.stdin.take().expect("piped").write_all(&bytes).expect("written");
    assert_eq!(stdout(&child.wait_with_output().expect("ended"), 0), LOG);
}

#[test]
fn a_broken_pipe_is_a_quiet_success() {
    let folder = Folder::new("pipe");
    let events =
        (0..100_000).map(|n| format!("[{n:>16}] [PID:     17] worker       demo:beg_work | Seq: {n}\n"));
    folder.write("log", events.collect::<String>());
    stdout(&folder.tracer(&["import", "log", "-o", "s.trace"]), 0);
    let mut child = folder
        .command(&["replay", "s.trace"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ended");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn no_verb_minds_that_nobody_reads_it() {
    let folder = Folder::new("closed");
    let trace = imported(&folder);
    let export = |format| vec!["export", &trace, "--format", format, "-o", "-"];
    let mut verbs: Vec<Vec<&str>> = ["chrome", "perfetto", "parquet", "arrow", "csv"].map(export).to_vec();
    verbs.extend(["analyze", "info", "verify", "replay"].map(|verb| vec![verb, &trace]));
    verbs.extend([vec!["analyze", &trace, "--format", "json"], vec!["diff", &trace, &trace]]);
    verbs.extend([vec!["import", "log", "-o", "-"], vec!["cut", &trace, "-o", "-"]]);
    verbs.extend([vec!["repair", &trace, "-o", "-"], vec!["merge", &trace, &trace, "-o", "-"]]);
    verbs.extend(["bash", "zsh", "fish"].map(|shell| vec!["completions", shell]));
    verbs.extend([vec!["man"], vec!["--help"], vec!["--version"]]);
    if cfg!(target_os = "linux") {
        verbs.extend([vec!["list"], vec!["doctor"], vec!["doctor", "--format", "json"]]);
    }
    for verb in &verbs {
        let (reader, writer) = std::io::pipe().expect("made");
        drop(reader);
        let mut command = folder.command(verb);
        let output = command.stdout(writer).stderr(Stdio::piped()).output().expect("tracer runs");
        let said = stderr(&output);
        let code = output.status.code().unwrap_or(-1);
        // A machine that cannot record says so all the same, as do processes that cannot be looked into.
        let may_fail = matches!(verb[0], "list" | "doctor" | "diff");
        assert!(code == 0 || (may_fail && [1, 3].contains(&code)), "{verb:?}: {code}: {said}");
        assert!(!said.contains("roken pipe") && !said.contains("panicked"), "{verb:?}: {said}");
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let folder = Folder::new("usage");
    for (args, expected) in [
        (&["replay"][..], "required arguments were not provided"),
        (&["frobnicate"], "unrecognized subcommand"),
    ] {
        let output = folder.tracer(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(expected), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn stages_come_from_a_file_too() {
    let folder = Folder::new("stages");
    let trace = imported(&folder);
    folder.write("s.toml", "[stages]\n\"the work\" = \"demo:beg_work -> demo:end_work by seq\"\n");
    let given = ["--stages", "s.toml", "--stage", "other = demo:beg_work -> demo:end_work by seq, pid"];
    let report = stdout(&folder.tracer(&[&["analyze", &trace][..], &given].concat()), 0);
    let names: Vec<&str> = report.lines().filter_map(|line| line.split_once("  ")).map(|it| it.0).collect();
    assert!(names.contains(&"other") && names.contains(&"the work"), "{report}");
    folder.write("s.toml", "[stages]\n\nwork = 1\n");
    let output = folder.tracer(&["analyze", &trace, "--stages", "s.toml"]);
    let expected = "tracer: s.toml: line 3: found \"work = 1\": expected NAME = \"PROVIDER:FROM -> PROVIDER:TO by KEY\"\n";
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), expected));
    folder.write("s.toml", " ".repeat((1 << 20) + 1));
    let output = folder.tracer(&["analyze", &trace, "--stages", "s.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("tracer: s.toml: larger than 262144 bytes"), "{}", stderr(&output));
}

#[test]
fn a_stage_of_probes_that_are_not_there_is_refused_with_the_nearest() {
    let folder = Folder::new("nearest");
    let trace = imported(&folder);
    let given = "work = demo:beg_wrok -> demo:end_work";
    let expected = "tracer: --stage \"work\": there is no probe demo:beg_wrok; the nearest are demo:beg_work and demo:end_work\n";
    for verb in [&["analyze"][..], &["export", "-o", "out.json"], &["diff", &trace]] {
        let output = folder.tracer(&[verb, &[&trace, "--stage", given]].concat());
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), expected), "{verb:?}");
    }
    // A file may hold stages of other traces.
    folder.write(
        "s.toml",
        "[stages]\nwork = \"demo:beg_work -> demo:end_work by seq\"\nother = \"a:b -> c:d by seq\"\n",
    );
    stdout(&folder.tracer(&["analyze", &trace, "--stages", "s.toml"]), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_is_looked_for_in_path() {
    let folder = Folder::new("list");
    let bin = std::path::Path::new(crate::tool::TRACER).parent().expect("a folder");
    for (name, code, expected) in [
        ("tracer", 0, "tracer: tracer: no matching USDT probe\n"),
        ("nothing", 1, "tracer: cannot read nothing: No such file or directory (os error 2)\n"),
        ("./tracer", 1, "tracer: cannot read ./tracer: No such file or directory (os error 2)\n"),
    ] {
        let output = folder.command(&["list", name]).env("PATH", bin).output().expect("tracer runs");
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(code), expected));
    }
}

#[test]
fn a_bad_log_is_named_by_line_and_leaves_nothing() {
    let folder = Folder::new("bad-log");
    folder.write("log", LOG.replace("Seq: 2", "Sequence: 2"));
    let output = folder.tracer(&["import", "log", "-o", "s.trace"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("line 8"), "{}", stderr(&output));
    assert!(!folder.path("s.trace").exists());
}

/// A log that says of losses, or ends inside a line, became a trace without a word.
#[test]
fn an_import_says_what_the_log_lacks() {
    let folder = Folder::new("import_lacks");
    let event = |seq: &str| format!("[100] [PID:1] p t:a | Seq: {seq}");
    let cases = [
        (event("1") + "\n", 0, ""),
        (
            event("1233") + "\n" + &event("12"),
            3,
            "log: the last line has no end and is left out: it may be cut off",
        ),
        (
            event("1233") + "\n[160] Lost 7 events since 150\n",
            3,
            "log: 7 events lost while recording, in 1 gap",
        ),
        (event("1233") + "\n \t", 0, ""),
    ];
    for (log, code, said) in cases {
        folder.write("log", log.as_bytes());
        let output = folder.tracer(&["import", "log", "-f", "-o", "s.trace"]);
        assert_eq!(output.status.code(), Some(code), "{log}");
        assert!(stderr(&output).contains(said) && stderr(&output).is_empty() == said.is_empty(), "{log}");
        let replayed = folder.tracer(&["replay", "s.trace"]);
        assert_eq!(String::from_utf8_lossy(&replayed.stdout).matches("Seq: ").count(), 1, "{log}");
    }
}

#[test]
fn probes_are_left_out_of_pictures_and_of_nothing_else() {
    let folder = Folder::new("no-probes");
    let trace = concat!(env!("CARGO_MANIFEST_DIR"), "/sample-traces/data/pipeline.trace");
    let export = |more: &[&str]| folder.tracer(&[&["export", trace, "-o", "-", "--format"], more].concat());
    let (all, few) = (export(&["chrome"]).stdout, export(&["chrome", "--no-probes"]).stdout);
    let events = |json: &[u8]| String::from_utf8_lossy(json).matches("\"cat\":\"probe\"").count();
    assert!(events(&all) > 0 && events(&few) == 0 && few.len() > 1000);
    let refused = export(&["parquet", "--no-probes"]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(stderr(&refused), "tracer: --no-probes and --by-buffer go with json and pftrace\n");
}
