//! `record -f`: a recording that does not begin leaves the file of the last one, byte for byte.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use crate::target::{Target, guarded};
use crate::tool::{Folder, Recording, TRACER, live, stderr, stdout};

/// Runs a script in the folder; `$TRACER` is the tool.
fn run(folder: &Folder, wrapper: &[&str], script: &str) -> std::process::Output {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).args(["sh", "-c", script]).env("TRACER", folder.path("tracer"));
    command.current_dir(folder.path("")).output().expect("it runs")
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_recording_that_does_not_begin_leaves_the_old_file() {
    let _alone = live();
    let folder = Folder::new("force");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    folder.copy_program(TRACER, "tracer");
    folder.write("forbidden", "");
    folder.write_program("script", b"#!/no/such/interpreter\n");
    let everyone = |name: &str, mode| {
        std::fs::set_permissions(folder.path(name), PermissionsExt::from_mode(mode)).expect("set");
    };
    everyone("", 0o777);
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    for (wrapper, args, expected) in [
        (&["env"][..], "--duration soon", "--duration: time \"soon\": expected"),
        (&["env"], "--ring-size 5000", "--ring-size 5000: expected a power of two"),
        (&["env"], "--stage x", "--stage: stage \"x\": expected"),
        (&["env"], "-e nosuch:probe --duration 1s", "no probe matches nosuch:probe"),
        (&["env"], "-- ./missing", "./missing: no such file"),
        (&["env"], "-- missing", "missing: not found in PATH"),
        (&["env"], "-- ./forbidden", "./forbidden: permission denied: it is not executable"),
        (&["env"], "-- /", "/: a folder, expected a program"),
        (&["env"], "-- ./script", "./script: its interpreter /no/such/interpreter: no such file"),
        (&["env"], "-e target:hit -a -- ./forbidden", "forbidden"),
        (&["env"], "--user nosuch -- true", "user nosuch: not known"),
        (&nobody, "-e target:hit", "permission denied (needs root, or CAP_BPF and CAP_PERFMON)"),
    ] {
        for name in ["run.trace", "run.parquet"] {
            folder.write(name, "mine");
            everyone(name, 0o666);
            let output = run(&folder, wrapper, &format!("exec \"$TRACER\" record -f -o {name} {args}"));
            assert!(matches!(output.status.code(), Some(1 | 2)), "{args}: {}", stderr(&output));
            assert!(stderr(&output).contains(expected), "{args}: {}", stderr(&output));
            assert_eq!(std::fs::read(folder.path(name)).expect("there"), b"mine", "{name} {args}");
        }
        assert!(!folder.path("run.parquet.trace").exists(), "{args}");
    }

    // A disk without room for the first block: the old file stays; it is copied out of the mount that only the script sees.
    std::fs::create_dir(folder.path("disk")).expect("made");
    let script = "mount -t tmpfs -o size=64k none disk && printf mine >disk/run.trace && \
                  { dd if=/dev/zero of=disk/rest bs=1k status=none; :; } 2>/dev/null; \
                  \"$TRACER\" record -f -o disk/run.trace -e target:hit --duration 60s; code=$?; \
                  cp disk/run.trace kept; ls -A disk >files; exit $code";
    let output = run(&folder, &["unshare", "--mount"], script);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("No space left on device"), "{}", stderr(&output));
    assert_eq!(std::fs::read(folder.path("kept")).expect("there"), b"mine");
    assert_eq!(std::fs::read_to_string(folder.path("files")).expect("there"), "rest\nrun.trace\n");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_recording_that_begins_takes_the_place_of_the_old_file() {
    let _alone = live();
    let folder = Folder::new("place");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let pid = target.pid().to_string();
    let old = folder.write("old.trace", "mine");
    std::fs::set_permissions(&old, PermissionsExt::from_mode(0o604)).expect("set");
    std::os::unix::fs::chown(&old, Some(65534), Some(65534)).expect("owned");
    std::os::unix::fs::symlink("old.trace", folder.path("run.trace")).expect("linked");
    for options in [&[][..], &["--last", "60s"]] {
        let args = ["-f", "-o", "run.trace", "-e", "target:hit", "-p", &pid];
        let recording = Recording::start(&folder, &[&args[..], options].concat());
        // A flight recorder has nothing to replace it with until the end.
        let is_replaced = std::fs::read(&old).expect("there") != b"mine";
        assert_eq!(is_replaced, options.is_empty(), "{options:?}");
        target.fire(100);
        let summary = recording.stop();
        assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
        let log = stdout(&folder.tracer(&["replay", "old.trace"]), 0);
        assert_eq!(log.matches("target:hit").count(), 100, "{options:?}");
        let facts = old.symlink_metadata().expect("there");
        assert_eq!((facts.mode() & 0o7777, facts.uid(), facts.gid()), (0o604, 65534, 65534));
        assert!(folder.path("run.trace").is_symlink());
        std::fs::write(&old, "mine").expect("written");
    }
}

/// The journal of a recording that was killed is the only copy of it.
#[test]
#[ignore = "needs root and eBPF"]
fn a_journal_that_was_left_is_not_overwritten_unasked() {
    let _alone = live();
    let folder = Folder::new("journal");
    folder.write("run.parquet.trace", "mine");
    let output = folder.tracer(&["record", "-o", "run.parquet", "-e", "*:*", "--", "true"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "tracer: run.parquet.trace exists; give --force to overwrite it, or another -o\n";
    assert_eq!(stderr(&output), expected);
    assert_eq!(std::fs::read(folder.path("run.parquet.trace")).expect("there"), b"mine");
}
