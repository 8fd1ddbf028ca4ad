//! Programs with damaged and malicious notes: each costs a line at the most, and neither time nor memory; the others are
//! recorded as ever.

use std::process::Command;

use crate::target::{Target, guarded, of_process};
use crate::tool::{Folder, Recording, TRACER, live, stderr, stdout};

/// A program's bytes, and where in them its section headers and its notes are.
#[derive(Clone)]
struct Image {
    bytes: Vec<u8>,
    headers: usize,
    /// The header of `.note.stapsdt`.
    header: usize,
    /// The first note.
    note: usize,
}

impl Image {
    fn new(bytes: Vec<u8>) -> Self {
        let mut image = Self { bytes, headers: 0, header: 0, note: 0 };
        image.headers = image.number(0x28);
        let names =
            image.headers + 64 * usize::from(u16::from_le_bytes([image.bytes[0x3e], image.bytes[0x3f]]));
        let names = image.number(names + 24);
        let name = |header: usize| names + (image.number(header) & 0xffff_ffff);
        let all = (image.headers..image.bytes.len()).step_by(64);
        let mut of_probes = all.filter(|header| image.bytes[name(*header)..].starts_with(b".note.stapsdt\0"));
        let header = of_probes.next().expect("the notes");
        Self { header, note: image.number(header + 24), ..image }
    }

    fn number(&self, at: usize) -> usize {
        let bytes = self.bytes[at..at + 8].try_into().expect("eight bytes");
        usize::try_from(u64::from_le_bytes(bytes)).expect("64 bits")
    }

    /// Where the arguments of the first note are.
    fn arguments(&self) -> usize {
        let names = b"target\0hit\0";
        let behind = self.bytes[self.note..].windows(names.len()).position(|window| window == names);
        self.note + behind.expect("the names") + names.len()
    }

    /// A copy with other bytes at a place.
    fn with(&self, at: usize, bytes: &[u8]) -> Self {
        let mut image = self.clone();
        image.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        image
    }

    /// A copy with other notes, at the end of the file.
    fn with_notes(&self, notes: &[u8]) -> Self {
        let offset = self.bytes.len() as u64;
        let mut image = self.with(self.header + 24, &offset.to_le_bytes());
        image = image.with(self.header + 32, &(notes.len() as u64).to_le_bytes());
        image.bytes.extend_from_slice(notes);
        image
    }
}

/// A note of these strings, each of which ends with a NUL, at no particular address.
fn note(strings: &[u8]) -> Vec<u8> {
    let len = |len: usize| u32::try_from(len).expect("small").to_le_bytes();
    let mut note = [&len(8)[..], &len(24 + strings.len()), &len(3), b"stapsdt\0", &[0; 24], strings].concat();
    note.resize(note.len().next_multiple_of(4), 0);
    note
}

/// Programs that run, and have something wrong with what only tracer reads.
fn malicious(good: &Image) -> Vec<(&'static str, Image)> {
    let huge = u64::MAX.to_le_bytes();
    let long = |len: usize| vec![b'x'; len];
    vec![
        ("sections-at-the-end-of-the-number-range", good.with(0x28, &(u64::MAX - 63).to_le_bytes())),
        ("sections-are-the-file-header", good.with(0x28, &0_u64.to_le_bytes()[..1]).with(0x28, &[1])),
        ("too-many-sections", good.with(0x3c, &[0, 0]).with(good.headers + 32, &huge)),
        ("sections-of-another-size", good.with(0x3a, &[1, 0])),
        ("names-in-no-section", good.with(0x3e, &[0xfe, 0xff])),
        ("endless-notes", good.with(good.header + 32, &huge)),
        ("notes-out-of-the-file", good.with(good.header + 24, &huge)),
        ("endless-note", good.with(good.note + 4, &u32::MAX.to_le_bytes())),
        ("endless-owner", good.with(good.note, &u32::MAX.to_le_bytes())),
        ("a-million-notes", good.with_notes(&note(b"p\0n\0\0").repeat(300_000))),
        ("a-long-name", good.with_notes(&note(&[&long(1 << 20)[..], b"\0n\0\0"].concat()))),
        (
            "a-long-argument-list",
            good.with_notes(&note(&[b"p\0n\0", &b"8@%rax ".repeat(100_000)[..], b"\0"].concat())),
        ),
        ("no-end-of-a-name", good.with_notes(&note(&long(100)))),
        ("strange-argument", good.with(good.arguments(), b"8@((((\0")),
        ("no-register", good.with(good.arguments(), b"9@%zz\0")),
        ("no-such-place", good.with(good.note + 20, &huge)),
        ("sections-out-of-the-file", good.with(0x3c, &[0xff, 0xff])),
    ]
}

/// Bytes changed at random, the same in every run: of the section headers and the notes.
fn random(good: &Image, seed: u64) -> Image {
    let mut image = good.clone();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 16).expect("64 bits") % below
    };
    for _ in 0..1 + next(8) {
        let at = match next(3) {
            0 => good.note + next(200),
            1 => good.headers + next(good.bytes.len() - good.headers),
            _ => good.header + next(64),
        };
        image.bytes[at] = [0, 1, 0x7f, 0x80, 0xff, good.bytes[at] ^ 0x10][next(6)];
    }
    image
}

/// `tracer list` of a file, with the memory and the time of a small program.
#[track_caller]
fn list(folder: &Folder, name: &str) -> String {
    let script = "ulimit -v 200000 && exec timeout 60 \"$0\" list \"$1\"";
    let output =
        Command::new("sh").args(["-c", script, TRACER]).arg(folder.path(name)).output().expect("sh runs");
    let said = stderr(&output);
    assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{name}: {:?} {said}", output.status);
    // What is wrong, and that there is no probe then.
    assert!(said.lines().count() <= 2 && !said.contains("panicked"), "{name}: {said}");
    said
}

#[test]
#[ignore = "needs root and eBPF"]
fn damaged_and_malicious_files_cost_a_line() {
    let _alone = live();
    let folder = Folder::new("hostile-file");
    let good = Image::new(std::fs::read(guarded(&folder, "good")).expect("read"));
    assert_eq!(list(&folder, "good"), "");
    for (name, image) in malicious(&good) {
        folder.write(name, &image.bytes);
        let said = list(&folder, name);
        println!("{name}: {}", said.trim_end());
    }
    for seed in 0..100 {
        folder.write("random", &random(&good, seed).bytes);
        list(&folder, "random");
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn malicious_programs_that_run_do_not_keep_others_from_being_recorded() {
    let _alone = live();
    let folder = Folder::new("hostile-program");
    let path = guarded(&folder, "good");
    let good = Image::new(std::fs::read(&path).expect("read"));
    let start = |(name, image): &(&str, Image)| {
        let mut target = Target::start(&mut Command::new(folder.write_program(name, &image.bytes)));
        target.answer();
        target
    };
    let images = malicious(&good);
    let (before, during) = images.split_at(images.len() / 2);
    let mut targets: Vec<Target> = before.iter().map(start).collect();
    let mut target = Target::start(&mut Command::new(&path));
    target.answer();
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "target:hit", "--print"]);
    targets.extend(during.iter().map(start));
    // A copy that starts after them all, so that they were looked at when it is found.
    let mut last = Target::start(&mut Command::new(folder.write_program("last", &good.bytes)));
    last.answer();
    last.wait_for_recorder();
    assert_eq!((target.fire(1000), last.fire(1000)), ((1, 1000), (1, 1000)));
    let summary = recording.stop();
    // Those are not recorded, and the trace says so.
    assert_eq!(summary.status.code(), Some(3), "{}", stderr(&summary));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
    for target in [&target, &last] {
        assert_eq!(of_process(&log, target.pid()).len(), 1000);
    }
    let said = stderr(&summary);
    let lines = |name: &str| said.lines().filter(|line| line.contains(&format!("/{name}:"))).count();
    for (name, _) in before {
        // Without names there is no section of notes, which is nothing to speak of.
        assert_eq!(lines(name), usize::from(*name != "names-in-no-section"), "{name}: {said}");
    }
    for (name, _) in during {
        assert!(lines(name) <= 1, "{name}: {said}");
    }
}
