//! The table of SECURITY.md: each row is run as another user, with exactly those capabilities.

use std::process::{Command, Output};

use crate::target::guarded;
use crate::tool::{Folder, TRACER, compile_c, events, live, stderr};

/// Runs `tracer record ARGS` with these capabilities and no others.
fn with(folder: &Folder, capabilities: &str, args: &[&str]) -> Output {
    let sets = |set: &str| {
        let given = capabilities.split_whitespace().map(|name| format!(",+{name}")).collect::<String>();
        format!("--{set}=-all{given}")
    };
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]);
    command.args([sets("inh-caps"), sets("ambient-caps"), sets("bounding-set")]);
    command.arg(folder.path("tracer")).args(["record", "-f", "-o", "run.trace", "-e", "target:hit"]);
    command.args(args).current_dir(folder.path("")).output().expect("setpriv runs")
}

/// A command that starts a program that nothing has run before, which fires 200 times.
fn folder_with_command() -> Folder {
    let folder = Folder::new("capabilities");
    folder.copy_program(TRACER, "tracer");
    let ticks = "#include <sys/sdt.h>\nint main(void) { for (long n = 0; n < 200; n++) STAP_PROBE1(target, hit, n); }\n";
    compile_c(&folder, "ticks", ticks, &["-O2"]);
    guarded(&folder, "target");
    let made = Command::new("chmod").args(["777", "."]).current_dir(folder.path("")).status();
    assert!(made.expect("chmod runs").success());
    folder
}

#[test]
#[ignore = "needs root and eBPF"]
fn each_row_of_the_table_does_what_it_says() {
    let _alone = live();
    let folder = folder_with_command();
    let command = ["--", "./ticks"];
    for capabilities in ["", "bpf", "perfmon", "sys_ptrace dac_read_search"] {
        let output = with(&folder, capabilities, &command);
        assert_eq!(output.status.code(), Some(1), "{capabilities}: {}", stderr(&output));
        assert!(stderr(&output).contains("permission denied (needs root, or CAP_BPF and CAP_PERFMON)"));
    }
    let unheld = "programs that start are not held until their probes are attached";
    for (capabilities, is_held) in [
        ("bpf perfmon", false),
        ("bpf perfmon sys_admin", true),
        ("sys_admin", true),
        ("bpf perfmon sys_ptrace dac_read_search checkpoint_restore", false),
        ("bpf perfmon sys_ptrace sys_admin", true),
    ] {
        let output = with(&folder, capabilities, &command);
        assert_eq!(output.status.code(), Some(0), "{capabilities}: {}", stderr(&output));
        assert_eq!(!stderr(&output).contains(unheld), is_held, "{capabilities}: {}", stderr(&output));
        let log = folder.tracer(&["replay", "run.trace"]);
        let count = events(&String::from_utf8_lossy(&log.stdout)).len();
        // What the command itself fires is never missed.
        assert_eq!(count, 200, "{capabilities}");
    }
    let output = with(&folder, "bpf perfmon sys_ptrace setuid setgid", &["--user", "root", "--", "./ticks"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

/// Names of capabilities that a thread has.
fn held(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapPrm:")).expect("there");
    u64::from_str_radix(line.trim(), 16).expect("a number")
}

#[test]
#[ignore = "needs root and eBPF"]
fn no_thread_keeps_what_it_does_not_need() {
    let _alone = live();
    let folder = Folder::new("dropped");
    let recording =
        crate::tool::Recording::start(&folder, &["-o", "run.trace", "-e", "target:hit", "--wait"]);
    const SYS_MODULE: u64 = 1 << 16;
    const SYS_ADMIN: u64 = 1 << 21;
    const BPF: u64 = 1 << 39;
    let threads = || {
        let folder = format!("/proc/{}/task", recording.child.id());
        let threads = std::fs::read_dir(folder).expect("it runs");
        let status = |thread: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(thread.ok()?.path().join("status")).ok()
        };
        threads.filter_map(status).map(|status| held(&status)).collect::<Vec<u64>>()
    };
    crate::target::until("each thread has given up what it does not need", || {
        threads().iter().all(|held| held & SYS_MODULE == 0)
            && threads().iter().filter(|held| **held & (BPF | SYS_ADMIN) != 0).count() == 1
    });
    let output = recording.stop();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
