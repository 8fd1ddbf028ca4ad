//! A thread that is kept inside its probe: the memory of an argument is brought in by something that does not answer. The recording ends
//! all the same, its trace is complete before that, and tells of the firing that is missing.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::target::{Target, guarded, of_process, until};
use crate::tool::{Folder, Recording, compile_c, live, stderr, stdout};

/// For a line of input, a second thread fires with a string, and with a number, whose memory `userfaultfd` is to bring in; that is done
/// only for a second line. Answers when both have fired.
const STUCK: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sdt.h>
#include <sys/syscall.h>
#include <unistd.h>
static char *text;
static void *fire(void *number) {
    (void)number;
    STAP_PROBE1(stuck, text, text);
    return 0;
}
int main(void) {
    char line[16];
    pthread_t thread;
    setvbuf(stdout, 0, _IOLBF, 0);
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API};
    text = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register all = {.range = {(unsigned long)text, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &all)) return 1;
    puts("runs");
    if (!fgets(line, sizeof line, stdin)) return 2;
    if (pthread_create(&thread, 0, fire, 0)) return 3;
    if (!fgets(line, sizeof line, stdin)) return 4;
    struct uffdio_zeropage zero = {.range = all.range};
    if (ioctl(fd, UFFDIO_ZEROPAGE, &zero)) return 5;
    pthread_join(thread, 0);
    puts("done");
    return 0;
}
"#;

/// A recording of a program that gets stuck. It is dropped last: a recorder that waits for the program has ended then.
struct Both {
    stuck: Target,
    recording: Recording,
}

impl Both {
    fn start(folder: &Folder, mode: &str) -> Self {
        let program = compile_c(folder, "stuck", STUCK, &["-O1", "-pthread"]);
        let mut stuck = Target::start(&mut Command::new(program));
        assert_eq!(stuck.answer(), "runs");
        let args =
            ["-o", "run.trace", "-e", "stuck:text(str)", "-e", "target:hit", "--wait", "--attach", mode];
        let mut both = Self { stuck, recording: Recording::start(folder, &args) };
        both.stuck.tell("fire");
        until("a thread waits in its probe", || sleeps_in(both.stuck.pid(), "bpf_copy_from_user"));
        both
    }
}

/// Whether a thread of process `pid` waits in a function of the kernel.
fn sleeps_in(pid: u32, function: &str) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten();
    let stack = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("stack"));
    threads.map(stack).any(|stack| stack.is_ok_and(|stack| stack.contains(function)))
}

/// Whether the process has ended.
fn has_ended(child: &mut Child) -> bool {
    child.try_wait().expect("asked").is_some()
}

#[test]
#[ignore = "needs root and eBPF"]
fn memory_that_never_comes_keeps_no_recording_from_ending() {
    let _alone = live();
    for mode in ["multi", "perf"] {
        let folder = Folder::new("stuck");
        let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
        target.answer();
        let mut both = Both::start(&folder, mode);
        target.fire(1000);
        both.recording.signal("INT");
        let is_complete = || folder.tracer(&["verify", "run.trace"]).status.code() == Some(0);
        until("the trace is complete", is_complete);
        until("the recording has ended", || has_ended(&mut both.recording.child));
        let Both { mut stuck, recording } = both;
        let summary = recording.ended();
        let said = stderr(&summary);
        assert_eq!(summary.status.code(), Some(3), "{said}");
        let program = folder.path("stuck").display().to_string();
        let missing = format!("1 event in {program} (process {}): fired, and not recorded", stuck.pid());
        assert!(said.contains(&missing), "{said}");
        assert!(said.contains("detaching goes on") && !said.contains("never fired"), "{said}");
        assert!(stdout(&folder.tracer(&["info", "run.trace"]), 3).contains(&missing));
        let log = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
        assert_eq!(of_process(&log, target.pid()).len(), 1000);
        // The thread goes on as if nothing had been, and what was left is detached then.
        assert_eq!(stuck.ask("go on"), "done");
        until("nothing is attached", || target.fire(0).0 == 0);
    }
}

/// What waits for a moment only is recorded.
#[test]
#[ignore = "needs root and eBPF"]
fn memory_that_comes_late_costs_nothing() {
    let _alone = live();
    let folder = Folder::new("late");
    let Both { mut stuck, recording } = Both::start(&folder, "auto");
    assert_eq!(stuck.ask("go on"), "done");
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert_eq!(of_process(&log, stuck.pid()), [("stuck:text".to_owned(), "- | arg0: \"\"".to_owned())]);
}

/// The kernel lets nobody detach anything that sleeps while a thread is kept inside of a probe, whichever tool's it is.
#[test]
#[ignore = "needs root and eBPF"]
fn doctor_ends_while_a_thread_is_stuck_in_a_probe() {
    let _alone = live();
    let folder = Folder::new("doctor-stuck");
    let Both { mut stuck, recording } = Both::start(&folder, "auto");
    let mut command = folder.command(&["doctor"]);
    let mut doctor = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tracer runs");
    until("doctor has ended", || has_ended(&mut doctor));
    let output = doctor.wait_with_output().expect("read");
    let text = stdout(&output, 3);
    assert!(text.contains("limit    trials"), "{text}");
    assert_eq!(stuck.ask("go on"), "done");
    drop(recording);
}

/// The probe, in a library.
const LIBRARY: &str = r#"
#include <sys/sdt.h>
void fire_text(char *text) { STAP_PROBE1(stuck, text, text); }
"#;

/// A file that is written to while a thread is kept inside of one of its probes: detaching from it takes until the thread goes on.
#[test]
#[ignore = "needs root and eBPF"]
fn detaching_that_comes_to_no_end_is_said_at_once_and_keeps_no_other() {
    let _alone = live();
    let folder = Folder::new("undetached");
    let library = compile_c(&folder, "libfire.so", LIBRARY, &["-O1", "-shared", "-fPIC"]);
    let main = STUCK.replace("STAP_PROBE1(stuck, text, text);", "fire_text(text);");
    let main = format!("void fire_text(char *text);\n{main}");
    let flags = ["-O1", "-pthread", "-Wl,--no-as-needed,-rpath,$ORIGIN", library.to_str().expect("UTF-8")];
    let program = compile_c(&folder, "stuck", &main, &flags);
    let mut stuck = Target::start(&mut Command::new(program));
    assert_eq!(stuck.answer(), "runs");
    let args = ["-o", "run.trace", "-e", "stuck:text(str)", "-e", "target:hit", "--wait"];
    let mut both = Both { recording: Recording::start(&folder, &args), stuck };
    let stuck = &mut both.stuck;
    stuck.tell("fire");
    until("a thread waits in its probe", || sleeps_in(stuck.pid(), "bpf_copy_from_user"));
    // What is mapped stays as it is.
    let mut file = std::fs::File::options().append(true).open(&library).expect("opened");
    file.write_all(b"more").expect("written");
    let said = || String::from_utf8_lossy(&folder.tracer(&["info", "run.trace"]).stdout).into_owned();
    until("it is said", || said().contains("libfire.so: detaching did not come to an end"));
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    until("another program is attached to", || target.fire(1).0 == 1);
    assert_eq!(stuck.ask("go on"), "done");
    let summary = both.recording.stop();
    assert_eq!(summary.status.code(), Some(3), "{}", stderr(&summary));
    assert!(stderr(&summary).contains("tracer-detacher"), "{}", stderr(&summary));
}
