//! `export --dataset`: which files appear, and that a trace is there once whatever happened before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::tool::{Folder, stderr, stdout};

/// A log of so many buffers.
fn log(buffers: u32) -> String {
    let mut log = String::new();
    for seq in 1..=buffers {
        let begin = seq * 10_000;
        log += &format!(
            "[{begin:>16}] [PID:     17] worker       demo:beg_work                  | Seq: {seq}\n"
        );
        let end = begin + 2_000 + seq;
        log +=
            &format!("[{end:>16}] [PID:     17] worker       demo:end_work                  | Seq: {seq}\n");
    }
    log
}

/// A folder with traces `a.trace`, `b.trace` and `c.trace`.
fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    for (trace, buffers) in [("a", 20), ("b", 30), ("c", 40)] {
        folder.write("log", log(buffers));
        stdout(&folder.tracer(&["import", "log", "-o", &format!("{trace}.trace")]), 0);
    }
    folder
}

fn add(folder: &Folder, args: &[&str], code: i32) -> String {
    let output = folder.tracer(&[&["export", "--dataset", "ds", "--date", "2026-05-01"], args].concat());
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    stderr(&output)
}

/// Every file of the dataset but the lock, with its bytes.
fn files(folder: &Folder) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(path: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(path).expect("there").map(|entry| entry.expect("read").path()) {
            if entry.is_dir() {
                walk(&entry, found);
            } else if !entry.ends_with("lock") {
                found.insert(entry.clone(), std::fs::read(entry).expect("read"));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&folder.path("ds"), &mut found);
    found
}

/// The files of a table, without their folders' names.
fn names(folder: &Folder, table: &str) -> Vec<String> {
    let begin = folder.path("ds").join(table);
    let of_table =
        files(folder).into_keys().filter_map(|path| Some(path.strip_prefix(&begin).ok()?.to_owned()));
    of_table.map(|path| path.to_string_lossy().into_owned()).collect()
}

#[test]
fn a_trace_that_is_there_changes_nothing() {
    let folder = folder("dataset-twice");
    assert!(add(&folder, &["a.trace", "b.trace"], 0).contains("ds: 2 traces added\n"));
    let before = files(&folder);
    assert_eq!(before.len(), 4 * 2 + 1);
    std::fs::copy(folder.path("a.trace"), folder.path("copy.trace")).expect("copied");
    let said = add(&folder, &["a.trace", "copy.trace", "--suite", "other", "--commit", "abc"], 0);
    assert!(said.contains("ds: 0 traces added, 2 there already\n"), "{said}");
    assert_eq!(files(&folder), before);
}

#[test]
fn files_merge_and_what_they_hold_is_still_known() {
    let folder = folder("dataset-merge");
    add(&folder, &["a.trace", "b.trace", "--suite", "s"], 0);
    let said = add(&folder, &["c.trace", "--suite", "s", "--compact"], 0);
    assert!(said.contains("ds: 12 files became 4 files\n"), "{said}");
    for table in ["events", "spans", "sketch", "runs"] {
        let names = names(&folder, table);
        assert!(names.len() == 1 && names[0].starts_with("date=2026-05-01/suite=s/merged-"), "{names:?}");
    }
    let before = files(&folder);
    let said = add(&folder, &["a.trace", "b.trace", "c.trace", "--compact"], 0);
    assert!(said.contains("0 traces added, 3 there already\n"), "{said}");
    assert!(said.contains("0 files became 0 files\n"), "{said}");
    assert_eq!(files(&folder), before);
    assert_eq!(std::fs::read_dir(folder.path("ds/.tracer")).expect("there").count(), 2);
}

#[test]
fn what_a_kill_left_is_completed_and_not_merged() {
    let folder = folder("dataset-left");
    add(&folder, &["a.trace", "b.trace", "c.trace"], 0);
    let whole = files(&folder);
    let runs = whole.keys().filter(|path| path.to_string_lossy().contains("/runs/")).cloned();
    let left: Vec<PathBuf> = runs.take(1).collect();
    // As if it had been killed before the last of the trace's files was in its place, and while it wrote another.
    std::fs::remove_file(&left[0]).expect("removed");
    std::fs::create_dir(folder.path("ds/.tracer/draft-1-0")).expect("made");
    folder.write("ds/.tracer/draft-1-0/half", "PAR1");
    add(&folder, &["--compact"], 0);
    for table in ["events", "spans", "sketch"] {
        let names = names(&folder, table);
        assert!(
            names.len() == 2 && names.iter().filter(|name| name.contains("merged-")).count() == 1,
            "{names:?}"
        );
    }
    assert_eq!(names(&folder, "runs").len(), 1);
    // In another suite this time: what was left in the first one goes.
    let said = add(&folder, &["a.trace", "b.trace", "c.trace", "--suite", "again"], 0);
    assert!(said.contains("1 trace added, 2 there already\n"), "{said}");
    for table in ["events", "spans", "sketch", "runs"] {
        let names = names(&folder, table);
        assert_eq!(names.iter().filter(|name| name.contains("suite=again")).count(), 1, "{names:?}");
        assert_eq!(names.len(), 2, "{names:?}");
    }
}

#[test]
fn a_recording_is_there_in_one_state_only() {
    let folder = folder("dataset-state");
    let whole = std::fs::read(folder.path("c.trace")).expect("there");
    folder.write("begun.trace", &whole[..whole.len() - 150]);
    let said = add(&folder, &["begun.trace"], 3);
    assert!(said.contains("the file is incomplete"), "{said}");
    let before = files(&folder);
    let said = add(&folder, &["c.trace"], 1);
    assert!(said.contains("c.trace: an earlier state of this recording is in the dataset, as "), "{said}");
    assert_eq!(files(&folder), before);
    std::fs::remove_dir_all(folder.path("ds")).expect("removed");
    add(&folder, &["c.trace"], 0);
    let said = add(&folder, &["begun.trace"], 1);
    assert!(said.contains("begun.trace: a later state of this recording is in the dataset, as "), "{said}");
}

#[test]
fn one_bad_file_does_not_keep_the_others_out() {
    let folder = folder("dataset-bad");
    folder.write("text", "hello");
    let said = add(&folder, &["a.trace", "text", "missing", "b.trace"], 1);
    assert!(said.contains("text: not a trace"), "{said}");
    assert!(said.contains("cannot open missing"), "{said}");
    assert!(said.contains("ds: 2 traces added, 2 left out\n"), "{said}");
    let said = add(&folder, &["text"], 1);
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn what_is_no_dataset_or_no_command_line_is_refused() {
    let folder = folder("dataset-usage");
    std::fs::create_dir(folder.path("full")).expect("made");
    folder.write("full/other", "");
    std::fs::create_dir_all(folder.path("newer/.tracer")).expect("made");
    folder.write("newer/.tracer/version", "2\n");
    folder.write("empty", "");
    for (args, code, expected) in [
        (
            &["--dataset", "full", "a.trace"][..],
            1,
            "expected a new or empty folder, or one that has a dataset",
        ),
        (&["--dataset", "newer", "a.trace"], 1, "the dataset has version \"2\", this tracer knows 1"),
        (&["--dataset", "empty", "a.trace"], 1, "cannot open the dataset empty: it is no folder"),
        (&["--dataset", "ds", "a.trace"], 1, "a.trace: the trace has no wall time; say with --date"),
        (&["--dataset", "ds", "a.trace", "--suite", "7"], 2, "suite \"7\": expected a letter"),
        (
            &["--dataset", "ds", "a.trace", "--date", "today"],
            2,
            "date \"today\": expected a day such as 2026-05-01",
        ),
        (&["--dataset", "ds", "a.trace", "--seq", "1..2"], 2, "make a part one with tracer cut"),
        (&["--dataset", "ds", "a.trace", "--table", "spans"], 2, "--dataset has all tables"),
        (&["--dataset", "ds", "a.trace", "-o", "x.csv"], 2, "cannot be used with"),
        (&["--dataset", "ds"], 2, "required"),
        // A name that is misspelt made an empty dataset, with exit code 0.
        (&["--dataset", "sd", "--compact"], 1, "sd: there is no dataset whose files could be merged"),
        (&["a.trace", "--compact", "-o", "x.csv"], 2, "--dataset"),
        (&["a.trace", "b.trace", "-o", "x.csv"], 2, "several traces go with --dataset, one with -o"),
        (&["a.trace"], 2, "--output"),
    ] {
        let output = folder.tracer(&[&["export"], args].concat());
        let said = stderr(&output);
        assert!(output.status.code() == Some(code) && said.contains(expected), "{args:?}: {said}");
    }
    assert!(!folder.path("x.csv").exists());
}

/// Nothing told that the first one is there.
#[test]
#[cfg(target_os = "linux")]
fn what_was_added_before_the_disk_was_full_is_said() {
    let folder = folder("dataset-full");
    folder.write("log", log(20_000));
    stdout(&folder.tracer(&["import", "log", "-o", "large.trace"]), 0);
    let limited = "ulimit -f 16; exec \"$0\" export --dataset ds --date 2026-05-01 a.trace large.trace";
    let output = std::process::Command::new("bash")
        .args(["-c", limited, crate::tool::TRACER])
        .current_dir(folder.path("."))
        .output()
        .expect("bash runs");
    assert_eq!(stdout(&output, 1), "");
    let said = stderr(&output);
    assert!(said.starts_with("tracer: ds: 1 trace added before that\ntracer: cannot write "), "{said}");
}
