//! One program that is seen in several ways is recorded once, two programs that look alike are both recorded, and a process is
//! found whichever of its threads is left.

use std::path::Path;
use std::process::Command;

use crate::target::{GUARDED, Target, guarded, of_process};
use crate::tool::{Folder, Recording, compile_c, live, stderr, stdout};

/// Runs `program` from an overlay that only the new process can see: on the program's own folder, or on a copy of it in a file
/// system of its own.
fn start_in_overlay(folder: &Folder, program: &Path, is_copied: bool) -> Target {
    let name = program.file_name().expect("a name").to_str().expect("UTF-8");
    let (lower, copy) = if is_copied {
        // The same inode, size and time in each such file system.
        ("top/l", "mkdir top/l; cp \"$1\" top/l/; touch -d @1000000000 top/l/*;")
    } else {
        (".", "")
    };
    let script = format!(
        "set -e; cd \"$0\"; mount -t tmpfs none top; mkdir top/u top/w; {copy}
         mount -t overlay none -o lowerdir={lower},upperdir=top/u,workdir=top/w merged; exec merged/{name}"
    );
    for place in ["top", "merged"] {
        std::fs::create_dir_all(folder.path(place)).expect("made");
    }
    let mut command = Command::new("unshare");
    let mut target =
        Target::start(command.args(["--mount", "sh", "-c", &script]).arg(folder.path("")).arg(program));
    target.answer();
    target
}

/// All that each target fires, once; they raise one semaphore by one.
#[track_caller]
fn check(folder: &Folder, recording: Recording, targets: &mut [Target]) {
    for target in targets.iter_mut() {
        target.wait_for_recorder();
        assert_eq!(target.fire(100), (1, 100));
    }
    let summary = recording.stop();
    let said = stderr(&summary);
    // A loaded machine may take longer to tell than the recorder waits.
    let is_late = said.contains("its events may come twice: timed out");
    let code = if is_late { 3 } else { 0 };
    assert_eq!(summary.status.code(), Some(code), "{said}");
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), code);
    for target in targets {
        let mut values: Vec<String> =
            of_process(&log, target.pid()).into_iter().map(|(_, value)| value).collect();
        if is_late {
            values.dedup();
        }
        assert!(values.into_iter().eq((0..100).map(|n: u32| n.to_string())), "{log}");
    }
}

fn record(folder: &Folder) -> Recording {
    Recording::start(folder, &["-f", "-o", "run.trace", "-e", "target:*", "--wait"])
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_and_its_overlay_are_one() {
    let _alone = live();
    let folder = Folder::new("overlay");
    let program = guarded(&folder, "app");
    let plain = || {
        let mut target = Target::start(&mut Command::new(&program));
        target.answer();
        target
    };
    let mut before = [plain(), start_in_overlay(&folder, &program, false)];
    let recording = record(&folder);
    check(&folder, recording, &mut before);
    drop(before);
    // The overlay first, and both after the recorder.
    let recording = record(&folder);
    let mut during = [start_in_overlay(&folder, &program, false), plain()];
    check(&folder, recording, &mut during);
}

#[test]
#[ignore = "needs root and eBPF"]
fn programs_with_the_same_inode_size_and_time_in_two_overlays_are_two() {
    let _alone = live();
    let folder = Folder::new("overlay-two");
    let program = guarded(&folder, "one");
    let other = compile_c(&folder, "two", &GUARDED.replace("hit", "got"), &["-O2"]);
    let size = |path: &Path| std::fs::metadata(path).expect("there").len();
    assert_eq!(size(&program), size(&other));
    // One and the same program from two file systems, and another one from a third.
    let mut targets = [&program, &program, &other].map(|path| start_in_overlay(&folder, path, true));
    let recording = record(&folder);
    check(&folder, recording, &mut targets);
}

/// A file that was written over another of the same size, with its time set back, is another program.
#[test]
#[ignore = "needs root and eBPF"]
fn a_program_in_the_place_of_another_is_found() {
    let _alone = live();
    let folder = Folder::new("replaced");
    let plain =
        compile_c(&folder, "plain", &GUARDED.replace("STAP_PROBE1(target, hit,", "(void)("), &["-O2"]);
    let probed = std::fs::read(guarded(&folder, "probed")).expect("read");
    let mut bytes = std::fs::read(plain).expect("read");
    bytes.resize(bytes.len().max(probed.len()), 0);
    let app = folder.write_program("app", &bytes);
    let set_back = || {
        let status = Command::new("touch").args(["-d", "@1000000000"]).arg(&app).status();
        assert!(status.expect("touch runs").success());
    };
    set_back();
    let mut first = Target::start(&mut Command::new(&app));
    first.answer();
    let recording = record(&folder);
    first.close();
    let mut again = probed;
    again.resize(bytes.len(), 0);
    let draft = folder.write("draft", again);
    let status = Command::new("sh").args(["-c", "cat \"$0\" > \"$1\""]).arg(&draft).arg(&app).status();
    assert!(status.expect("sh runs").success());
    set_back();
    let mut second = Target::start(&mut Command::new(&app));
    second.answer();
    check(&folder, recording, &mut [second]);
}

/// Fires from a second thread; the first has ended. Says the process id, and for a line 't' the second thread's id.
const HEADLESS: &str = r#"
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/sdt.h>
#include <unistd.h>
static void *run(void *argument) {
    (void)argument;
    printf("%d\n", gettid());
    fflush(stdout);
    for (long i = 0;; i++) { STAP_PROBE1(headless, tick, i); usleep(1000); }
}
int main(void) { pthread_t thread; pthread_create(&thread, 0, run, 0); pthread_exit(0); }
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn a_process_whose_main_thread_has_ended_is_recorded() {
    let _alone = live();
    let folder = Folder::new("headless");
    let program = compile_c(&folder, "headless", HEADLESS, &["-O2", "-pthread"]);
    let mut target = Target::start(&mut Command::new(&program));
    target.answer();
    let pid = target.pid().to_string();
    let path = format!("/proc/{pid}/exe");
    crate::target::until("the main thread has ended", || std::fs::read_link(&path).is_err());
    for filter in [["-p", &pid], ["-x", "headless"]] {
        let args = ["record", "-f", "-o", "run.trace", "-e", "headless:*", "--max-events", "50"];
        let output = folder.tracer(&[&args[..], &filter].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
        assert!(of_process(&log, target.pid()).len() >= 50 && log.contains("] headless "), "{log}");
    }
    let listed = folder.tracer(&["list", "-p", &pid]);
    assert!(stdout(&listed, 0).contains("headless:tick"), "{}", stderr(&listed));
}
