//! Code that the kernel cannot put breakpoints in, and semaphores that it does not switch on: said, not silently missed.

use std::process::Command;

use crate::target::{Target, guarded, until};
use crate::tool::{Folder, Recording, compile_c, events, live, stderr, stdout};

/// Flags of the first executable segment, and all of them with leave to write.
fn with_writable_code(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let number = |bytes: &[u8], at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let (table, count) = (number(&bytes, 32, 8), number(&bytes, 56, 2));
    for header in (table..table + 56 * count).step_by(56) {
        if number(&bytes, header, 4) == 1 && bytes[header + 4] & 1 != 0 {
            bytes[header + 4] = 7;
        }
    }
    bytes
}

#[test]
#[ignore = "needs root and eBPF"]
fn probes_in_a_writable_segment_are_left_out_by_name() {
    let _alone = live();
    let folder = Folder::new("writable");
    let good = std::fs::read(guarded(&folder, "good")).expect("read");
    folder.write_program("packed", &with_writable_code(&good));
    let listed = folder.tracer(&["list", "packed"]);
    assert_eq!(listed.status.code(), Some(3));
    assert!(stderr(&listed).contains("target:hit at 0x"), "{}", stderr(&listed));
    assert!(stderr(&listed).contains("in a writable segment"), "{}", stderr(&listed));
    let output = folder.tracer(&["record", "-o", "run.trace", "-e", "target:*", "--", "./packed"]);
    let said = stderr(&output);
    assert!(!said.contains("never fired"), "{said}");
    assert_eq!(said.matches("in a writable segment").count(), 1, "once, whatever paths lead to it: {said}");
    let quiet = folder.tracer(&["record", "-qf", "-o", "run.trace", "-e", "target:*", "--", "./packed"]);
    assert_eq!(quiet.status.code(), Some(3));
    let said = stderr(&quiet);
    assert!(!said.is_empty(), "quiet, but not about what is missing");
    assert!(said.lines().all(|line| line.starts_with("tracer: not recorded: ")), "{said}");
}

/// Moves its code to other memory, as programs do that want it on large pages.
const MOVED: &str = r#"
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sdt.h>
#include <unistd.h>
int main(void) {
    uintptr_t page = (uintptr_t)main & -4096L;
    void *copy = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(copy, (void *)page, 4096);
    mprotect(copy, 4096, PROT_READ | PROT_EXEC);
    if (mremap(copy, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)page) == MAP_FAILED) return 9;
    puts("moved");
    fflush(stdout);
    for (long i = 0;; i++) { STAP_PROBE1(moved, tick, i); usleep(1000); }
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn code_that_was_moved_is_said_to_be_out_of_reach() {
    let _alone = live();
    let folder = Folder::new("moved");
    let program = compile_c(&folder, "moved", MOVED, &["-O2"]);
    let mut target = Target::start(&mut Command::new(&program));
    assert_eq!(target.answer(), "moved");
    let pid = target.pid().to_string();
    let expected = format!("moved (process {pid}): the code of 1 of 1 sites is not mapped from the file");
    let listed = folder.tracer(&["list", "-p", &pid]);
    assert!(stderr(&listed).contains(&expected), "{}", stderr(&listed));
    assert_eq!(listed.status.code(), Some(3));
    let args = ["record", "-o", "run.trace", "-e", "moved:*", "-p", &pid, "--duration", "1s"];
    let output = folder.tracer(&args);
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
}

/// Loads the library that its argument names twice, and for each line has both fire.
const TWICE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **words) {
    void *one = dlopen(words[count - 1], RTLD_NOW), *two = dlmopen(LM_ID_NEWLM, words[count - 1], RTLD_NOW);
    if (!one || !two) return 1;
    int (*first)(int) = (int (*)(int))dlsym(one, "work"), (*second)(int) = (int (*)(int))dlsym(two, "work");
    setvbuf(stdout, 0, _IOLBF, 0);
    puts("loaded");
    for (int n; scanf("%d", &n) == 1;) printf("%d %d\n", first(n), second(n));
}
"#;

const LOADED: &str = r#"
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
__extension__ volatile unsigned short twice_call_semaphore __attribute__((section(".probes")));
int work(int n) { if (twice_call_semaphore) STAP_PROBE1(twice, call, n); return twice_call_semaphore; }
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn a_library_that_is_loaded_twice_is_named() {
    let _alone = live();
    let folder = Folder::new("twice");
    let library = compile_c(&folder, "libtwice.so", LOADED, &["-O2", "-shared", "-fPIC"]);
    let program = compile_c(&folder, "twice", TWICE, &["-O2"]);
    let mut target = Target::start(Command::new(&program).arg(&library));
    assert_eq!(target.answer(), "loaded");
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "twice:*"]);
    // The kernel's limit: if it is gone one day, the warning has to go too.
    until("one copy is switched on", || target.ask(0) != "0 0");
    let semaphores = target.ask(1);
    let (first, second) = semaphores.split_once(' ').expect("two numbers");
    assert!((first == "0") != (second == "0"), "{semaphores}");
    let expected = format!("libtwice.so (process {}): it is loaded 2 times", target.pid());
    // It is said after a second look.
    until("the trace says so", || {
        String::from_utf8_lossy(&folder.tracer(&["info", "run.trace"]).stdout).contains(&expected)
    });
    let output = recording.stop();
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
    assert!(!events(&log).is_empty());
}
