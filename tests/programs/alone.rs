//! `-p`: the process that is named is recorded with all its threads, and others of the same program are left alone.

use std::process::Command;

use crate::target::{Target, address, of_process, semaphore_at, until};
use crate::tool::{Folder, Recording, compile_c, events, live, stderr, stdout};

/// Says where its semaphore is, then fires N times in its main thread and N times in another one, for each line N.
const PROGRAM: &str = r#"
#define _SDT_HAS_SEMAPHORES 1
#include <pthread.h>
#include <stdio.h>
#include <sys/sdt.h>
volatile unsigned short alone_hit_semaphore __attribute__((section(".probes")));
static void *fire(void *count) {
    for (long i = 0; i < *(long *)count; i++)
        if (alone_hit_semaphore) STAP_PROBE1(alone, hit, i);
    return 0;
}
int main(void) {
    long n;
    printf("%p\n", (void *)&alone_hit_semaphore);
    fflush(stdout);
    while (scanf("%ld", &n) == 1) {
        pthread_t thread;
        if (pthread_create(&thread, 0, fire, &n)) return 1;
        pthread_join(thread, 0);
        fire(&n);
        puts("done");
        fflush(stdout);
    }
}
"#;

/// Whether the kernel can attach to one process alone: from Linux 6.12 on.
fn can_filter() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(12))
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_process_that_is_named_is_recorded_and_others_of_its_program_are_left_alone() {
    let _alone = live();
    let folder = Folder::new("alone");
    let program = compile_c(&folder, "alone", PROGRAM, &["-O2", "-pthread"]);
    let start = || {
        let mut target = Target::start(&mut Command::new(&program));
        let semaphore = address(&target.answer());
        (target, semaphore)
    };
    let (mut named, named_semaphore) = start();
    let (mut other, other_semaphore) = start();
    let pid = named.pid().to_string();
    let args = ["-o", "run.trace", "-e", "alone:*", "-p", &pid];
    let recording = Recording::start(&folder, &args);
    let (mut later, later_semaphore) = start();
    let semaphores = || {
        [(&named, named_semaphore), (&other, other_semaphore), (&later, later_semaphore)]
            .map(|(target, semaphore)| semaphore_at(target.pid(), semaphore))
    };
    assert_eq!(semaphores(), if can_filter() { [1, 0, 0] } else { [1, 1, 1] });
    named.ask(10);
    other.ask(10);
    later.ask(10);
    let output = recording.stop();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let recorded = [&named, &other, &later].map(|target| of_process(&log, target.pid()).len());
    assert_eq!(recorded, [20, 0, 0], "{log}");
}

/// Runs itself again from a thread that is not the first, when it is told to, and then fires ten times.
const REPLACED: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <sys/sdt.h>
#include <unistd.h>
static char *words[] = {"replaced", "again", 0};
static void *replace(void *path) {
    if (getchar() == EOF) _exit(1);
    execv(path, words);
    _exit(9);
}
int main(int count, char **given) {
    if (count > 1) {
        for (int i = 0; i < 10; i++) STAP_PROBE1(alone, tick, i);
        return 0;
    }
    pthread_t thread;
    pthread_create(&thread, 0, replace, given[0]);
    puts("ready");
    fflush(stdout);
    for (;;) pause();
}
"#;

/// The kernel knows the process to attach to by its first thread, which another one replaces here.
#[test]
#[ignore = "needs root and eBPF"]
fn a_process_that_runs_another_program_from_a_thread_is_still_recorded() {
    let _alone = live();
    let folder = Folder::new("replaced");
    let program = compile_c(&folder, "replaced", REPLACED, &["-O2", "-pthread"]);
    let mut target = Target::start(&mut Command::new(&program));
    assert_eq!(target.answer(), "ready");
    let pid = target.pid().to_string();
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "alone:*", "-p", &pid]);
    target.tell(0);
    until("it has ended", || process_is_over(target.pid()));
    let output = recording.stop();
    // Where links are for processes, they are made again: other threads of the named ones may have fired meanwhile.
    let code = if can_filter() { 3 } else { 0 };
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    assert_eq!(
        stderr(&output).matches("attached to again").count(),
        usize::from(can_filter()),
        "{}",
        stderr(&output)
    );
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), code);
    assert_eq!(events(&log).len(), 10, "{}", stderr(&output));
}

/// Its parent, this process, has not asked how it ended.
fn process_is_over(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is a child");
    stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('Z'))
}
