//! The recorder killed with `kill -9` at random moments, and a disk that fills up, with real probes (see `tool::live`).
//!
//! A second recorder, which is not killed, sees the same events and is compared with what the programs say that they
//! fired. `TRACER_KILLS` and `TRACER_DISKS` say how often; `scripts/campaign.sh` runs it a hundred times.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::target::pipeline::Pipeline;
use crate::tool::{Folder, Recording, TRACER, events, live, stderr, stdout};

/// The number in an environment variable.
fn times(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec * 1_000_000_000 + now.tv_nsec).expect("positive")
}

/// A small generator of numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end
    }
}

fn pipeline(rate: &str) -> Pipeline {
    Pipeline::start(&["--rate", rate, "--awe", "50us", "--writing", "20us"])
}

/// An event without its process: time, probe, sequence number.
type Plain = (u64, String, String);

/// Events of each of these processes, in order; each has one thread that fires. A recorder sees other processes too.
fn by_process(log: &str, pids: &[u32]) -> HashMap<(u32, String), Vec<Plain>> {
    let mut all: HashMap<_, Vec<Plain>> = HashMap::new();
    for (time_ns, pid, program, probe, seq) in events(log) {
        if !pids.contains(&pid) {
            continue;
        }
        all.entry((pid, program)).or_default().push((time_ns, probe, seq));
    }
    all
}

/// A recorder that was killed.
struct Killed {
    /// When all probes were attached, if they were.
    ready_ns: Option<u64>,
    killed_ns: u64,
    flush_ns: u64,
    log: String,
}

/// What the kills cost, all together.
#[derive(Debug, Default)]
struct Cost {
    recorded: usize,
    gone: usize,
    most_gone: usize,
    oldest_gone_ns: u64,
}

/// Compares what a killed recorder left with what fired: a range of it without a hole, that begins before the recorder
/// said it was ready and ends at most one flush before it died.
fn compare(killed: &Killed, fired: &HashMap<(u32, String), Vec<Plain>>, cost: &mut Cost) {
    let pids: Vec<u32> = fired.keys().map(|process| process.0).collect();
    let left = by_process(&killed.log, &pids);
    assert!(
        left.keys().all(|process| fired.contains_key(process)),
        "a process that is none: {:?}",
        left.keys()
    );
    let mut gone = 0;
    for (process, fired) in fired {
        let none = Vec::new();
        let left = left.get(process).unwrap_or(&none);
        let same = |event: &Plain, other: &Plain| (&event.1, &event.2) == (&other.1, &other.2);
        let first = left
            .first()
            .map_or(0, |event| fired.iter().position(|other| same(event, other)).expect("it fired"));
        for (at, event) in left.iter().enumerate() {
            let at = first + at;
            assert!(same(event, &fired[at]), "{event:?} stands where {:?} fired", fired[at]);
            // The kernel runs the two recorders' programs one after the other: between two events of one thread.
            let before = at.checked_sub(1).map_or(0, |before| fired[before].0);
            let after = fired.get(at + 1).map_or(u64::MAX, |after| after.0);
            assert!(before < event.0 && event.0 < after, "{event:?} is not between {before} and {after}");
        }
        let Some(ready_ns) = killed.ready_ns else { continue };
        let due_ns = killed.killed_ns - killed.flush_ns;
        let range = if left.is_empty() { 0..0 } else { first..first + left.len() };
        let lacks = |event: &&Plain| (ready_ns..due_ns).contains(&event.0);
        let lacking = fired[..range.start].iter().chain(&fired[range.end..]).find(lacks);
        assert!(
            lacking.is_none(),
            "{lacking:?} of {process:?} lacks: ready at {ready_ns}, killed at {}, {} are there",
            killed.killed_ns,
            left.len()
        );
        let begin = ready_ns.max(left.last().map_or(0, |event| event.0 + 1));
        let lost = fired[range.end..].iter().filter(|event| (begin..killed.killed_ns).contains(&event.0));
        for event in lost {
            gone += 1;
            cost.oldest_gone_ns = cost.oldest_gone_ns.max(killed.killed_ns - event.0);
        }
        cost.recorded += left.len();
    }
    cost.gone += gone;
    cost.most_gone = cost.most_gone.max(gone);
}

/// Records for a random time and dies, once it is `ready` or before that; then reads what is left, with all that reads.
fn kill(folder: &Folder, random: &mut Random, flush_ms: u64, ready: bool) -> Killed {
    let flush = format!("{flush_ms}ms");
    let args = ["-o", "killed.trace", "--force", "--flush", &flush];
    let _ = std::fs::remove_file(folder.path("killed.trace"));
    let (mut recording, ready_ns) = if ready {
        (Recording::start(folder, &args), Some(monotonic_ns()))
    } else {
        let mut command = folder.command(&["record"]);
        (Recording { child: command.args(args).stderr(Stdio::null()).spawn().expect("tracer runs") }, None)
    };
    std::thread::sleep(Duration::from_micros(random.below(if ready { 1_000_000 } else { 200_000 })));
    let killed_ns = monotonic_ns();
    recording.child.kill().expect("killed");
    recording.child.wait().expect("gone");
    let mut killed = Killed { ready_ns, killed_ns, flush_ns: flush_ms * 1_000_000, log: String::new() };
    let bytes = std::fs::metadata(folder.path("killed.trace")).map_or(0, |facts| facts.len());
    if bytes == 0 {
        assert!(!ready, "there is no file");
        return killed;
    }
    let report = stdout(&folder.tracer(&["verify", "killed.trace"]), 3);
    assert!(report.starts_with("incomplete: "), "{report}");
    assert!(stdout(&folder.tracer(&["info", "killed.trace"]), 3).contains("incomplete"));
    killed.log = stdout(&folder.tracer(&["replay", "killed.trace"]), 3);
    stdout(&folder.tracer(&["repair", "killed.trace", "--force", "-o", "whole.trace"]), 3);
    assert!(stdout(&folder.tracer(&["verify", "whole.trace"]), 0).starts_with("sound: "));
    assert!(
        stdout(&folder.tracer(&["replay", "whole.trace"]), 0) == killed.log,
        "repaired, it reads otherwise"
    );
    killed
}

#[test]
#[ignore = "needs root and eBPF"]
fn killed_at_any_moment_it_loses_at_most_one_flush() {
    let _alone = live();
    let folder = Folder::new("kills");
    // Attached by inode: it is enough that the programs ran once.
    let warm = pipeline("100");
    let witness = Recording::start(&folder, &["-o", "witness.trace"]);
    warm.stop();
    let pipeline = pipeline("1000");
    let (mut random, mut kills) = (Random(monotonic_ns() | 1), Vec::new());
    for number in 0..times("TRACER_KILLS", 6) {
        let flush_ms = if number % 2 == 0 { 200 } else { 50 };
        // Now and then while it is still busy with attaching.
        kills.push(kill(&folder, &mut random, flush_ms, number % 8 != 3));
    }
    let pids = pipeline.pids.clone();
    let says = pipeline.stop();
    let summary = witness.stop();
    assert_eq!(summary.status.code(), Some(0), "{}", stderr(&summary));

    let fired = by_process(&stdout(&folder.tracer(&["replay", "witness.trace"]), 0), &pids);
    for (probe, count) in &says {
        let seen = fired.values().flatten().filter(|event| event.1 == *probe).count();
        assert_eq!(seen as u64, *count, "{probe}: the witness saw something else than fired");
    }
    assert_eq!(says.len(), 6);

    let mut cost = Cost::default();
    kills.iter().for_each(|killed| compare(killed, &fired, &mut cost));
    let attaching = kills.iter().filter(|killed| killed.ready_ns.is_none()).count();
    println!(
        "campaign: kill -9: {} kills ({attaching} while attaching), {} events read, 0 wrong, 0 lost outside the bound; \
         inside it {} events at most, {} ms old at most",
        kills.len(),
        cost.recorded,
        cost.most_gone,
        cost.oldest_gone_ns / 1_000_000
    );
    assert!(cost.recorded > 0);
}

/// Runs a script in a folder that is a disk of its own with so much room; `$TRACER` is the tool.
fn on_a_disk(folder: &Folder, kib: u32, script: &str) -> std::process::Output {
    let disk = folder.path("disk");
    std::fs::create_dir_all(&disk).expect("made");
    // Only this script sees the disk, and the system takes it back when the script ends.
    let script = format!("mount -t tmpfs -o size={kib}k none disk && cd disk && {script}");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).env("TRACER", TRACER).current_dir(folder.path(""));
    command.stdin(Stdio::null()).output().expect("unshare runs")
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_full_disk_ends_the_recording_with_one_line_and_a_readable_trace() {
    let _alone = live();
    let folder = Folder::new("full-disk");
    let warm = pipeline("100");
    let witness = Recording::start(&folder, &["-o", "witness.trace"]);
    let pipeline = pipeline("2000");
    let disks: Vec<u32> = (1..=times("TRACER_DISKS", 3)).map(|disk| 4 * disk * disk).collect();
    let mut logs = Vec::new();
    for kib in &disks {
        let script = "\"$TRACER\" record --flush 20ms --duration 90s; code=$?; cp run.trace ..; exit $code";
        let output = on_a_disk(&folder, *kib, script);
        let errors = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{kib} KiB: {errors}");
        assert!(errors.contains("No space left on device"), "{kib} KiB: {errors}");
        assert_eq!(errors.matches("No space left").count(), 1, "{kib} KiB: {errors}");
        let report = stdout(&folder.tracer(&["verify", "run.trace"]), 3);
        assert!(report.starts_with("incomplete: "), "{kib} KiB: {report}");
        logs.push(stdout(&folder.tracer(&["replay", "run.trace"]), 3));
    }
    let pids = pipeline.pids.clone();
    pipeline.stop();
    warm.stop();
    assert_eq!(witness.stop().status.code(), Some(0));
    let fired = by_process(&stdout(&folder.tracer(&["replay", "witness.trace"]), 0), &pids);
    let mut cost = Cost::default();
    for log in &logs {
        // Not killed: only that what is there fired, in its order and without a hole.
        compare(&Killed { ready_ns: None, killed_ns: 0, flush_ns: 0, log: log.clone() }, &fired, &mut cost);
    }
    let read: usize =
        logs.iter().flat_map(|log| by_process(log, &pids).into_values()).map(|events| events.len()).sum();
    println!(
        "campaign: full disk: {} disks of {} to {} KiB, {read} events read, 0 wrong",
        disks.len(),
        disks[0],
        disks[disks.len() - 1]
    );
    assert!(read > 0);
}

#[test]
#[ignore = "needs root and eBPF"]
fn what_cannot_be_written_is_one_line_and_leaves_no_half_file() {
    let _alone = live();
    let folder = Folder::new("full-output");
    let mut random = Random(1);
    // Numbers that do not compress.
    let event = |n: u32| {
        format!("[{n:>16}] [PID:     17] worker       demo:beg_work | Seq: {}\n", random.below(1 << 60))
    };
    folder.write("log", (0..20_000).map(event).collect::<String>());
    stdout(&folder.tracer(&["import", "log", "-o", "s.trace"]), 0);
    for verb in [
        "import ../log -o out",
        "cut ../s.trace -o out",
        "repair ../s.trace -o out",
        "merge ../s.trace ../s.trace -o out",
        "export ../s.trace -o out.json",
        "export ../s.trace -o out.pftrace",
        "export ../s.trace -o out.parquet",
        "export ../s.trace -o out.arrow",
        "export ../s.trace -o out.csv",
        "replay ../s.trace >out.log",
        "info ../s.trace >/dev/full",
        "verify ../s.trace >/dev/full",
        "analyze ../s.trace >/dev/full",
    ] {
        let output = on_a_disk(&folder, 16, &format!("\"$TRACER\" {verb}; code=$?; ls >&2; exit $code"));
        let errors = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{verb}: {errors}");
        let (line, files) = errors.split_once('\n').expect("a line");
        let written =
            verb.split_once(" -o ").map_or(String::new(), |(_, name)| format!("cannot write {name}: "));
        assert!(line.starts_with(&format!("tracer: {written}")), "{verb}: {errors}");
        assert!(line.contains("No space left on device"), "{verb}: {errors}");
        // Standard output belongs to the shell.
        assert_eq!(files, if verb.ends_with(".log") { "out.log\n" } else { "" }, "{verb}");
    }
}
