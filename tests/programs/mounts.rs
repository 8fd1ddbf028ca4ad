//! Programs on file systems that are mounted while a recording runs: recorded from the first probe, or the trace says that they were not
//! held until then.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::target::until;
use crate::tool::{Folder, Recording, compile_c, events, live, stderr, stdout};

/// Fires ten times, first thing, says so and ends.
const TICKS: &str = r#"
#include <stdio.h>
#include <sys/sdt.h>
int main(void) {
    for (int i = 0; i < 10; i++) STAP_PROBE1(mounted, tick, i);
    puts("done");
    return 0;
}
"#;

/// The program with its libraries, which are on a file system that is held from the start, and one without.
const FORMS: [(&str, &[&str]); 2] = [("dynamic", &["-O2"]), ("static", &["-O2", "-static"])];

/// What mounts a file system on the folder `place`, and puts the program `ticks` there.
const MOUNTS: [(&str, &str); 3] = [
    ("tmpfs", "mount -t tmpfs none place && cp ticks place"),
    ("bind", "cp ticks below && mount --bind below place"),
    (
        "overlay",
        "cp ticks below && mount -t tmpfs none above && mkdir above/upper above/work && \
         mount -t overlay -o lowerdir=below,upperdir=above/upper,workdir=above/work none place",
    ),
];

/// A folder with the program in one of its forms, where a file system can be mounted.
struct Place(Folder);

impl Place {
    fn new(name: &str, flags: &[&str]) -> Self {
        let folder = Folder::new(name);
        compile_c(&folder, "ticks", TICKS, flags);
        ["place", "below", "above"]
            .iter()
            .for_each(|name| std::fs::create_dir(folder.path(name)).expect("made"));
        Self(folder)
    }

    /// Runs a command there.
    fn run(&self, words: &[&str]) {
        let status = Command::new(words[0]).args(&words[1..]).current_dir(self.0.path("")).status();
        assert!(status.expect("it runs").success(), "{words:?}");
    }

    fn record(&self) -> Recording {
        Recording::start(&self.0, &["-f", "-o", "run.trace", "-e", "mounted:*", "--wait"])
    }

    /// Whether all that one run of the program fired was recorded. If not, the recorder has to say so, and the trace.
    #[track_caller]
    fn is_whole(&self, summary: &Output) -> bool {
        const SAID: &str = "not held until its probes were attached";
        let code = summary.status.code().expect("a code");
        let count = events(&stdout(&self.0.tracer(&["replay", "run.trace"]), code)).len();
        if code == 0 {
            assert_eq!(count, 10, "missed in silence: {}", stderr(summary));
            return true;
        }
        assert_eq!(code, 3, "{}", stderr(summary));
        assert!(stderr(summary).contains(SAID), "{}", stderr(summary));
        assert!(stdout(&self.0.tracer(&["info", "run.trace"]), 3).contains(SAID));
        false
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for name in ["place", "above"] {
            // Nothing may be mounted.
            let mut command = Command::new("umount");
            let _ = command.args(["-l", "-q"]).arg(self.0.path(name)).stderr(Stdio::null()).status();
        }
    }
}

/// Whether the kernel asks before a program of the file system of `path` runs.
fn is_held(recording: &Recording, path: &Path) -> bool {
    let id = recording.child.id();
    let mut device = String::new();
    let number = std::fs::metadata(path).expect("there").dev();
    // As the kernel prints its own form of the number.
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    write!(device, "sdev:{:x} ", major << 20 | minor).expect("written");
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let marks = |child: &str| {
        let files = std::fs::read_dir(format!("/proc/{child}/fdinfo")).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect::<String>()
    };
    children.split_whitespace().map(marks).any(|marks| marks.contains(&device))
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_on_what_was_mounted_a_moment_before_is_recorded_from_its_first_probe() {
    let _alone = live();
    for (form, flags) in FORMS {
        for (kind, mount) in MOUNTS {
            let place = Place::new(kind, flags);
            let recording = place.record();
            place.run(&["sh", "-ec", &format!("{mount} && place/ticks")]);
            let is_whole = place.is_whole(&recording.stop());
            // The kernel asks for its loader in any case; a static one has none.
            assert!(is_whole || form == "static", "{form} on {kind}");
        }
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_without_libraries_is_held_as_well_once_its_file_system_was_noticed() {
    let _alone = live();
    for (kind, mount) in MOUNTS {
        let place = Place::new(kind, FORMS[1].1);
        let recording = place.record();
        place.run(&["sh", "-ec", mount]);
        let file = place.0.path("place");
        until("programs there are held", || is_held(&recording, &file));
        place.run(&["place/ticks"]);
        assert!(place.is_whole(&recording.stop()), "{kind}");
    }
}

/// Mounts a file system that no other process sees, copies a program to it, and runs it. In between it runs no other.
const ALONE: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <unistd.h>
int main(int count, char **words) {
    int from = open(words[1], O_RDONLY | O_CLOEXEC);
    (void)count;
    if (unshare(CLONE_NEWNS) || mount("none", "/", 0, MS_REC | MS_PRIVATE, 0)) return 1;
    if (mount("none", "place", "tmpfs", 0, 0)) return 2;
    int to = open("place/ticks", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    while (sendfile(to, from, 0, 1 << 20) > 0) {}
    close(to);
    execl("place/ticks", "ticks", (char *)0);
    return 3;
}
"#;

/// Nothing tells of what is mounted in another namespace. The program may be over before the recorder can look at its file, which is gone
/// with it then.
#[test]
#[ignore = "needs root and eBPF"]
fn a_program_on_what_was_mounted_in_another_namespace_is_never_missed_in_silence() {
    let _alone = live();
    for (form, flags) in FORMS {
        let place = Place::new(form, flags);
        compile_c(&place.0, "alone", ALONE, &["-O2"]);
        let command = ["record", "-f", "-o", "run.trace", "-e", "mounted:*", "--", "./alone", "ticks"];
        for _ in 0..3 {
            let recording = place.record();
            place.run(&["./alone", "ticks"]);
            let is_whole = place.is_whole(&recording.stop());
            assert!(is_whole || form == "static", "{form}");
            let is_whole = place.is_whole(&place.0.tracer(&command));
            assert!(is_whole || form == "static", "{form} as a command");
        }
    }
}

/// What another process serves is not held at all: the responder would wait for that process.
const SERVER: &str = include_str!("../../scripts/adversary/silent.c");

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_on_what_another_process_serves_is_never_missed_in_silence() {
    let _alone = live();
    for (form, flags) in FORMS {
        for kind in ["exe", "overlay"] {
            let place = Place::new(kind, flags);
            compile_c(&place.0, "silent", SERVER, &["-O1"]);
            let recording = place.record();
            let mut command = Command::new("unshare");
            command.args(["--mount", "./silent", "/dev/fuse", "place", "ticks", kind]);
            command.current_dir(place.0.path("")).stdin(Stdio::null()).stdout(Stdio::piped());
            let mut server = command.spawn().expect("unshare runs");
            let mut line = String::new();
            BufReader::new(server.stdout.take().expect("piped")).read_line(&mut line).expect("read");
            assert_eq!(line, "done\n", "{form} on {kind}");
            let summary = recording.stop();
            server.kill().expect("killed");
            server.wait().expect("gone");
            let is_whole = place.is_whole(&summary);
            assert!(is_whole || form == "static", "{form} on {kind}");
        }
    }
}
