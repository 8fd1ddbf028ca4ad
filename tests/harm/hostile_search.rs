//! Programs that tell the loader to look in very many places, or at what is no file: the recorder looks at some of it, says so, and
//! records the others as ever.

use std::process::{Child, Command, Stdio};

use crate::target::{Target, guarded, of_process, until};
use crate::tool::{Folder, Recording, live, stderr, stdout};

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program of another user that runs until the test ends.
fn stranger(variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "env"]);
    command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
    command.args(["sleep", "1000"]).stdin(Stdio::null()).stderr(Stdio::null());
    Ended(command.spawn().expect("setpriv runs"))
}

#[test]
#[ignore = "needs root and eBPF"]
fn endless_lists_of_libraries_and_folders_cost_little() {
    let _alone = live();
    let folder = Folder::new("search");
    let made = Command::new("mkfifo").args(["-m", "666"]).arg(folder.path("pipe")).status();
    assert!(made.expect("mkfifo runs").success());
    std::fs::create_dir(folder.path("d")).expect("made");
    let here = folder.path("d");
    let here = here.to_str().expect("UTF-8");
    // As long as one variable can be; each folder is there, and is another one in the eyes of one that compares names.
    let folders: Vec<String> =
        (1..600).map(|n| format!("{here}{}", "/.".repeat(n % 80) + &"/".repeat(n / 80))).collect();
    let (mut folders, mut names) = (folders.join(":"), String::new());
    folders.truncate(120_000);
    for number in 0..15_000 {
        names += &format!("l{number}:");
    }
    let pipe = folder.path("pipe");
    let pipe = pipe.to_str().expect("UTF-8");
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "target:hit", "--wait"]);
    let _strangers = [
        stranger(&[("LD_PRELOAD", &names), ("LD_LIBRARY_PATH", &folders)]),
        stranger(&[("LD_PRELOAD", pipe)]),
        stranger(&[("LD_PRELOAD", "/dev/zero"), ("LD_AUDIT", "/dev/tty"), ("LD_LIBRARY_PATH", pipe)]),
    ];
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    target.wait_for_recorder();
    target.fire(1000);
    until("its events are in the file", || {
        let log = folder.tracer(&["replay", "run.trace"]).stdout;
        of_process(&String::from_utf8_lossy(&log), target.pid()).len() == 1000
    });
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(3), "{}", stderr(&summary));
    let said = "there are too many places to look for its libraries";
    assert!(stderr(&summary).contains(said), "{}", stderr(&summary));
    assert!(stdout(&folder.tracer(&["info", "run.trace"]), 3).contains(said));
}
