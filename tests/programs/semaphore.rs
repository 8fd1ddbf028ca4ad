//! A server that forks workers, with probes behind a semaphore and arguments beside the program counter: what every
//! process fires is recorded, and the semaphores are what they were, however the recording ends.

use std::process::Command;

use crate::target::{Target, address, of_process, semaphore_at, until};
use crate::tool::{Folder, Recording, compile_c, live, stderr, stdout};

/// Three workers that stay, and one more for each line N that ends when it is done. Each of the four fires N times while
/// it is traced; the answer is a list of PID:FIRED, where FIRED counts since the worker began.
const SERVER: &str = r#"
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/sdt.h>
#include <sys/wait.h>
#include <unistd.h>
#define WORKERS 3
volatile unsigned short server_work_semaphore __attribute__((section(".probes")));
#define SERVER_WORK_ENABLED() __builtin_expect(server_work_semaphore, 0)
static volatile long fired;
static volatile int worker = -1;
static void work(long n) {
    for (; n > 0; n--)
        if (SERVER_WORK_ENABLED()) {
            fired++;
            STAP_PROBE2(server, work, fired, worker);
        }
}
static void answer(int to) {
    char text[64];
    int len = sprintf(text, "%d:%ld", getpid(), fired);
    if (write(to, text, len + 1) < 0) exit(1);
}
int main(void) {
    int jobs[WORKERS][2], results[2];
    long n;
    char text[64];
    if (pipe(results)) return 1;
    for (int i = 0; i < WORKERS; i++) {
        if (pipe(jobs[i])) return 1;
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            worker = i;
            while (read(jobs[i][0], &n, sizeof n) == sizeof n) { work(n); answer(results[1]); }
            return 0;
        }
    }
    printf("%p\n", (void *)&server_work_semaphore);
    fflush(stdout);
    while (scanf("%ld", &n) == 1) {
        for (int i = 0; i < WORKERS; i++) if (write(jobs[i][1], &n, sizeof n) < 0) return 1;
        if (fork() == 0) { worker = WORKERS; work(n); answer(results[1]); _exit(0); }
        for (int i = 0; i <= WORKERS; i++) {
            int len = 0;
            do if (read(results[0], text + len, 1) != 1) return 1; while (text[len++]);
            printf("%s%s", i ? " " : "", text);
        }
        wait(NULL);
        puts("");
        fflush(stdout);
    }
}
"#;

struct Server {
    target: Target,
    semaphore: u64,
    /// The master, then those of its workers that stay.
    pids: Vec<u32>,
}

impl Server {
    fn start(folder: &Folder) -> Self {
        let program = compile_c(folder, "server", SERVER, &["-O2"]);
        let notes = Command::new("readelf").arg("-n").arg(&program).output().expect("readelf runs").stdout;
        let notes = String::from_utf8_lossy(&notes).into_owned();
        let arguments = "Arguments: -8@fired(%rip) -4@worker(%rip)";
        assert!(notes.contains(arguments), "the arguments are not beside the program counter: {notes}");
        let mut target = Target::start(&mut Command::new(program));
        let semaphore = address(&target.answer());
        let children = format!("/proc/{0}/task/{0}/children", target.pid());
        let children = std::fs::read_to_string(children).expect("its children");
        let mut pids = vec![target.pid()];
        pids.extend(children.split_whitespace().map(|pid| pid.parse::<u32>().expect("a pid")));
        assert_eq!(pids.len(), 4);
        Self { target, semaphore, pids }
    }

    /// Has every worker fire; gives pid and count for each.
    fn fire(&mut self, count: u32) -> Vec<(u32, u64)> {
        let answer = self.target.ask(count);
        let workers = answer.split(' ').map(|worker| {
            let (pid, fired) = worker.split_once(':').expect("pid and count");
            (pid.parse().expect("a pid"), fired.parse().expect("a count"))
        });
        workers.collect()
    }

    fn semaphores(&self) -> Vec<u16> {
        self.pids.iter().map(|pid| semaphore_at(*pid, self.semaphore)).collect()
    }
}

/// Checks that all that each worker fired is in the trace, with the right values.
fn check(log: &str, workers: &[(u32, u64)], before: &[(u32, u64)]) {
    for (pid, fired) in workers {
        let before = before.iter().find(|worker| worker.0 == *pid).map_or(0, |worker| worker.1);
        let events = of_process(log, *pid);
        let numbers: Vec<u64> = events
            .iter()
            .map(|(_, values)| {
                let (number, worker) = values.split_once(" | arg1: ").expect("two values");
                assert!((0..=3).contains(&worker.parse::<i32>().expect("a number")), "{values}");
                number.parse().expect("a number")
            })
            .collect();
        assert!(numbers.iter().copied().eq(before + 1..=*fired), "{pid}: {before} to {fired}: {numbers:?}");
    }
}

fn check_mode(mode: &str) {
    let _alone = live();
    let folder = Folder::new(&format!("semaphore-{mode}"));
    let mut server = Server::start(&folder);
    let unfired = server.fire(10);
    assert!(unfired.iter().all(|(_, fired)| *fired == 0), "{unfired:?}");
    let args = ["-f", "-o", "run.trace", "-e", "server:work", "--attach", mode];

    let recording = Recording::start(&folder, &args);
    assert_eq!(server.semaphores(), [1; 4]);
    let (mut short_lived, mut workers) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        workers = server.fire(2000);
        short_lived.extend(workers.iter().filter(|worker| !server.pids.contains(&worker.0)).copied());
    }
    let summary = recording.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));
    until("the semaphores are zero after the end", || server.semaphores() == [0; 4]);
    assert_eq!(short_lived.len(), 5);
    assert!(
        workers.iter().all(|(pid, fired)| *fired == if server.pids.contains(pid) { 10_000 } else { 2000 })
    );
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    check(&log, &[workers.clone(), short_lived].concat(), &[]);

    let mut killed = Recording::start(&folder, &args);
    assert_eq!(server.semaphores(), [1; 4]);
    let more = server.fire(100);
    killed.child.kill().expect("killed");
    killed.child.wait().expect("gone");
    until("the semaphores are zero after kill -9", || server.semaphores() == [0; 4]);
    let after = server.fire(100);
    assert!(after.iter().all(|worker| more.contains(worker) || worker.1 == 0), "{more:?} {after:?}");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_server_with_semaphores_is_recorded_at_once() {
    check_mode("multi");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_server_with_semaphores_is_recorded_by_perf_events() {
    check_mode("perf");
}
