//! Sites that the kernel refuses, or takes only without their semaphore: they cost the other probes nothing, and are named.

use std::path::Path;
use std::process::Command;

use crate::target::{Target, of_process};
use crate::tool::{Folder, Recording, compile_c, live, stderr, stdout};

/// Fires `demo:plain`, and `demo:guarded` if its semaphore is raised, N times for each line N.
const PROGRAM: &str = r#"
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <sys/sdt.h>
volatile unsigned short demo_plain_semaphore __attribute__((section(".probes")));
HERE_IT_IS
extern volatile unsigned short demo_guarded_semaphore;
int main(void) {
    long n;
    while (scanf("%ld", &n) == 1) {
        for (long i = 0; i < n; i++) {
            if (demo_guarded_semaphore) STAP_PROBE1(demo, guarded, i);
            STAP_PROBE1(demo, plain, i);
        }
        puts("done");
        fflush(stdout);
    }
}
"#;

/// The semaphore of `demo:guarded`, `before` bytes behind an even address.
fn program(folder: &Folder, before: &str) -> std::path::PathBuf {
    let semaphore = format!(
        r#"__asm__(".pushsection .probes, \"aw\"\n.balign 2\n{before}\n.globl demo_guarded_semaphore\ndemo_guarded_semaphore: .short 0\n.byte 0\n.popsection");"#
    );
    compile_c(folder, "guarded", &PROGRAM.replace("HERE_IT_IS", &semaphore), &["-O2"])
}

/// Records 10 rounds of the program; gives how often each of the two was recorded, and what was said.
fn record(folder: &Folder, program: &Path) -> (usize, usize, String) {
    let mut target = Target::start(&mut Command::new(program));
    let pid = target.pid().to_string();
    let recording = Recording::start(folder, &["-f", "-o", "run.trace", "-e", "demo:*", "-p", &pid]);
    target.ask(10);
    let output = recording.stop();
    let log = folder.tracer(&["replay", "run.trace"]);
    let events = of_process(&String::from_utf8_lossy(&log.stdout), target.pid());
    let count = |name: &str| events.iter().filter(|event| event.0 == name).count();
    (count("demo:plain"), count("demo:guarded"), stderr(&output))
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_semaphore_at_an_odd_address_costs_its_own_probe_at_most() {
    let _alone = live();
    let folder = Folder::new("odd-semaphore");
    let (plain, guarded, said) = record(&folder, &program(&folder, ".byte 0"));
    assert_eq!((plain, guarded), (10, 0), "{said}");
    assert!(said.contains("demo:guarded in ") && said.contains("odd address"), "{said}");
    let (plain, guarded, said) = record(&folder, &program(&folder, ""));
    assert_eq!((plain, guarded), (10, 10), "at an even one: {said}");
    assert!(!said.contains("address"), "{said}");
}

/// A uprobe that knows nothing of semaphores, as other tools have them. It is there until this is dropped.
struct Foreign(String);

impl Foreign {
    fn at(program: &Path, offset: &str) -> Self {
        let name = format!("tracer_test{}/foreign", std::process::id());
        let place = format!("{}:{offset}", program.display());
        let enable = format!("echo 1 >/t/events/{name}/enable");
        trace_files(&format!("echo 'p:{name} {place}' >>/t/uprobe_events && {enable}"));
        Self(name)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let name = &self.0;
        trace_files(&format!("echo 0 >/t/events/{name}/enable; echo '-:{name}' >>/t/uprobe_events"));
    }
}

/// Runs a script that has the kernel's trace files in `/t`, which nothing else sees.
fn trace_files(script: &str) {
    let script = script.replace("/t/", "/mnt/");
    let script = format!("mount -t tracefs nodev /mnt && {{ {script}; }}");
    let status = Command::new("unshare").args(["--mount", "sh", "-c", &script]).status();
    assert!(status.expect("unshare runs").success(), "{script}");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_breakpoint_of_another_tool_costs_that_probe_at_most() {
    let _alone = live();
    let folder = Folder::new("foreign-uprobe");
    let program = program(&folder, "");
    let list = stdout(&folder.tracer(&["list", program.to_str().expect("UTF-8")]), 0);
    assert!(list.contains("demo:guarded"), "{list}");
    let notes = Command::new("readelf").arg("-n").arg(&program).output().expect("readelf runs").stdout;
    let notes = String::from_utf8_lossy(&notes).into_owned();
    let (_, note) = notes.split_once("Name: guarded").expect("its note");
    let (_, address) = note.split_once("Location: ").expect("its address");
    // The code is as far into the file as into memory.
    let _foreign = Foreign::at(&program, &address[..18]);
    let (plain, guarded, said) = record(&folder, &program);
    assert_eq!((plain, guarded), (10, 0), "{said}");
    assert!(said.contains("demo:guarded in ") && said.contains("another tool"), "{said}");
}

/// Two functions that are one after `--icf=all`, with or without semaphores, and a third probe.
const FOLDED: &str = r#"
#ifdef SEMAPHORES
#define _SDT_HAS_SEMAPHORES 1
#endif
#include <stdio.h>
#include <sys/sdt.h>
#ifdef SEMAPHORES
volatile unsigned short demo_one_semaphore __attribute__((section(".probes")));
volatile unsigned short demo_two_semaphore __attribute__((section(".probes")));
volatile unsigned short demo_three_semaphore __attribute__((section(".probes")));
#define ENABLED(name) demo_##name##_semaphore
#else
#define ENABLED(name) 1
#endif
__attribute__((noinline)) void one(long i) { STAP_PROBE1(demo, one, i); }
__attribute__((noinline)) void two(long i) { STAP_PROBE1(demo, two, i); }
int main(void) {
    long n;
    while (scanf("%ld", &n) == 1) {
        for (long i = 0; i < n; i++) {
            if (ENABLED(one)) one(i);
            if (ENABLED(two)) two(i);
            STAP_PROBE1(demo, three, i);
        }
        puts("done");
        fflush(stdout);
    }
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn probes_that_the_linker_folded_are_each_recorded_and_cost_no_other() {
    let _alone = live();
    for (define, fired, lowered) in [("-DPLAIN", 20, false), ("-DSEMAPHORES", 10, true)] {
        let folder = Folder::new(&format!("folded{define}"));
        let flags = ["-O2", "-ffunction-sections", "-fuse-ld=gold", "-Wl,--icf=all", define];
        let program = compile_c(&folder, "folded", FOLDED, &flags);
        let mut target = Target::start(&mut Command::new(program));
        let pid = target.pid().to_string();
        let recording = Recording::start(&folder, &["-f", "-o", "run.trace", "-e", "demo:*", "-p", &pid]);
        target.ask(10);
        let said = stderr(&recording.stop());
        let log = folder.tracer(&["replay", "run.trace"]);
        let events = of_process(&String::from_utf8_lossy(&log.stdout), target.pid());
        let count = |name: &str| events.iter().filter(|event| event.0 == name).count();
        assert_eq!(count("demo:three"), 10, "{said}");
        assert_eq!((count("demo:one"), count("demo:two")), (fired, fired), "{said}");
        assert!(said.contains("each firing is recorded as demo:one and as demo:two"), "{said}");
        assert_eq!(said.contains("attached without its semaphore"), lowered, "{said}");
    }
}
