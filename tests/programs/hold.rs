//! Programs are held before their first instruction until their probes are attached, and nothing notices: no parent, shell or
//! supervisor, and no process that has nothing to do with the recording.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::target::until;
use crate::tool::{Folder, Recording, TRACER, answer, compile_c, events, is_only_late, live, stderr, stdout};

/// Fires ten times, first thing, and ends.
const TICKS: &str = r#"
#include <sys/sdt.h>
int main(void) { for (int i = 0; i < 10; i++) STAP_PROBE1(held, tick, i); return 0; }
"#;

/// A folder that every user may look into, with the program `ticks`.
fn with_ticks(name: &str) -> Folder {
    let folder = Folder::new(name);
    compile_c(&folder, "ticks", TICKS, &["-O2"]);
    std::fs::set_permissions(folder.path(""), PermissionsExt::from_mode(0o755)).expect("set");
    folder
}

/// Number of events of a trace.
fn count(folder: &Folder) -> usize {
    events(&answer(&folder.tracer(&["replay", "run.trace"]))).len()
}

fn record(folder: &Folder, command: &[&str]) -> std::process::Output {
    folder.tracer(&[&["record", "-q", "-f", "-o", "run.trace", "-e", "held:*", "--"], command].concat())
}

#[test]
#[ignore = "needs root and eBPF"]
fn every_way_to_start_a_program_is_recorded_from_its_first_probe() {
    let _alone = live();
    let folder = with_ticks("ways");
    let ticks = folder.path("ticks");
    let ticks = ticks.to_str().expect("UTF-8");
    let own_session =
        format!("import subprocess; subprocess.run(['{ticks}'], start_new_session=True, check=True)");
    let at_terminal = format!("script -qec {ticks} /dev/null");
    let by_shell = format!("set -m; {ticks}; {ticks} & wait");
    let [by_proc, by_dev] =
        ["/proc/self/fd", "/dev/fd"].map(|folder| format!("exec 4<{ticks}; exec {folder}/4"));
    let ways: [(&[&str], usize); 10] = [
        (&[ticks], 10),
        (&["runuser", "-u", "nobody", "--", ticks], 10),
        (&["setsid", "-w", ticks], 10),
        (&["sh", "-c", &at_terminal], 10),
        (&["python3", "-c", &own_session], 10),
        (&["bash", "-c", &by_shell], 20),
        (&["unshare", "--mount", ticks], 10),
        (&["env", "-i", ticks], 10),
        (&["sh", "-c", &by_proc], 10),
        (&["sh", "-c", &by_dev], 10),
    ];
    for (way, expected) in ways {
        let output = record(&folder, way);
        assert_eq!(output.status.code(), Some(0), "{way:?}: {}", stderr(&output));
        assert_eq!(count(&folder), expected, "{way:?}: {}", stderr(&output));
    }
}

/// Runs a program, and ends with 1 if it is told of anything but the program's end.
const PARENT: &str = r#"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile sig_atomic_t told, wrong;
static void on_child(int number, siginfo_t *info, void *context) {
    (void)number; (void)context;
    told++;
    if (info->si_code != CLD_EXITED) wrong++;
}
int main(int count, char **words) {
    struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART};
    (void)count;
    sigaction(SIGCHLD, &action, 0);
    for (int i = 0; i < 20; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) { execv(words[1], words + 1); _exit(9); }
        if (waitpid(child, &status, WUNTRACED | WCONTINUED) != child || !WIFEXITED(status)) return 1;
    }
    return wrong ? 2 : told ? 0 : 3;
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn a_parent_is_told_of_nothing_but_the_end() {
    let _alone = live();
    let folder = with_ticks("parent");
    compile_c(&folder, "parent", PARENT, &["-O2"]);
    let output = record(&folder, &["./parent", "./ticks"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(count(&folder), 200);
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_that_nothing_ran_before_is_recorded_from_its_first_probe_without_a_command() {
    let _alone = live();
    let folder = with_ticks("unseen");
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "held:*", "--wait"]);
    for name in ["one", "two", "three"] {
        let copy = folder.copy_program(folder.path("ticks"), name);
        assert!(Command::new(copy).status().expect("it runs").success());
    }
    let output = recording.stop();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(count(&folder), 30);
}

/// Copies this program to a file in memory and runs it from there.
const FROM_MEMORY: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>
int main(int count, char **words) {
    int from = open(words[1], O_RDONLY), to = memfd_create("ticks", MFD_CLOEXEC);
    while (sendfile(to, from, 0, 1 << 20) > 0) {}
    char *none[] = {"ticks", 0};
    (void)count;
    fexecve(to, none, none + 1);
    return 9;
}
"#;

/// The kernel does not ask about files in memory, but about the loader of what is in them.
#[test]
#[ignore = "needs root and eBPF"]
fn a_program_in_memory_is_recorded_from_its_first_probe() {
    let _alone = live();
    let folder = with_ticks("memory");
    compile_c(&folder, "from_memory", FROM_MEMORY, &["-O2"]);
    let output = record(&folder, &["./from_memory", "./ticks"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(count(&folder), 10, "{}", stderr(&output));
}

/// Nothing is asked about a static one. It may be over before it could be looked at.
#[test]
#[ignore = "needs root and eBPF"]
fn a_static_program_in_memory_is_not_missed_in_silence() {
    let _alone = live();
    let folder = Folder::new("static");
    compile_c(&folder, "ticks", TICKS, &["-O2", "-static"]);
    compile_c(&folder, "from_memory", FROM_MEMORY, &["-O2"]);
    let output =
        folder.tracer(&["record", "-o", "run.trace", "-e", "held:*", "--", "./from_memory", "./ticks"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(said.matches("not held until its probes were attached").count(), 1, "{said}");
    let info = stdout(&folder.tracer(&["info", "run.trace"]), 3);
    assert!(info.contains("not held until its probes were attached"), "{info}");
}

/// Fires in its constructor, before the program's own code.
const LIBRARY: &str = r#"
#include <sys/sdt.h>
__attribute__((constructor)) static void begin(void) { STAP_PROBE1(held, constructor, VALUE); }
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn a_library_that_the_environment_names_is_recorded_from_its_first_probe() {
    let _alone = live();
    let folder = with_ticks("preload");
    for (name, value) in [("one.so", "-DVALUE=1"), ("two.so", "-DVALUE=2")] {
        compile_c(&folder, name, LIBRARY, &["-O2", "-shared", "-fPIC", value]);
    }
    let script =
        "./ticks; LD_PRELOAD=./one.so ./ticks; LD_PRELOAD=./two.so ./ticks; LD_PRELOAD=./one.so ./ticks";
    let output = record(&folder, &["sh", "-c", script]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let values = events(&log).into_iter().filter(|event| event.3 == "held:constructor").map(|event| event.4);
    assert_eq!(values.collect::<Vec<_>>(), ["1", "2", "1"]);
}

/// Starts as many processes as its first word says, which all run the program that its second word names at once.
const STORM: &str = r#"
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int count, char **words) {
    int gate[2], status, failed = 0;
    if (pipe(gate)) return 2;
    for (int i = atoi(words[1]); i > 0; i--) {
        if (fork()) continue;
        char byte;
        close(gate[1]);
        read(gate[0], &byte, 1);
        execl(words[2], words[2], (char *)0);
        _exit(9);
    }
    close(gate[0]);
    close(gate[1]);
    while (wait(&status) > 0) failed += status != 0;
    return failed != 0;
}
"#;

/// A program that none ran before, by more processes at once than the recorder is told of at a time. On a busy machine some may not wait
/// for as long as it takes; that is said, and only if something may be missing.
#[test]
#[ignore = "needs root and eBPF"]
fn very_many_programs_that_begin_at_once_are_held() {
    const PROCESSES: usize = 300;
    let _alone = live();
    let folder = with_ticks("storm");
    compile_c(&folder, "storm", STORM, &["-O2", "-w"]);
    let is_whole = (0..10).any(|round| {
        let program = format!("./ticks{round}");
        folder.copy_program(folder.path("ticks"), &program);
        let output = record(&folder, &["./storm", &PROCESSES.to_string(), &program]);
        let said = stderr(&output);
        let code = if said.contains("not recorded: ") { 3 } else { 0 };
        assert_eq!(output.status.code(), Some(code), "{said}");
        let log = stdout(&folder.tracer(&["replay", "run.trace"]), code);
        let count = events(&log).len();
        assert!(count == 10 * PROCESSES || code == 3 && is_only_late(&said), "{count}: {said}");
        code == 0
    });
    assert!(is_whole, "some of them were not held each time");
}

/// Longest time that a program took to run, while `recorder` is stopped.
fn longest_while_stopped(folder: &Folder, recorder: &Recording, programs: &[String]) -> Duration {
    recorder.signal("STOP");
    let begun = Instant::now();
    let mut longest = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(10) {
        for program in programs {
            let at = Instant::now();
            let status = Command::new(program).current_dir(folder.path("")).stdin(Stdio::null()).status();
            assert!(status.expect("it runs").success(), "{program}");
            longest = longest.max(at.elapsed());
        }
    }
    recorder.signal("CONT");
    longest
}

/// The bound is a second, as the help says; the machine may be busy.
#[test]
#[ignore = "needs root and eBPF"]
fn a_recorder_that_is_stopped_delays_no_program_for_longer_than_the_bound() {
    let _alone = live();
    let folder = with_ticks("stopped");
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "held:*", "--wait"]);
    let mut programs = vec!["true".to_owned(), "./ticks".to_owned()];
    for n in 0..20 {
        folder.copy_program(folder.path("ticks"), format!("unseen{n}"));
        programs.push(format!("./unseen{n}"));
    }
    let longest = longest_while_stopped(&folder, &recording, &programs);
    println!("longest: {longest:?}");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    let output = recording.stop();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    // Counted, not named one by one.
    assert!(!said.contains("not held until its probes"), "{said}");
    assert_eq!(said.matches("started while the recorder was stopped or busy").count(), 1, "{said}");
}

/// The kernel's programs see other pids there: what was not held cannot be told from what was, so all that was let go is counted.
#[test]
#[ignore = "needs root and eBPF"]
fn inside_of_a_pid_namespace_programs_that_were_not_held_are_counted() {
    let _alone = live();
    let folder = with_ticks("stopped-inside");
    let apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let args = ["-o", "run.trace", "-e", "held:*", "--wait", "--duration", "8s"];
    let recording = Recording::start_by(&folder, &apart, &args);
    let id = recording.child.id();
    let recorder = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("there");
    let signal = |name: &str| {
        let status = Command::new("kill").args(["-s", name, recorder.trim()]).status();
        assert!(status.expect("kill runs").success());
    };
    signal("STOP");
    for _ in 0..3 {
        assert!(Command::new(folder.path("ticks")).status().expect("it runs").success());
    }
    signal("CONT");
    let output = recording.ended();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("started while the recorder was stopped or busy"), "{said}");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_recorder_that_is_killed_lets_every_program_run() {
    let _alone = live();
    let folder = with_ticks("killed");
    let mut recording = Recording::start(&folder, &["-o", "run.trace", "-e", "held:*", "--wait"]);
    let id = recording.child.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("there");
    let children: Vec<PathBuf> =
        children.split_whitespace().map(|child| Path::new("/proc").join(child)).collect();
    let is_responder = |child: &PathBuf| {
        std::fs::read_to_string(child.join("comm")).is_ok_and(|name| name == "exec-responder\n")
    };
    assert!(children.iter().any(is_responder), "{children:?}");
    recording.signal("STOP");
    // One waits when the recorder is killed.
    let mut waits = Command::new(folder.path("ticks")).spawn().expect("it runs");
    recording.child.kill().expect("killed");
    recording.child.wait().expect("gone");
    assert!(waits.wait().expect("ended").success());
    until("the responder and the other helpers have ended", || {
        children.iter().all(|child| std::fs::read(child.join("maps")).map_or(true, |maps| maps.is_empty()))
    });
}

#[test]
#[ignore = "needs root and eBPF"]
fn without_the_right_to_hold_it_says_so_once_and_harms_nothing() {
    let _alone = live();
    let folder = with_ticks("no-right");
    compile_c(&folder, "parent", PARENT, &["-O2"]);
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", TRACER]);
    // Its file is attached to soon after it was run for the first time.
    let script = "for n in $(seq 50); do ./parent ./ticks; done";
    command.args(["record", "-o", "run.trace", "-e", "held:*", "--", "sh", "-c", script]);
    let output = command.current_dir(folder.path("")).output().expect("setpriv runs");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let said = stderr(&output);
    assert_eq!(said.matches("needs CAP_SYS_ADMIN").count(), 1, "{said}");
    assert_eq!(said.matches("ms after a process that ran had mapped it").count(), 1, "{said}");
    // How many depends on how soon the file is found.
    assert!(count(&folder) > 0, "{said}");
}

/// The folder of a new control group that can be frozen: the file that does it, what freezes, and what thaws. `None` where this
/// system has none.
fn freezer() -> Option<(PathBuf, &'static str, &'static str, &'static str)> {
    let name = format!("tracer-test-{}", std::process::id());
    for place in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/freezer"] {
        let folder = PathBuf::from(place).join(&name);
        if std::fs::create_dir(&folder).is_err() {
            continue;
        }
        for (file, freeze, thaw) in [("cgroup.freeze", "1", "0"), ("freezer.state", "FROZEN", "THAWED")] {
            if folder.join(file).exists() && folder.join("cgroup.procs").exists() {
                return Some((folder, file, freeze, thaw));
            }
        }
        let _ = std::fs::remove_dir(&folder);
    }
    None
}

/// As systems do with the sessions of users before they sleep.
#[test]
#[ignore = "needs root and eBPF"]
fn a_recorder_whose_control_group_is_frozen_holds_nothing_for_longer_than_the_bound() {
    let _alone = live();
    let Some((group, file, freeze, thaw)) = freezer() else {
        eprintln!("skipped: needs a control group that can be frozen");
        return;
    };
    let folder = with_ticks("frozen");
    let enter = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", group.display());
    let args = ["-o", "run.trace", "-e", "held:*", "--wait"];
    let recording = Recording::start_by(&folder, &["sh", "-c", &enter, "sh"], &args);
    std::fs::write(group.join(file), freeze).expect("frozen");
    let mut program = Command::new(folder.path("ticks"));
    let ran = std::thread::spawn(move || program.status());
    let begun = Instant::now();
    while !ran.is_finished() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let is_over = ran.is_finished();
    std::fs::write(group.join(file), thaw).expect("thawed");
    assert!(ran.join().expect("no panic").expect("it runs").success());
    assert!(is_over, "the program waited until the recorder was thawed");
    recording.stop();
    let _ = std::fs::remove_dir(group);
}
