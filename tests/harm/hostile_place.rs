//! A folder where every user may write: what another user put in the way of an output is not written to, and nothing else is
//! written either.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use crate::target::{Target, guarded, until};
use crate::tool::{Folder, Recording, live, stderr, stdout};

const STRANGER: [&str; 3] = ["setpriv", "--reuid=65534", "--regid=65534"];

/// Has another user run a script in the folder.
fn as_stranger(folder: &Folder, script: &str) {
    let mut command = Command::new(STRANGER[0]);
    command.args(&STRANGER[1..]).args(["--clear-groups", "sh", "-c", script]).current_dir(folder.path(""));
    assert!(command.status().expect("setpriv runs").success(), "{script}");
}

/// A folder like `/tmp`, and a trace in it.
fn shared(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("log", "[               1] [PID:     17] worker       demo:beg_work | Seq: 1\n");
    stdout(&folder.tracer(&["import", "log", "-o", "s.trace"]), 0);
    std::fs::set_permissions(folder.path(""), PermissionsExt::from_mode(0o1777)).expect("set");
    folder
}

fn facts(path: &Path) -> std::fs::Metadata {
    path.symlink_metadata().expect("there")
}

#[test]
#[ignore = "needs root and eBPF"]
fn what_another_user_put_in_the_way_is_refused() {
    let _alone = live();
    let folder = shared("squatted");
    std::fs::create_dir(folder.path("private")).expect("made");
    let mine = folder.write("private/mine", "mine");
    folder.write("taken", "mine");
    std::fs::hard_link(folder.path("taken"), folder.path("second")).expect("linked");
    as_stranger(
        &folder,
        "mkfifo pipe; ln -s private/mine link; ln -s private/new dangling; ln -s private road; echo theirs >file; \
         mkdir own; ln -s ../private own/road",
    );
    for (name, why) in [
        ("pipe", "is a pipe, of another user (uid 65534)"),
        ("link", "link is a symbolic link of another user (uid 65534)"),
        ("dangling", "dangling is a symbolic link of another user (uid 65534)"),
        ("road/new", "road is a symbolic link of another user (uid 65534)"),
        ("own/road/new", "road is a symbolic link of another user (uid 65534)"),
        ("file", "is a file, in a folder of all users, of another user (uid 65534)"),
        ("taken", "has other names and is in a folder of all users"),
    ] {
        for args in [&["cut", "s.trace"][..], &["record", "-e", "*:*", "--duration", "1s", "--wait"]] {
            let output = folder.tracer(&[args, &["-f", "-o", name]].concat());
            assert_eq!(output.status.code(), Some(1), "{name}: {}", stderr(&output));
            assert!(stderr(&output).contains(why), "{name}: {}", stderr(&output));
            assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
        }
    }
    assert_eq!(std::fs::read(&mine).expect("there"), b"mine");
    assert_eq!(std::fs::read(folder.path("second")).expect("there"), b"mine");
    assert!(!folder.path("private/new").exists());
    assert!(facts(&folder.path("pipe")).file_type().is_fifo());
    // By a descriptor it is what the caller means.
    let output = Command::new("sh")
        .args([
            "-c",
            "timeout 60 cat pipe >got & exec 3>pipe; \"$0\" cut s.trace -o /dev/fd/3; exec 3>&-; wait",
        ])
        .arg(crate::tool::TRACER)
        .current_dir(folder.path(""))
        .output();
    stdout(&output.expect("sh runs"), 0);
    stdout(&folder.tracer(&["verify", "got"]), 0);
    stdout(&folder.tracer(&["cut", "s.trace", "-o", "/dev/null"]), 0);
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_dataset_where_another_user_may_write_is_refused() {
    let _alone = live();
    let folder = shared("dataset");
    std::fs::create_dir_all(folder.path("private/ds")).expect("made");
    as_stranger(&folder, "mkdir theirs; ln -s private/ds link; ln -s private road");
    std::fs::create_dir(folder.path("open")).expect("made");
    std::fs::set_permissions(folder.path("open"), PermissionsExt::from_mode(0o1777)).expect("set");
    let add = |dataset: &str| {
        ["export", "--dataset", dataset, "--date", "2026-05-01", "s.trace"].map(str::to_owned)
    };
    for (dataset, why) in [
        ("theirs", "it belongs to another user (uid 65534); run tracer as that user"),
        ("open", "every user may write to it"),
        ("link", "symbolic link of another user (uid 65534)"),
        ("road/ds", "symbolic link of another user (uid 65534)"),
        ("road/new", "symbolic link of another user (uid 65534)"),
    ] {
        let args = add(dataset);
        let output = folder.tracer(&args.each_ref().map(|arg| &arg[..]));
        assert_eq!(output.status.code(), Some(1), "{dataset}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{dataset}: {}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    }
    for empty in ["theirs", "open", "private/ds"] {
        assert_eq!(std::fs::read_dir(folder.path(empty)).expect("there").count(), 0, "{empty}");
    }
    assert!(!folder.path("private/new").exists());
    // Under sudo all of it is the user's, and the folder is for that user alone.
    let mut command = folder.command(&[]);
    command.args(add("mine")).env("SUDO_UID", "65534").env("SUDO_GID", "65534");
    stdout(&command.output().expect("tracer runs"), 0);
    let found = Command::new("find").arg(folder.path("mine")).args(["!", "-uid", "65534"]).output();
    assert_eq!(String::from_utf8_lossy(&found.expect("find runs").stdout), "");
    assert_eq!(facts(&folder.path("mine")).mode() & 0o7777, 0o700);
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_disk_is_never_written_to() {
    let _alone = live();
    let folder = shared("disk");
    let made = Command::new("mknod").args(["disk", "b", "7", "200"]).current_dir(folder.path("")).status();
    assert!(made.expect("mknod runs").success());
    for name in ["disk", "/dev/fd/1", "-"] {
        let mut command = folder.command(&["cut", "s.trace", "-f", "-o", name]);
        // Opened, as a device without a driver cannot be.
        let disk = std::fs::read_dir("/sys/block").expect("there").find_map(|disk| {
            let path = Path::new("/dev").join(disk.expect("an entry").file_name());
            std::fs::File::open(path).ok()
        });
        if name != "disk" {
            let Some(disk) = disk else { continue };
            command.stdout(disk);
        }
        let output = command.output().expect("tracer runs");
        assert_eq!(output.status.code(), Some(1), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains("is a disk (a block device)"), "{name}: {}", stderr(&output));
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn what_root_records_is_for_root_alone_and_for_the_user_of_sudo() {
    let _alone = live();
    let folder = shared("mode");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let pid = target.pid().to_string();
    let args = ["-e", "target:hit", "-p", &pid, "--rotate", "200ms", "-o"];
    for (prefix, name, owner) in
        [(&["env"][..], "run.trace", 0), (&["env", "SUDO_UID=65534", "SUDO_GID=65534"], "sudo.trace", 65534)]
    {
        let recording = Recording::start_by(&folder, prefix, &[&args[..], &[name]].concat());
        let next = folder.path(&name.replace(".trace", ".1.trace"));
        until("the second file is there", || {
            target.fire(100);
            next.exists()
        });
        assert_eq!(recording.stop().status.code(), Some(0));
        for path in [folder.path(name), next] {
            let facts = facts(&path);
            assert_eq!((facts.mode() & 0o7777, facts.uid(), facts.gid()), (0o600, owner, owner), "{name}");
        }
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_ring_of_files_goes_around_names_that_are_taken() {
    let _alone = live();
    let folder = shared("ring");
    let secret = folder.write("secret", "mine");
    as_stranger(
        &folder,
        "mkfifo run.1.trace; ln -s secret run.2.trace; ln -s new run.3.trace; echo theirs >run.5.trace",
    );
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let pid = target.pid().to_string();
    let args = ["-f", "-e", "target:hit", "-p", &pid, "--rotate", "200ms", "--keep", "2", "-o", "run.trace"];
    let recording = Recording::start(&folder, &args);
    until("a name behind them is there", || {
        target.fire(100);
        (8..1000).any(|number| folder.path(&format!("run.{number}.trace")).exists())
    });
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    assert!(stderr(&summary).contains("there now: 2\n"), "{}", stderr(&summary));
    assert!(facts(&folder.path("run.1.trace")).file_type().is_fifo());
    assert!(folder.path("run.2.trace").is_symlink() && folder.path("run.3.trace").is_symlink());
    assert_eq!(std::fs::read(folder.path("run.5.trace")).expect("there"), b"theirs\n");
    assert_eq!(std::fs::read(secret).expect("there"), b"mine");
    assert!(!folder.path("new").exists() && !folder.path("run.4.trace").exists(), "it is older than two");
}

/// A journal is removed only if it is the one that was written now.
#[test]
#[ignore = "needs root and eBPF"]
fn a_journal_that_is_no_file_of_ours_stays() {
    let _alone = live();
    let folder = shared("journal-pipe");
    let made = Command::new("mkfifo").arg(folder.path("run.parquet.trace")).status();
    assert!(made.expect("mkfifo runs").success());
    let script = "cat run.parquet.trace >got & reader=$!; \"$0\" record -e '*:*' -o run.parquet -- true; code=$?; \
                  kill $reader; exit $code";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(crate::tool::TRACER)
        .current_dir(folder.path(""))
        .output()
        .expect("sh runs");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(facts(&folder.path("run.parquet.trace")).file_type().is_fifo(), "{}", stderr(&output));
}

/// Names that a caller repeats come from file names that others chose.
#[test]
#[ignore = "needs root and eBPF"]
fn names_on_the_command_line_drive_no_terminal() {
    let _alone = live();
    let folder = Folder::new("names");
    let evil = "x\x1b]0;title\x07\n\u{9b}31m";
    for args in [
        &["record", "-o", evil, "--nosuch"][..],
        &["record", "-o", evil, "-e", evil],
        &["record", "-e", "a:b", "-x", evil, "-x", "./there"],
        &["record", "-e", "a:b", "-o", "x", "--stage", evil],
        &["record", "-e", "a:b", "-o", "x", "--stages", evil],
        &["record", "-e", "a:b", "-o", "x", "--preset", evil],
        &["record", "-e", "a:b", "-o", "x", "--user", evil, "--", "true"],
        &["record", "-e", "a:b", "-o", "x", "--", evil],
        &["record", "-e", "a:b", "-o", &format!("missing/{evil}"), "--", "true"],
        &["record", evil],
        &["list", evil],
        &["list", "-x", &format!("./{evil}")],
        &["info", evil],
        &["export", evil, "-o", "x.csv"],
        &["export", "x", "-o", evil],
        &["analyze", evil, "--stage", evil],
        &["diff", evil, evil],
        &["merge", evil, evil, "-o", evil],
        &["import", evil, "-o", evil],
        &[evil],
    ] {
        let output = folder.tracer(args);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{args:?}: {}", stderr(&output));
        let bad = |c: char| c != '\n' && c.is_control();
        assert!(!stderr(&output).contains(bad), "{args:?}: {:?}", stderr(&output));
    }
}
