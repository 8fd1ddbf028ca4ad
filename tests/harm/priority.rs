//! On a machine with far more busy threads than processors nothing is lost, because the recorder goes first; what it starts
//! does not.

use std::process::Command;

use crate::target::{Target, guarded, until};
use crate::tool::{Folder, Recording, live, stderr, stdout};

/// Programs that fire at the same time, and how often each does.
const PROGRAMS: usize = 48;
const HITS: u64 = 60_000;

/// Nice value and scheduling policy in a `stat` file of `/proc`; policy 0 is that of most programs.
fn rank(stat: &str) -> (i64, u64) {
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    // Fields 19 and 41, of which this begins with the third.
    (fields[16].parse().expect("a nice value"), fields[38].parse().expect("a policy"))
}

/// Nice value and policy of each thread of a process.
fn ranks(pid: u32) -> Vec<(i64, u64)> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    stats.map(|stat| rank(&stat)).collect()
}

#[test]
#[ignore = "needs root and eBPF"]
fn many_busy_programs_lose_nothing() {
    let _alone = live();
    let folder = Folder::new("busy");
    let program = guarded(&folder, "target");
    let mut targets: Vec<Target> =
        (0..PROGRAMS).map(|_| Target::start(&mut Command::new(&program))).collect();
    targets.iter_mut().for_each(|target| drop(target.answer()));
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "target:hit"]);
    targets.iter_mut().for_each(|target| target.tell(HITS));
    let fired: u64 = targets
        .iter_mut()
        .map(|target| target.answer())
        .map(|answer| answer.split_once(' ').expect("two numbers").1.parse::<u64>().expect("a number"))
        .sum();
    let summary = recording.stop();
    assert_eq!(fired, PROGRAMS as u64 * HITS);
    assert!(stderr(&summary).contains(&format!("{fired} events, 0 lost")), "{}", stderr(&summary));
    // 3 where another program of this busy machine began before it could be held.
    assert!(matches!(summary.status.code(), Some(0 | 3)));
}

#[test]
#[ignore = "needs root and eBPF"]
fn threads_that_collect_go_first_and_the_command_does_not() {
    const RANK: &str = "cat /proc/self/stat >rank; read -r line <go";
    let _alone = live();
    let folder = Folder::new("priority");
    let fifo = folder.path("go");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    let own = rank(&std::fs::read_to_string("/proc/self/stat").expect("readable"));
    let most: fn(&(i64, u64)) -> bool = |&(nice, _)| nice == -20;
    let given: fn(&(i64, u64)) -> bool = |&(nice, policy)| (nice, policy) == (7, 0);
    for (options, is_ours, count) in
        [(&[][..], most, 3), (&["--nice", "7"], given, 3), (&["--nice", "0"], most, 0)]
    {
        let args = [&["-f", "-o", "run.trace", "-a"], options, &["--", "sh", "-c", RANK]].concat();
        let recording = Recording::start(&folder, &args);
        let command = || std::fs::read_to_string(folder.path("rank")).unwrap_or_default();
        until("the command runs", || !command().is_empty());
        let count_now = || ranks(recording.child.id()).iter().filter(|it| is_ours(it)).count();
        until("the threads have their priority", || count_now() == count);
        assert_eq!(rank(&command()), own, "{options:?}: the command's");
        std::fs::write(&fifo, "go\n").expect("the command reads");
        let summary = recording.ended();
        assert!(matches!(summary.status.code(), Some(0 | 3)), "{}", stderr(&summary));
        std::fs::remove_file(folder.path("rank")).expect("there");
        stdout(&folder.tracer(&["verify", "run.trace"]), 0);
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn where_no_priority_is_allowed_one_line_says_so() {
    let _alone = live();
    let folder = Folder::new("unprivileged");
    for (lacks, options, lines) in
        [("-sys_nice", &[][..], 1), ("-sys_nice", &["--nice", "0"], 0), ("-kill", &[], 0)]
    {
        let prefix = ["setpriv", "--bounding-set", lacks, "--inh-caps", lacks, "--"];
        let args = [&["-f", "-o", "run.trace", "--wait", "-e", "no:such"], options].concat();
        let summary = Recording::start_by(&folder, &prefix, &args).stop();
        assert!(matches!(summary.status.code(), Some(0 | 3)), "{}", stderr(&summary));
        let text = stderr(&summary);
        let said = text.lines().filter(|line| line.contains("has no priority over what it records")).count();
        assert_eq!(said, lines, "{text}");
    }
}
