//! Files that do not answer: what another user serves, and makes no reply to once a program runs from it. It costs a line, and neither
//! the recording nor its end.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::target::{Target, guarded, of_process, until};
use crate::tool::{Folder, Recording, compile_c, live, stderr, stdout};

const SERVER: &str = include_str!("../../scripts/adversary/silent.c");
const WAITING: &str = include_str!("../../scripts/adversary/waiting.c");

/// A program whose file is served, and will not be any more.
struct Served {
    server: Child,
}

impl Served {
    /// Runs it, as another user in a user namespace of its own unless it is of the first one.
    fn start(folder: &Folder, kind: &str) -> Self {
        let app = compile_c(folder, "waiting", WAITING, &["-O1"]);
        let server = compile_c(folder, "silent", SERVER, &["-O1"]);
        let (device, place) = (folder.path("fuse"), folder.path("served"));
        let script = "mknod -m 666 fuse c 10 229; mkdir -m 777 served; chmod 777 .";
        let made = Command::new("sh").args(["-ec", script]).current_dir(folder.path("")).status();
        assert!(made.expect("sh runs").success());
        let stranger = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Urm"];
        let prefix = if kind == "overlay" { &stranger[..] } else { &["unshare", "-m"] };
        let mut command = Command::new(prefix[0]);
        command.args(&prefix[1..]).args([&server, &device, &place, &app]).arg(kind);
        let mut server = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("unshare runs");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("piped")).read_line(&mut line).expect("read");
        assert_eq!(line, "running\n", "{kind}: the program runs from its file");
        Self { server }
    }

    /// From now on there are no answers.
    fn hush(&self) {
        let pid = self.server.id().to_string();
        let status = Command::new("kill").args(["-s", "USR1", &pid]).status();
        assert!(status.expect("kill runs").success());
        let pending =
            |line: &str| line.strip_prefix("SigPnd:").is_some_and(|set| set.trim() != "0000000000000000");
        until("the server has heard it", || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
            !status.lines().any(pending)
        });
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // With it end the waiting for its file, and the program.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_file_that_does_not_answer_costs_a_line() {
    let _alone = live();
    for kind in ["exe", "overlay"] {
        let folder = Folder::new("silent");
        let served = Served::start(&folder, kind);
        served.hush();
        let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
        target.answer();
        let output = folder.tracer(&["list", "-e", "target:*"]);
        assert!(
            stderr(&output).contains("/exe: a file of app that did not answer in 2 s"),
            "{}",
            stderr(&output)
        );
        let listed = stdout(&output, 3);
        assert!(listed.contains(&format!("(process {})", target.pid())), "{listed}");

        let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "target:hit"]);
        target.wait_for_recorder();
        target.fire(1000);
        let summary = recording.stop();
        assert_eq!(summary.status.code(), Some(3), "{kind}: {}", stderr(&summary));
        let said = "a file of app that did not answer in 2 s";
        assert!(stderr(&summary).contains(said), "{kind}: {}", stderr(&summary));
        assert!(stdout(&folder.tracer(&["info", "run.trace"]), 3).contains(said));
        let log = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
        assert_eq!(of_process(&log, target.pid()).len(), 1000, "{kind}");
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_file_that_goes_silent_while_it_is_recorded_keeps_nothing_from_ending() {
    let _alone = live();
    let folder = Folder::new("hushed");
    let served = Served::start(&folder, "overlay");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "target:hit"]);
    served.hush();
    target.wait_for_recorder();
    target.fire(1000);
    // Another program starts while the recorder looks at it.
    let mut second = Target::start(&mut Command::new(guarded(&folder, "second")));
    second.answer();
    second.wait_for_recorder();
    second.fire(500);
    let summary = recording.stop();
    assert!(matches!(summary.status.code(), Some(0 | 3)), "{}", stderr(&summary));
    let log = String::from_utf8(folder.tracer(&["replay", "run.trace"]).stdout).expect("UTF-8");
    assert_eq!((of_process(&log, target.pid()).len(), of_process(&log, second.pid()).len()), (1000, 500));
}
