//! `tracer record --user`: the command runs as another user, the recorder does not.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::tool::{Folder, compile_c, events, live, stderr, stdout};

/// A file that every user may write.
fn writable(folder: &Folder, name: &str) -> String {
    let path = folder.write(name, "");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).expect("set");
    path.to_str().expect("UTF-8").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(path)).expect("there")
}

#[test]
#[ignore = "needs root and eBPF"]
fn the_command_has_the_users_identity_and_its_status_is_passed_on() {
    let _alone = live();
    let folder = Folder::new("user-identity");
    let said = writable(&folder, "said");
    let script = format!(
        "(id -u; id -g; id -G; echo $USER $LOGNAME $HOME; id -un; grep CapEff /proc/self/status) > {said}; exit 7"
    );
    for user in ["nobody", "65534"] {
        let output = folder.tracer(&["record", "-f", "--user", user, "--", "sh", "-c", &script]);
        assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
        let expected = "65534\n65534\n65534\nnobody nobody /nonexistent\nnobody\nCapEff:\t0000000000000000\n";
        assert_eq!(read(&said), expected, "{user}");
    }
    // Without it the command is of the recorder's own user.
    let output = folder.tracer(&["record", "-f", "--", "sh", "-c", &script]);
    assert_eq!(output.status.code(), Some(7));
    assert!(read(&said).starts_with("0\n"), "{}", read(&said));
}

const FIRES: &str = r#"
#include <stdio.h>
#include <sys/sdt.h>
#include <unistd.h>
int main(void) {
    for (long i = 0; i < 1000; i++) STAP_PROBE1(mine, fired, i);
    return getuid() == 65534 ? 3 : 4;
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn the_first_probe_of_the_users_command_is_recorded() {
    let _alone = live();
    let folder = Folder::new("user-probes");
    let program = compile_c(&folder, "fires", FIRES, &["-O2"]);
    let program = program.to_str().expect("UTF-8");
    let args = ["record", "-o", "run.trace", "-e", "mine:*", "--user", "nobody", "--", program];
    let output = folder.tracer(&args);
    assert_eq!(output.status.code(), Some(3), "the command's own: {}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let seen: Vec<String> = events(&log).into_iter().map(|event| event.4).collect();
    let all: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
    assert_eq!(seen, all);
}

#[test]
fn what_is_wrong_with_the_user_is_said() {
    let folder = Folder::new("user-errors");
    let output = folder.tracer(&["record", "--user", "no-such-user", "--", "true"]);
    let expected = "tracer: user no-such-user: not known to this system, expected a name or a number\n";
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), expected));
    assert!(!folder.path("run.trace").exists());
    let output = folder.tracer(&["record", "--user", "root"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("required arguments were not provided"), "{}", stderr(&output));
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_command_that_the_user_may_not_run_is_an_error() {
    let _alone = live();
    let folder = Folder::new("user-forbidden");
    let program = folder.write("mine", "#!/bin/sh\n");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).expect("set");
    let program = program.to_str().expect("UTF-8");
    let output = folder.tracer(&["record", "--user", "nobody", "--", program]);
    assert_eq!(output.status.code(), Some(1));
    let errors = stderr(&output);
    assert!(errors.contains("permission denied, for the user that it is to run as"), "{errors}");
}

/// What a command can learn of its caller, and do to it.
const SPY: &str = r#"
import os, sys
def attempt(name, what):
    try:
        print(name, what())
    except OSError as error:
        print(name, error.strerror)
with open(sys.argv[1], "w") as sys.stdout:
    attempt("terminal:", lambda: os.open("/dev/tty", os.O_RDWR))
    attempt("leads:", lambda: os.getsid(0) == os.getpid())
    own = sys.stdout.fileno()
    open_too = [fd for fd in range(3, 256) if fd != own and os.path.exists(f"/proc/self/fd/{fd}")]
    print("descriptors:", open_too)
    print("environment:", sorted(os.environ))
    for line in open("/proc/self/status"):
        if line.startswith(("Cap", "NoNew")) and not line.startswith("CapBnd"):
            print(line, end="")
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn the_command_is_cut_off_from_its_caller() {
    let _alone = live();
    let folder = Folder::new("user-boundary");
    std::fs::set_permissions(folder.path(""), PermissionsExt::from_mode(0o755)).expect("set");
    let (spy, said) = (folder.write("spy.py", SPY), writable(&folder, "said"));
    let shell = format!(
        "exec 7</etc/shadow 8>ready; exec {} record -f --ready-fd 8 --user nobody $0 -- /usr/bin/python3 {} {said}",
        crate::tool::TRACER,
        spy.display()
    );
    for (option, confined) in [("", 0), ("--no-new-privs", 1)] {
        // At a terminal, as a service manager starts it: with capabilities that a change of the user does not end.
        let line = format!(
            "setpriv --inh-caps +bpf,+sys_ptrace --ambient-caps +bpf,+sys_ptrace sh -c '{shell}' {}",
            if option.is_empty() { "--quiet" } else { option }
        );
        let mut command = std::process::Command::new("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command.env("SECRET", "x").env("LC_NAME", "C").env("LD_LIBRARY_PATH", "/nowhere");
        let output = command.current_dir(folder.path("")).output().expect("script runs");
        stdout(&output, 0);
        let said = read(&said);
        let environment = said.lines().find_map(|line| line.strip_prefix("environment: ")).expect("there");
        for name in ["SECRET", "LD_", "SUDO", "CARGO"] {
            assert!(!environment.contains(name), "{environment}");
        }
        for name in ["'HOME'", "'LC_NAME'", "'LOGNAME'", "'PATH'", "'SHELL'", "'USER'"] {
            assert!(environment.contains(name), "{environment}");
        }
        let rest: Vec<&str> = said.lines().filter(|line| !line.starts_with("environment")).collect();
        let none = ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|set| format!("{set}:\t0000000000000000"));
        let expected = [
            "terminal: No such device or address".to_owned(),
            "leads: True".to_owned(),
            "descriptors: []".to_owned(),
        ];
        assert_eq!(rest[..3], expected, "{said}");
        assert_eq!(rest[3..7], none, "{said}");
        assert_eq!(rest[7], format!("NoNewPrivs:\t{confined}"));
    }
}

/// Ctrl-C at the terminal does not reach another session, and still ends all of it.
#[test]
#[ignore = "needs root and eBPF"]
fn the_end_of_the_recording_ends_what_the_command_started() {
    let _alone = live();
    let folder = Folder::new("user-end");
    let said = writable(&folder, "said");
    let script = format!("sleep 1000 & echo $! >{said}; wait");
    let args = ["-o", "run.trace", "-e", "*:*", "--user", "nobody", "--", "sh", "-c", &script];
    let recording = crate::tool::Recording::start(&folder, &args);
    crate::target::until("the command runs", || read(&said).ends_with('\n'));
    let pid = read(&said).trim().to_owned();
    recording.stop();
    let is_gone = || match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    crate::target::until("the child of the command has ended", is_gone);
}
