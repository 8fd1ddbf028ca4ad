//! Programs that live tests record: they do what a line of their input says and answer with a line of output, so that
//! no test waits for a time.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::tool::{Folder, compile_c, events};

pub(crate) mod pipeline;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that is guarded by a semaphore: for each line N it fires `target:hit(total)` N times, but only while it is
/// traced, and answers with the semaphore's value and how often it fired since it began. The first line of its output
/// is the semaphore's address.
pub(crate) const GUARDED: &str = r#"
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <sys/sdt.h>
volatile unsigned short target_hit_semaphore __attribute__((section(".probes")));
int main(void) {
    long n, total = 0;
    setvbuf(stdout, 0, _IOLBF, 0);
    printf("%p\n", (void *)&target_hit_semaphore);
    while (scanf("%ld", &n) == 1) {
        for (; n > 0; n--)
            if (target_hit_semaphore) STAP_PROBE1(target, hit, total++);
        printf("%d %ld\n", target_hit_semaphore, total);
    }
}
"#;

/// Compiles [`GUARDED`].
pub(crate) fn guarded(folder: &Folder, name: &str) -> PathBuf {
    compile_c(folder, name, GUARDED, &["-O2"])
}

/// A running program; it ends with the test.
pub(crate) struct Target {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Target {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the target runs");
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (send, answers) = channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        Self { child, input: Some(input), answers }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives it a line.
    pub(crate) fn tell(&mut self, line: impl Display) {
        let mut input = self.input.as_ref().expect("not closed");
        writeln!(input, "{line}").expect("the target reads");
    }

    /// Tells it that no line follows, and waits until it has ended.
    pub(crate) fn close(mut self) {
        self.input = None;
        self.child.wait().expect("ended");
    }

    /// Waits for a line.
    pub(crate) fn answer(&mut self) -> String {
        self.answers.recv_timeout(PATIENCE).expect("the target answers")
    }

    /// Gives it a line and waits for the answer.
    pub(crate) fn ask(&mut self, line: impl Display) -> String {
        self.tell(line);
        self.answer()
    }

    /// Has a [`GUARDED`] program fire; gives its semaphore and how often it fired so far.
    pub(crate) fn fire(&mut self, count: u64) -> (u16, u64) {
        let answer = self.ask(count);
        let (semaphore, total) = answer.split_once(' ').expect("two numbers");
        (semaphore.parse().expect("a number"), total.parse().expect("a number"))
    }

    /// Waits until a [`GUARDED`] program is traced.
    pub(crate) fn wait_for_recorder(&mut self) {
        until("the target is traced", || self.fire(0).0 > 0);
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Two bytes of another process's memory: its semaphore as it is now.
pub(crate) fn semaphore_at(pid: u32, address: u64) -> u16 {
    let mut bytes = [0; 2];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("the process is there");
    memory.read_exact_at(&mut bytes, address).expect("its memory is there");
    u16::from_le_bytes(bytes)
}

/// A number as C's `%p` prints it.
pub(crate) fn address(text: &str) -> u64 {
    u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).expect("an address")
}

/// Probe and values of the events of one process, in the order of the log.
pub(crate) fn of_process(log: &str, pid: u32) -> Vec<(String, String)> {
    let events = events(log).into_iter().filter(|event| event.1 == pid);
    events.map(|(_, _, _, probe, values)| (probe, values)).collect()
}
