//! `tracer doctor` as a process, with and without privilege.

use std::process::Command;

use crate::tool::{Folder, TRACER, live, stderr, stdout};

/// Verdict and findings of the checks whose names begin with `name`.
fn checks<'a>(text: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let split = |line: &'a str| line.split_once("  ");
    let lines = text.lines().filter_map(split).map(|(verdict, rest)| (verdict.trim(), rest.trim_start()));
    lines.filter(|(_, rest)| rest.starts_with(name)).collect()
}

#[test]
#[ignore = "needs root and eBPF"]
fn root_can_record_here_in_every_way() {
    let _alone = live();
    let folder = Folder::new("doctor-root");
    let output = folder.tracer(&["doctor"]);
    let text = stdout(&output, 0);
    assert_eq!(stderr(&output), "tracer: this machine can record\n");
    for name in ["kernel", "processor", "capabilities", "BTF", "BPF program", "process events"] {
        assert_eq!(checks(&text, name).iter().map(|check| check.0).collect::<Vec<_>>(), ["ok"], "{text}");
    }
    for way in ["uprobe_multi", "perf "] {
        let trials = checks(&text, way);
        assert!(trials.iter().all(|(verdict, _)| *verdict == "ok"), "{text}");
    }
    // Three sites in two ways, and the two forms of nop that do no harm.
    assert_eq!(text.matches("fired 1000, recorded 1000\n").count(), 3 + 3 + 2, "{text}");
    assert_eq!(checks(&text, "site of nop,nop5")[0].0, "ok", "{text}");
    assert!(["ok", "note"].contains(&checks(&text, "site of nop5")[0].0), "{text}");
}

#[test]
#[ignore = "needs root and eBPF"]
fn doctors_do_not_disturb_each_other() {
    let _alone = live();
    let folder = Folder::new("doctor-two");
    let start = || folder.command(&["doctor"]).stdout(std::process::Stdio::piped()).spawn().expect("runs");
    for doctor in [start(), start()] {
        let output = doctor.wait_with_output().expect("ended");
        let text = stdout(&output, 0);
        assert_eq!(text.matches("fired 1000, recorded 1000\n").count(), 8, "{text}");
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn without_privilege_it_says_what_is_missing_and_what_to_do() {
    let _alone = live();
    let folder = Folder::new("doctor-nobody");
    // Where the user `nobody` may run it.
    let tracer = folder.copy_program(TRACER, "tracer");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&tracer).current_dir("/");
    let output = command.arg("doctor").output().expect("setpriv runs");
    let text = stdout(&output, 1);
    assert_eq!(stderr(&output), "tracer: this machine cannot record: 2 problems\n", "{text}");
    let capabilities = checks(&text, "capabilities");
    let (verdict, found) = capabilities[0];
    assert_eq!(verdict, "problem");
    assert!(
        found.contains("without CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE: nothing can be recorded"),
        "{found}"
    );
    assert!(found.contains("sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep"), "{found}");
    assert!(checks(&text, "BPF program")[0].1.contains("permission denied"), "{text}");
    assert_eq!(checks(&text, "processes")[0].0, "limit", "{text}");
}

#[test]
#[ignore = "needs root and eBPF"]
fn without_proc_nothing_else_is_blamed() {
    let _alone = live();
    let folder = Folder::new("doctor-proc");
    let run = |args: &str| {
        let script = format!("mount -t tmpfs none /proc && exec \"$0\" {args}");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, TRACER]).current_dir(folder.path(""));
        command.output().expect("unshare runs")
    };
    let output = run("doctor");
    let text = stdout(&output, 1);
    assert_eq!(checks(&text, "proc ")[0].0, "problem", "{text}");
    assert!(!text.contains("capabilit") || text.matches("problem").count() == 1, "{text}");
    for args in ["record -e 'a:*' --wait --duration 1s", "record -e 'a:*' -- true"] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let expected = "cannot see processes in /proc: nothing is mounted there (mount -t proc proc /proc)";
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn the_json_form_has_the_same_checks() {
    let folder = Folder::new("doctor-json");
    let output = folder.tracer(&["doctor", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let code = match document["verdict"].as_str() {
        Some("problem") => 1,
        Some("limit") => 3,
        _ => 0,
    };
    assert_eq!(output.status.code(), Some(code), "{document}");
    let checks = document["checks"].as_array().expect("a list");
    let text = folder.tracer(&["doctor"]);
    assert_eq!(stdout(&text, code).lines().count(), checks.len());
    assert_eq!(document["version"], 1);
    assert!(checks.iter().all(|check| check["found"].is_string() && check["verdict"].is_string()));
}

#[test]
fn its_own_probes_are_not_in_the_way_of_others() {
    let folder = Folder::new("doctor-notes");
    let output = folder.tracer(&["list", TRACER]);
    assert_eq!(stdout(&output, 0), "", "probes that every recording would find");
}
