//! Exports that are folders: they are there whole or not at all, and take the place of nothing else.

use std::fs;

use crate::tool::{Folder, stderr, stdout};

const LOG: &str = "[1000] [PID: 17] a p:beg_x | Seq: 1\n[2500] [PID: 17] a p:end_x | Seq: 1\n";

fn names(folder: &Folder, name: &str) -> Vec<String> {
    let found = fs::read_dir(folder.path(name)).expect("there");
    let mut names: Vec<String> =
        found.map(|file| file.expect("there").file_name().into_string().expect("UTF-8")).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_folder_takes_its_place_whole() {
    let folder = Folder::new("folder");
    folder.write("log", LOG);
    stdout(&folder.tracer(&["import", "log", "-o", "s.trace"]), 0);
    let export = |output: &str, options: &[&str]| {
        let output =
            folder.tracer(&[&["export", "s.trace", "--format", "ctf", "-o", output], options].concat());
        (output.status.code(), stderr(&output))
    };
    assert_eq!(export("out/", &[]), (Some(0), String::new()));
    assert_eq!(names(&folder, "out"), ["cpu_0", "metadata"]);
    let exists = "tracer: out exists; give --force to replace it, or another -o\n".to_owned();
    assert_eq!(export("out", &[]), (Some(1), exists));
    // One of ours is replaced, also if it has other files; whatever else is in the way is not touched.
    folder.write("out/cpu_9", "old");
    assert_eq!(export("out", &["--force"]), (Some(0), String::new()));
    assert_eq!(names(&folder, "out"), ["cpu_0", "metadata"]);
    folder.write("out/thesis.txt", "mine");
    let holds = "tracer: out holds something else, thesis.txt; expected another -o\n".to_owned();
    assert_eq!(export("out", &["-f"]), (Some(1), holds));
    let is_file = "tracer: log is a file, expected a folder name\n".to_owned();
    assert_eq!(export("log", &["-f"]), (Some(1), is_file));
    assert_eq!(names(&folder, "."), ["log", "out", "s.trace"]);
    assert_eq!(names(&folder, "out"), ["cpu_0", "metadata", "thesis.txt"]);
}

#[test]
fn options_that_say_nothing_of_a_folder_are_refused() {
    let folder = Folder::new("folder-usage");
    folder.write("log", LOG);
    stdout(&folder.tracer(&["import", "log", "-o", "s.trace"]), 0);
    for (options, expected) in [
        (&["-o", "-"][..], "ctf is a folder, expected its name instead of -"),
        (&["-o", "x", "--no-probes"], "--no-probes and --by-buffer go with json and pftrace"),
        (&["-o", "x", "--table", "spans"], "--table goes with parquet, arrow and csv"),
        (
            &["-o", "x", "--preset", "ruby"],
            "ctf has events, no stages: --stage, --stages and --preset do not go with it",
        ),
    ] {
        let output = folder.tracer(&[&["export", "s.trace", "--format", "ctf"], options].concat());
        assert_eq!(stdout(&output, 2), "");
        assert_eq!(stderr(&output), format!("tracer: {expected}\n"));
        assert!(!folder.path("x").exists());
    }
}
