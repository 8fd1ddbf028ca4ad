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
    assert!(errors.contains("cannot start the command: Permission denied"), "{errors}");
}
