//! Hundreds of recordings leave nothing behind, however they end: no BPF object in the kernel, no semaphore in the target.

use std::collections::BTreeSet;
use std::process::Command;

use crate::target::{Target, guarded, until};
use crate::tool::{Folder, Recording, live, stderr};

/// Kind and id of every BPF object of this kernel. One that goes at this moment is left out.
fn bpf_objects() -> BTreeSet<(&'static str, u32)> {
    let links = aya::programs::loaded_links().filter_map(|link| Some(("link", link.ok()?.id())));
    let programs =
        aya::programs::loaded_programs().filter_map(|program| Some(("program", program.ok()?.id())));
    let maps = aya::maps::loaded_maps().filter_map(|map| Some(("map", map.ok()?.id())));
    links.chain(programs).chain(maps).collect()
}

/// Objects that other processes of this machine hold with a descriptor: those of other tools.
fn held() -> BTreeSet<(&'static str, u32)> {
    let of_directory = |path: &std::path::Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let descriptors =
        of_directory("/proc".as_ref()).flat_map(|process| of_directory(&process.path().join("fdinfo")));
    let mut held = BTreeSet::new();
    for descriptor in descriptors {
        let facts = std::fs::read_to_string(descriptor.path()).unwrap_or_default();
        for (kind, mark) in [("link", "link_id:\t"), ("program", "prog_id:\t"), ("map", "map_id:\t")] {
            let ids = facts.lines().filter_map(|line| line.strip_prefix(mark)?.parse().ok());
            held.extend(ids.map(|id| (kind, id)));
        }
    }
    held
}

#[test]
#[ignore = "needs root and eBPF"]
fn two_hundred_recordings_leave_nothing_behind() {
    let _alone = live();
    let folder = Folder::new("leak");
    let mut target = Target::start(&mut Command::new(guarded(&folder, "target")));
    target.answer();
    let pid = target.pid().to_string();
    let before = bpf_objects();
    for cycle in 0..200 {
        let mode = if cycle % 10 == 0 { "perf" } else { "multi" };
        let args =
            ["-f", "-o", "run.trace", "-e", "target:hit", "-p", &pid, "--ring-size", "64K", "--attach", mode];
        let mut recording = Recording::start(&folder, &args);
        assert_eq!(target.fire(1).0, 1, "cycle {cycle}");
        if cycle == 0 {
            let kinds: BTreeSet<&str> = bpf_objects().difference(&before).map(|object| object.0).collect();
            assert_eq!(kinds, BTreeSet::from(["link", "map", "program"]), "a recording is not seen");
        }
        if cycle % 3 == 0 {
            recording.child.kill().expect("killed");
            recording.child.wait().expect("gone");
            until("the semaphore is zero after kill -9", || target.fire(0).0 == 0);
        } else {
            let summary = recording.stop();
            assert_eq!(summary.status.code(), Some(0), "cycle {cycle}: {}", stderr(&summary));
            assert_eq!(target.fire(0).0, 0, "cycle {cycle}");
        }
    }
    assert_eq!(target.fire(1), (0, 200), "each recording was seen once");
    let left = || {
        let now = bpf_objects();
        &(&now - &before) - &held()
    };
    // The kernel frees them a moment later.
    until("the objects are gone", || left().is_empty());
}
