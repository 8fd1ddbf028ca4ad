//! What the process tests share: running `tracer` and the demo programs, in a folder that goes away.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::target::until;

/// The built tool.
pub(crate) const TRACER: &str = env!("CARGO_BIN_EXE_tracer");

/// A folder for one test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        // Two tests of one process may choose the same name.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tracer-test-{}-{number}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("written");
        path
    }

    /// A copy of a program, with its permissions. Made by another process: what this one has open for writing, a child that
    /// another test starts meanwhile has open too, and the kernel runs no such file ("text file busy").
    pub(crate) fn copy_program(&self, program: impl AsRef<Path>, name: impl AsRef<Path>) -> PathBuf {
        let copy = self.0.join(name);
        let status = Command::new("cp").arg("--preserve=mode").arg(program.as_ref()).arg(&copy).status();
        assert!(status.expect("cp runs").success(), "{} is copied", copy.display());
        copy
    }

    /// A program of these bytes, which every user may run.
    pub(crate) fn write_program(&self, name: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
        let draft = self.write("draft", bytes);
        std::fs::set_permissions(&draft, PermissionsExt::from_mode(0o755)).expect("set");
        self.copy_program(draft, name)
    }

    /// Runs `tracer` in this folder.
    pub(crate) fn tracer(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("tracer runs")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(TRACER);
        command.args(args).current_dir(&self.0).stdin(Stdio::null());
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Standard output of a run that ended with `code`.
#[track_caller]
pub(crate) fn stdout(output: &Output, code: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "standard error: {errors}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// Standard output of a reader of a trace that may lack what the recorder did not look at in time.
#[track_caller]
pub(crate) fn answer(output: &Output) -> String {
    stdout(output, if output.status.code() == Some(3) { 3 } else { 0 })
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The path of one of the demo programs; they are built the first time.
pub(crate) fn sample(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    let folder = Path::new(TRACER).parent().expect("the target folder");
    BUILT.call_once(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "sample-traces", "--bins", "--target-dir"]);
        build.arg(folder.parent().expect("the target folder")).current_dir(env!("CARGO_MANIFEST_DIR"));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the demo programs build");
    });
    folder.join(name)
}

/// Compiles a C program of `source` with `sys/sdt.h`.
pub(crate) fn compile_c(folder: &Folder, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let source_path = folder.write(&format!("{name}.c"), source);
    let program = folder.path(name);
    let status = Command::new("cc").args(flags).arg("-o").arg(&program).arg(source_path).status();
    assert!(status.expect("cc runs").success(), "{name} compiles (needs systemtap-sdt-dev)");
    program
}

/// The machine for one live test: recordings see the programs of the whole system, so two live tests at a time would
/// record each other's, also from two processes or two checkouts. A live test carries `#[ignore]`, which `cargo test`
/// shows; running those (`-- --include-ignored`) takes the privilege.
pub(crate) fn live() -> File {
    let root =
        std::fs::metadata("/proc/self").is_ok_and(|facts| std::os::unix::fs::MetadataExt::uid(&facts) == 0);
    assert!(root, "needs root and eBPF");
    let path = std::env::temp_dir().join("tracer-live-tests.lock");
    let file = File::options().create(true).append(true).open(path).expect("a file to lock");
    file.lock().expect("locked");
    file
}

/// Whether all that a recorder says it has not recorded is what it did not look at in time, as on a loaded machine.
pub(crate) fn is_only_late(said: &str) -> bool {
    let mut missing = said.lines().filter(|line| line.contains("not recorded: "));
    let late = [
        "started while the recorder was stopped or busy",
        "and were not looked at any more",
        "after a process that ran had mapped it",
    ];
    missing.all(|line| late.iter().any(|reason| line.contains(reason)))
}

/// A recording at work.
pub(crate) struct Recording {
    pub(crate) child: Child,
}

impl Recording {
    /// Starts `tracer record ARGS` and waits until every probe is attached. Its standard output goes to the file
    /// `printed` in the folder.
    pub(crate) fn start(folder: &Folder, args: &[&str]) -> Self {
        Self::begin(folder, &[], args)
    }

    /// The same, with a limit to the descriptors that it may have at a time unless it raises it.
    pub(crate) fn start_limited(folder: &Folder, descriptors: u32, args: &[&str]) -> Self {
        Self::begin(folder, &["prlimit", &format!("--nofile={descriptors}:4096")], args)
    }

    /// The same, started by another program, whose words are `prefix`.
    pub(crate) fn start_by(folder: &Folder, prefix: &[&str], args: &[&str]) -> Self {
        Self::begin(folder, prefix, args)
    }

    fn begin(folder: &Folder, prefix: &[&str], args: &[&str]) -> Self {
        // The shell opens the descriptor for the byte and then is the recorder.
        let mut command = Command::new("sh");
        command.args(["-c", "exec 3>ready; exec \"$@\"", "sh"]).args(prefix);
        command.args([TRACER, "record", "--ready-fd", "3"]).args(args).current_dir(folder.path(""));
        let printed = File::create(folder.path("printed")).expect("created");
        command.stdin(Stdio::null()).stdout(printed).stderr(Stdio::piped());
        let _ = std::fs::remove_file(folder.path("ready"));
        let mut recording = Self { child: command.spawn().expect("tracer runs") };
        until("tracer record is ready", || {
            if let Some(status) = recording.child.try_wait().expect("asked") {
                let mut errors = String::new();
                recording.child.stderr.take().expect("piped").read_to_string(&mut errors).ok();
                panic!("tracer record ended with {status}: {errors}");
            }
            std::fs::metadata(folder.path("ready")).is_ok_and(|facts| facts.len() > 0)
        });
        recording
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn stop(self) -> Output {
        self.signal("INT");
        self.ended()
    }

    /// Waits for its end; standard output is left out where it is a file.
    pub(crate) fn ended(mut self) -> Output {
        let mut output = Output { status: ExitStatus::default(), stdout: Vec::new(), stderr: Vec::new() };
        if let Some(stderr) = &mut self.child.stderr {
            stderr.read_to_end(&mut output.stderr).expect("read");
        }
        output.status = self.child.wait().expect("tracer ends");
        output
    }
}

impl Drop for Recording {
    /// A recording of a test that failed would raise the semaphores of the next one's targets.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The fields of an event line: time, pid, program, probe, and what stands behind `Seq: `.
pub(crate) fn events(log: &str) -> Vec<(u64, u32, String, String, String)> {
    let lines = log.lines().filter(|line| line.contains(" | Seq: "));
    lines
        .map(|line| {
            let rest = line.strip_prefix('[').expect("a time");
            let (time, rest) = rest.split_once("] [PID:").expect("a pid");
            let (pid, rest) = rest.split_once("] ").expect("a program");
            let (names, seq) = rest.split_once(" | Seq: ").expect("a key");
            let (program, probe) = names.trim_end().rsplit_once(' ').expect("a probe");
            (
                time.trim().parse().expect("a number"),
                pid.trim().parse().expect("a number"),
                program.trim().to_owned(),
                probe.to_owned(),
                seq.to_owned(),
            )
        })
        .collect()
}
