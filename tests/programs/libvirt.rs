//! libvirt: remote calls from virsh to libvirtd and back, a path between processes that nobody here wrote.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::target::until;
use crate::tool::{Folder, Recording, live, stderr, stdout};

const DAEMON: &str = "/usr/sbin/libvirtd";
const CLIENT: &str = "/usr/bin/virsh";
/// The daemon serves an ordinary user, and needs no device of the machine.
const NOBODY: u32 = 65_534;

/// A daemon of its own, with its files and its socket in a folder.
struct Daemon {
    child: Child,
    home: PathBuf,
}

impl Daemon {
    fn start(folder: &Folder) -> Self {
        let home = folder.path("home");
        std::fs::create_dir(&home).expect("a folder");
        chown(&home, Some(NOBODY), Some(NOBODY)).expect("given away");
        let child = command(DAEMON, &home).spawn().expect("libvirtd runs");
        let daemon = Self { child, home };
        until("libvirtd listens", || daemon.socket().exists());
        daemon
    }

    fn socket(&self) -> PathBuf {
        self.home.join("libvirt/libvirt-sock")
    }

    /// Lets virsh ask for the virtual machine that is made up for tests.
    fn ask(&self) {
        let address = format!("test+unix:///default?socket={}", self.socket().display());
        let mut client = command(CLIENT, &self.home);
        let output = client.args(["-c", &address, "list --all; dominfo test; nodeinfo; net-list; pool-list"]);
        let output = output.output().expect("virsh runs");
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(program: &str, home: &Path) -> Command {
    assert!(Path::new(program).exists(), "needs the packages libvirt-daemon and libvirt-clients");
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", home);
    command.env("XDG_RUNTIME_DIR", home).current_dir(home).uid(NOBODY).gid(NOBODY);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
#[ignore = "needs root, eBPF and libvirt 9"]
fn calls_go_from_virsh_to_libvirtd_and_back() {
    let _alone = live();
    let folder = Folder::new("libvirt");
    let daemon = Daemon::start(&folder);
    let recording = Recording::start(&folder, &["-q", "-o", "run.trace", "--preset", "libvirt"]);
    (0..8).for_each(|_| daemon.ask());
    let output = recording.stop();
    assert!(output.status.success(), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let fired = |probe: &str| log.lines().filter(|line| line.contains(&format!(":{probe} "))).count();
    let calls = fired("rpc_client_msg_tx_queue");
    assert!(calls >= 8 * 10, "{calls} calls");
    let report = stdout(&folder.tracer(&["analyze", "run.trace", "--format", "json"]), 0);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    for stage in report["stages"].as_array().expect("a list") {
        assert_eq!((&stage["complete"], &stage["complete_share"]), (&calls.into(), &1.0.into()), "{stage}");
    }
    // Each call is served by the daemon while its client waits.
    let path = &report["path"];
    let names: Vec<&str> =
        path["steps"].as_array().expect("a list").iter().filter_map(|step| step["name"].as_str()).collect();
    assert_eq!(names, ["call begin -> serve", "serve", "serve -> call end"], "{path}");
    assert_eq!((&path["buffers"], &path["follow_share"]), (&calls.into(), &1.0.into()));
    // Calls differ in what they do, and a busy machine may hold them up; none is lost, repeated or overtaken.
    let of_buffers = ["lost", "missed", "skipped", "duplicated", "overtaken", "inverted"];
    let findings = report["findings"].as_array().expect("a list");
    let is_wrong = |it: &&Value| it["kind"].as_str().is_some_and(|kind| of_buffers.contains(&kind));
    let wrong: Vec<&Value> = findings.iter().filter(is_wrong).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let text = stdout(&folder.tracer(&["analyze", "run.trace"]), 0);
    assert!(text.contains("no verdict: no stage begins and ends on one thread"), "{text}");
}
