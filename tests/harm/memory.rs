//! The recorder's memory does not grow with the recording: at full speed it stays within the rings and a constant.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::target::{Target, guarded, until};
use crate::tool::{Folder, Recording, live, stderr, stdout};

/// Resident memory of a process, KiB: all of it, and what is not a file's.
fn resident(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    (field("VmRSS:"), field("RssAnon:"))
}

/// Seconds at full speed; a longer run is the same test with TRACER_MEMORY_SECONDS=20.
fn seconds() -> u64 {
    std::env::var("TRACER_MEMORY_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

#[test]
#[ignore = "needs root and eBPF"]
fn memory_stays_bounded_at_full_speed() {
    let _alone = live();
    let folder = Folder::new("memory");
    let program = guarded(&folder, "target");
    let mut targets = [(); 2].map(|()| Target::start(&mut Command::new(&program)));
    targets.iter_mut().for_each(|target| drop(target.answer()));
    for options in [&[][..], &["--last", "60s", "--memory", "16M"]] {
        let args = ["-f", "-o", "run.trace", "-e", "target:hit"];
        let recording = Recording::start(&folder, &[&args[..], options].concat());
        let (begun, mut samples) = (Instant::now(), Vec::new());
        let mut fired = 0;
        while begun.elapsed() < Duration::from_secs(seconds()) / 2 {
            targets.iter_mut().for_each(|target| target.tell(100_000));
            targets.iter_mut().for_each(|target| drop(target.answer()));
            fired += 200_000;
            samples.push(resident(recording.child.id()));
        }
        let summary = recording.stop();
        assert!(matches!(summary.status.code(), Some(0 | 3)), "{}", stderr(&summary));
        let (all, own) =
            samples.iter().fold((0, 0), |most, sample| (most.0.max(sample.0), most.1.max(sample.1)));
        println!("{options:?}: {fired} events; at most {all} KiB resident, {own} KiB of it its own");
        // Rings of 4 MiB and as much for plain events on each processor, what is being written, and the flight recorder's.
        let processors = std::thread::available_parallelism().expect("known").get() as u64;
        let bound = processors * (8 << 10) + (64 << 10) + (16 << 10);
        assert!(
            all - own.min(all) < 64 << 10 && own < bound,
            "{all} KiB resident, {own} KiB its own, over {bound}"
        );
        stdout(&folder.tracer(&["info", "run.trace"]), summary.status.code().expect("a code"));
    }
}

/// A control group that may use little memory.
struct Group(PathBuf);

impl Group {
    fn new(name: &str, bytes: u64) -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let old = root.join("memory");
        let (parent, limit) =
            if old.is_dir() { (old.as_path(), "memory.limit_in_bytes") } else { (root, "memory.max") };
        let group = Self(parent.join(format!("tracer-{name}-{}", std::process::id())));
        std::fs::create_dir(&group.0).expect("a control group can be made");
        std::fs::write(group.0.join(limit), bytes.to_string()).expect("its memory can be limited");
        group
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Once its last process is gone.
        until("the control group is removed", || std::fs::remove_dir(&self.0).is_ok());
    }
}

/// Without its priority the recorder is one of many programs that want the processor: its buffers are full all the time, and a thread
/// that is interrupted while it stores an event holds up those of all others.
#[test]
#[ignore = "needs root and eBPF"]
fn little_memory_is_enough_for_a_recorder_that_gets_little_of_the_processor() {
    const PROGRAMS: usize = 40;
    const HITS: u64 = 60_000;
    let _alone = live();
    let folder = Folder::new("group");
    let program = guarded(&folder, "target");
    let mut targets: Vec<Target> =
        (0..PROGRAMS).map(|_| Target::start(&mut Command::new(&program))).collect();
    targets.iter_mut().for_each(|target| drop(target.answer()));
    let group = Group::new("memory", 64 << 20);
    let inside = ["sh", "-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\"", group.0.to_str().expect("text")];
    let options = ["--nice", "0", "-o", "run.trace", "-e", "target:hit"];
    let recording = Recording::start_by(&folder, &inside, &options);
    targets.iter_mut().for_each(|target| target.tell(HITS));
    targets.iter_mut().for_each(|target| drop(target.answer()));
    let summary = recording.stop();
    let said = stderr(&summary);
    assert!(matches!(summary.status.code(), Some(0 | 3)), "{:?}: {said}", summary.status);
    let total = said.lines().find_map(|line| {
        let (events, lost) =
            line.strip_prefix("tracer: run.trace: ").unwrap_or(line).split_once(" events, ")?;
        let number = |text: &str| text.rsplit(' ').next()?.parse::<u64>().ok();
        Some(number(events)? + lost.split(' ').next()?.parse::<u64>().ok()?)
    });
    assert_eq!(total, Some(PROGRAMS as u64 * HITS), "{said}");
}
