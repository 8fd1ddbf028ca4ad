//! Pipes that hold something else than a trace, without end: their beginning tells.

use std::process::{Command, Stdio};

use crate::tool::{Folder, TRACER, stderr};

/// All that came was copied to a file before it was looked at, until the disk was full.
#[test]
fn what_is_no_trace_is_not_read_to_its_end() {
    const BYTES: u64 = 16 << 20;
    let folder = Folder::new("hostile-pipe");
    let verbs =
        ["info -", "analyze -", "verify -", "repair - -fo out.trace", "import - -fo out.trace", "open -"];
    for verb in verbs {
        for source in ["/dev/zero", "/dev/urandom"] {
            let script = format!(
                "head -c {BYTES} {source} | {{ \"$TRACER\" {verb}; code=$?; wc -c >left; exit $code; }}"
            );
            let mut command = Command::new("sh");
            command.args(["-c", &script]).env("TRACER", TRACER).current_dir(folder.path(""));
            let output = command.stdin(Stdio::null()).output().expect("sh runs");
            let errors = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{verb}: {errors}");
            assert_eq!(errors.lines().count(), 1, "{verb}: {errors}");
            assert!(errors.starts_with("tracer: standard input: "), "{verb}: {errors}");
            let left = std::fs::read_to_string(folder.path("left")).expect("written");
            let left: u64 = left.trim().parse().expect("a number");
            assert!(left > BYTES / 2, "{verb}: of {BYTES} bytes {left} were left");
        }
    }
}
