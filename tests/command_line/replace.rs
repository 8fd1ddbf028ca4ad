//! `--force`: a file is replaced only once there is something to replace it with.

use std::process::Stdio;

use crate::tool::{Folder, stderr, stdout};

fn log(events: u32) -> String {
    (1..=events).map(|n| format!("[{n:>16}] [PID:     17] worker       demo:beg_work | Seq: {n}\n")).collect()
}

fn imported(folder: &Folder) {
    folder.write("log", log(50));
    stdout(&folder.tracer(&["import", "log", "-o", "s.trace"]), 0);
}

#[test]
fn what_fails_leaves_what_was_there() {
    let folder = Folder::new("kept");
    imported(&folder);
    folder.write("bad.log", "nonsense\n");
    for args in [
        &["export", "s.trace", "--from", "soon", "--format", "csv"][..],
        &["export", "s.trace", "--stage", "nonsense", "--format", "csv"],
        &["export", "s.trace", "--from", "2026-01-01T00:00:00Z", "--format", "parquet"],
        &["export", "s.trace", "--stages", "missing.toml", "--format", "chrome"],
        &["import", "bad.log"],
        &["cut", "s.trace", "--to", "2026-01-01T00:00:00Z"],
        &["merge", "s.trace", "log"],
        &["repair", "log"],
    ] {
        folder.write("out", "mine");
        let output = folder.tracer(&[args, &["-o", "out", "-f"]].concat());
        assert!(matches!(output.status.code(), Some(1 | 2)), "{args:?}: {}", stderr(&output));
        assert_eq!(std::fs::read(folder.path("out")).expect("there"), b"mine", "{args:?}");
    }
    let names = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let mut files: Vec<_> = std::fs::read_dir(folder.path("")).expect("there").map(names).collect();
    files.sort();
    assert_eq!(files, ["bad.log", "log", "out", "s.trace"], "nothing else is left");
}

#[test]
fn the_input_is_never_the_victim() {
    let folder = Folder::new("victim");
    imported(&folder);
    std::fs::hard_link(folder.path("s.trace"), folder.path("hard")).expect("linked");
    folder.write("keys.toml", "[stages]\nwork = \"demo:beg_work -> demo:end_work\"\n");
    let before = std::fs::read(folder.path("s.trace")).expect("there");
    for (args, target) in [
        (&["cut", "s.trace"][..], "s.trace"),
        (&["cut", "hard"], "s.trace"),
        (&["repair", "./s.trace"], "s.trace"),
        (&["export", "s.trace", "--format", "csv"], "s.trace"),
        (&["export", "s.trace", "--stages", "keys.toml", "--format", "csv"], "keys.toml"),
        (&["merge", "s.trace", "hard"], "hard"),
        (&["import", "log"], "log"),
        (&["analyze", "s.trace", "--stages-out"], "s.trace"),
    ] {
        let out: &[&str] =
            if args.contains(&"--stages-out") { &[target, "-f"] } else { &["-o", target, "-f"] };
        let output = folder.tracer(&[args, out].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stderr(&output));
        assert_eq!(stderr(&output), format!("tracer: {target} is what is read; give another -o\n"));
    }
    let stdin = std::fs::File::open(folder.path("s.trace")).expect("there");
    let output = folder.command(&["cut", "-", "-o", "s.trace", "-f"]).stdin(stdin).output().expect("runs");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(std::fs::read(folder.path("s.trace")).expect("there"), before);
    assert_eq!(std::fs::read_to_string(folder.path("log")).expect("there"), log(50));
}

#[test]
fn mode_and_links_of_what_is_replaced_are_kept() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let folder = Folder::new("links");
    imported(&folder);
    std::fs::create_dir(folder.path("far")).expect("made");
    folder.write("far/real", "mine");
    std::fs::set_permissions(folder.path("far/real"), PermissionsExt::from_mode(0o640)).expect("set");
    symlink("far/real", folder.path("near")).expect("linked");
    symlink("near", folder.path("nearer")).expect("linked");
    stdout(&folder.tracer(&["cut", "s.trace", "-o", "nearer", "-f"]), 0);
    let facts = |name: &str| folder.path(name).symlink_metadata().expect("there");
    assert!(facts("near").is_symlink() && facts("nearer").is_symlink());
    assert_eq!(facts("far/real").permissions().mode() & 0o7777, 0o640);
    stdout(&folder.tracer(&["verify", "far/real"]), 0);
    // One file with two names is one still, longer or shorter.
    for content in ["mine".to_owned(), "mine".repeat(10_000)] {
        folder.write("one", &content);
        let _ = std::fs::remove_file(folder.path("two"));
        std::fs::hard_link(folder.path("one"), folder.path("two")).expect("linked");
        stdout(&folder.tracer(&["cut", "s.trace", "-o", "one", "-f"]), 0);
        assert_eq!((facts("one").ino(), facts("one").nlink()), (facts("two").ino(), 2));
        stdout(&folder.tracer(&["verify", "two"]), 0);
        let _ = std::fs::remove_file(folder.path("one"));
    }
    // A link to nothing is followed, too.
    symlink("far/new", folder.path("dangling")).expect("linked");
    stdout(&folder.tracer(&["cut", "s.trace", "-o", "dangling"]), 0);
    assert!(facts("dangling").is_symlink() && facts("far/new").is_file());
}

#[test]
fn standard_input_is_read_from_where_it_stands() {
    let folder = Folder::new("offset");
    let text = format!("# read by another program\n{}", log(3));
    folder.write("log", &text);
    let mut file = std::fs::File::open(folder.path("log")).expect("there");
    let at = text.find('\n').expect("a line") as u64 + 1;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at)).expect("sought");
    let mut command = folder.command(&["import", "-", "-o", "s.trace"]);
    let output = command.stdin(file).stderr(Stdio::piped()).output().expect("tracer runs");
    stdout(&output, 0);
    assert_eq!(stdout(&folder.tracer(&["replay", "s.trace"]), 0).matches("| Seq: ").count(), 3);
}

#[test]
fn what_a_killed_process_left_goes_with_the_next_file() {
    let folder = Folder::new("left");
    imported(&folder);
    // No system has a process of this number.
    const GONE: &str = "2147483647";
    let gone = |rest: &str| format!(".tracer-{GONE}-{rest}");
    let (draft, locked, recorded, draft_folder) = (gone("0"), gone("1"), gone("2.trace"), gone("folder-0"));
    let alive = format!(".tracer-{}-7", std::process::id());
    for name in [&draft, &locked, &recorded, &alive, ".tracer-notes"] {
        folder.write(name, "half");
    }
    std::fs::create_dir(folder.path(&draft_folder)).expect("made");
    folder.write(&format!("{draft_folder}/stream"), "half");
    // As a process of another container would.
    let file = std::fs::File::open(folder.path(&locked)).expect("there");
    file.lock().expect("locked");
    stdout(&folder.tracer(&["export", "s.trace", "-o", "out.csv"]), 0);
    let there = |name: &str| folder.path(name).exists();
    assert!(!there(&draft) && !there(&draft_folder), "what is left of a killed process");
    for name in [&locked, &recorded, &alive, ".tracer-notes"] {
        assert!(there(name), "{name} is another's, or worth something");
    }
    drop(file);
    stdout(&folder.tracer(&["export", "s.trace", "-o", "ctf", "--format", "ctf"]), 0);
    assert!(!there(&locked));
}
