//! Programs that run under a translator (Valgrind, QEMU's user mode): a breakpoint in their code would end them.

use std::process::{Command, Stdio};

use crate::target::until;
use crate::tool::{Folder, Recording, compile_c, events, live, stderr, stdout};

const TICKS: &str = r#"
#include <stdlib.h>
#include <sys/sdt.h>
#include <unistd.h>
int main(int count, char **words) {
    int n = count > 1 ? atoi(words[1]) : 10;
    for (int i = 0; i < n; i++) { STAP_PROBE1(translated, tick, i); if (n > 10) usleep(1000); }
    return 0;
}
"#;

/// Does what a translator does: maps the program that it is given, reads its code again and again, and takes a breakpoint in it
/// for the program's own; with a further word, until its input ends. It is found by its name, as the others are.
const TRANSLATOR: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int count, char **words) {
    struct stat facts;
    int file = open(words[1], O_RDONLY), goes_on = count > 2;
    char end;
    fstat(file, &facts);
    char *mapped = mmap(0, facts.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    char *content = malloc(facts.st_size);
    if (pread(file, content, facts.st_size, 0) != facts.st_size) return 2;
    fcntl(0, F_SETFL, O_NONBLOCK);
    do {
        if (memcmp(mapped, content, facts.st_size)) return 133;
        if (goes_on) { (void)!write(1, ".", 1); usleep(10000); }
    } while (goes_on && read(0, &end, 1) != 0);
    return 0;
}
"#;

fn programs(name: &str) -> Folder {
    let folder = Folder::new(name);
    compile_c(&folder, "ticks", TICKS, &["-O2"]);
    compile_c(&folder, "qemu-pretend", TRANSLATOR, &["-O2"]);
    folder
}

#[test]
#[ignore = "needs root and eBPF"]
fn what_a_translator_runs_is_left_alone_and_recorded_again_afterwards() {
    let _alone = live();
    let folder = programs("translated");
    // Attached already, then translated, then run as it is.
    let script = "./ticks; ./qemu-pretend ./ticks && sleep 1 && ./ticks";
    let output =
        folder.tracer(&["record", "-o", "run.trace", "-e", "translated:*", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(3), "133 is a breakpoint: {}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("/ticks: left out while ") && said.contains("/qemu-pretend (PID "), "{said}");
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
    assert_eq!(events(&log).len(), 20, "{log}");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_translator_that_runs_already_is_left_alone() {
    let _alone = live();
    let folder = programs("translating");
    let said = std::fs::File::create(folder.path("said")).expect("created");
    let mut translator = Command::new(folder.path("qemu-pretend"));
    translator.args([folder.path("ticks").as_os_str(), "on".as_ref()]).stdin(Stdio::piped()).stdout(said);
    let mut translator = translator.spawn().expect("it runs");
    until("it translates", || std::fs::metadata(folder.path("said")).expect("there").len() > 0);
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "translated:*", "--wait"]);
    assert!(Command::new(folder.path("ticks")).status().expect("it runs").success());
    // Its input is closed.
    let status = translator.wait().expect("ended");
    assert_eq!(status.code(), Some(0), "133 is a breakpoint");
    let output = recording.stop();
    assert!(stderr(&output).contains("/ticks: left out while "), "{}", stderr(&output));
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_under_valgrind_does_not_die() {
    let _alone = live();
    let Ok(version) = Command::new("valgrind").arg("--version").output() else {
        eprintln!("skipped: needs valgrind");
        return;
    };
    assert!(version.status.success());
    let folder = programs("valgrind");
    let script = "./ticks; valgrind -q ./ticks && sleep 1 && ./ticks";
    let output =
        folder.tracer(&["record", "-o", "run.trace", "-e", "translated:*", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("/ticks: left out while "), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
    assert_eq!(events(&log).len(), 20, "{log}");
}
