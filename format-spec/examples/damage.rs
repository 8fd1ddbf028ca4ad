//! Damages traces in every way there is and reads what is left: the tests of this crate, on more files, and counted.
//!
//! `cargo run --release -p tracer-format --example damage [--short] [KIND]... -- [TRACE]...` prints for each kind how many damaged
//! files were read. What is wrong with one of them is a panic that names it.

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::io;
use std::time::Instant;

use sample::{Original, Random};
use tracer_format::block::kind;
use tracer_format::{Error, Trace};

/// Bytes that a disk writes at once, and that a file system does.
const SECTORS: [usize; 2] = [512, 4096];

/// A way to damage a trace; gives how many damaged ones were read.
type Kind = fn(&Original, bool) -> u64;

const KINDS: &[(&str, &str, Kind)] = &[
    ("truncation", "cut off at every byte", truncation),
    ("zero-tail", "zeros from every byte on", zero_tail),
    ("bit-flip", "every bit flipped", bit_flip),
    ("byte-flip", "every byte changed to other values", byte_flip),
    ("zero-sector", "runs of sectors zeroed, at several offsets", zero_sector),
    ("shift", "bytes inserted and removed at every place", shift),
    ("exchanged-sectors", "sectors exchanged", exchanged_sectors),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let short = args.iter().any(|arg| arg == "--short");
    let (files, names): (Vec<&String>, Vec<&String>) =
        args.iter().filter(|arg| *arg != "--short").partition(|arg| arg.ends_with(".trace"));
    let mut originals = vec![Original::new(sample::one()), Original::new(sample::two(5))];
    for path in files {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        // A sample may be one that was cut off: there is nothing to compare with.
        match Trace::scan(&bytes) {
            Ok(trace) if trace.complete && trace.damage.is_empty() => originals.push(Original::new(bytes)),
            _ => println!("{path}: left out, it is not whole"),
        }
    }
    let bytes: usize = originals.iter().map(|original| original.bytes.len()).sum();
    println!("{} traces, {bytes} bytes", originals.len());
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| *wanted == name);
    for (name, what, kind) in KINDS.iter().filter(|(name, ..)| wanted(name)) {
        let begin = Instant::now();
        let count: u64 = originals.iter().map(|original| kind(original, short)).sum();
        println!("damage {name}: {count} files, {what} ({:.1} s)", begin.elapsed().as_secs_f64());
    }
    if wanted("writer") {
        let begin = Instant::now();
        let count = failing_writers(&originals[0], short) + short_writes(&originals[0]);
        let what = "a sink that fails at every byte, or takes 1 to 64 bytes at a time";
        println!("damage writer: {count} files, {what} ({:.1} s)", begin.elapsed().as_secs_f64());
    }
}

/// Every place in `len` bytes; with `short`, some.
fn places(len: usize, short: bool) -> impl Iterator<Item = usize> {
    (0..len).step_by(if short { 31 } else { 1 })
}

fn truncation(original: &Original, short: bool) -> u64 {
    // The first of two traces is whole without the second.
    let footers = original.blocks.iter().filter(|block| block.header.kind == kind::FOOTER);
    let ends: Vec<usize> = footers.map(|block| block.range.end).collect();
    let cut = |len: &usize| original.check_all_intact(&original.bytes[..*len], &format!("cut at {len}"));
    places(original.bytes.len(), short).filter(|len| !ends.contains(len)).inspect(cut).count() as u64
}

fn zero_tail(original: &Original, short: bool) -> u64 {
    let zero = |len: usize| {
        let mut zeroed = original.bytes.clone();
        zeroed[len..].fill(0);
        original.check_all_intact(&zeroed, &format!("zeros from {len} on"));
    };
    places(original.bytes.len(), short).map(zero).count() as u64
}

/// Reads the trace with each of `masks` applied to each byte.
fn flipped(original: &Original, short: bool, masks: &[u8]) -> u64 {
    let mut damaged = original.bytes.clone();
    let mut count = 0;
    for at in places(original.bytes.len(), short) {
        for mask in masks {
            damaged[at] ^= mask;
            original.check_all_intact(&damaged, &format!("byte {at} ^ {mask:#x}"));
            damaged[at] ^= mask;
            count += 1;
        }
    }
    count
}

fn bit_flip(original: &Original, short: bool) -> u64 {
    flipped(original, short, &[0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80])
}

fn byte_flip(original: &Original, short: bool) -> u64 {
    let others = [0xff, 0x7f, 0x81, 0x03, 0x55, 0xaa, 0x0f, 0xf0];
    flipped(original, short, &others[..if short { 1 } else { others.len() }])
}

fn zero_sector(original: &Original, short: bool) -> u64 {
    let len = original.bytes.len();
    let mut count = 0;
    for sector in SECTORS {
        // The file may begin anywhere in the image of a disk.
        for shift in (0..sector).step_by(if short { sector / 4 } else { 13 }) {
            for first in 0..len.div_ceil(sector) {
                for run in 1..=3 {
                    let begin = (first * sector + shift).min(len);
                    let mut zeroed = original.bytes.clone();
                    zeroed[begin..(begin + run * sector).min(len)].fill(0);
                    original.check_all_intact(&zeroed, &format!("{run} sectors of zeros from {begin} on"));
                    count += 1;
                }
            }
        }
    }
    count
}

fn shift(original: &Original, short: bool) -> u64 {
    let mut random = Random(3);
    let mut count = 0;
    for at in places(original.bytes.len(), short) {
        let len = 1 + random.below(90);
        let mut longer = original.bytes[..at].to_vec();
        longer.extend((0..len).map(|_| random.next().to_le_bytes()[0]));
        longer.extend(&original.bytes[at..]);
        let mut shorter = original.bytes.clone();
        shorter.drain(at..(at + len).min(shorter.len()));
        for (damaged, what) in [(longer, "inserted"), (shorter, "removed")] {
            original.check(&damaged, &format!("{len} bytes {what} at {at}"));
            count += 1;
        }
    }
    count
}

/// What a disk gives that wrote a sector to the wrong place.
fn exchanged_sectors(original: &Original, short: bool) -> u64 {
    let sectors = original.bytes.len() / SECTORS[0];
    let mut count = 0;
    for one in 0..sectors {
        for other in (one + 1..sectors).step_by(if short { 7 } else { 1 }) {
            let mut damaged = original.bytes.clone();
            let (before, after) = damaged.split_at_mut(other * SECTORS[0]);
            before[one * SECTORS[0]..][..SECTORS[0]].swap_with_slice(&mut after[..SECTORS[0]]);
            original.check(&damaged, &format!("sectors {one} and {other} exchanged"));
            count += 1;
        }
    }
    count
}

/// Takes `left` bytes, at most `step` at a time, and fails then.
struct Failing {
    taken: Vec<u8>,
    left: usize,
    step: usize,
}

impl io::Write for &mut Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::from_raw_os_error(28));
        }
        let len = bytes.len().min(self.step).min(self.left);
        self.left -= len;
        self.taken.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failing_writers(original: &Original, short: bool) -> u64 {
    let fail = |left: usize| {
        let mut sink = Failing { taken: Vec::new(), left, step: usize::MAX };
        let error = sample::write_to(&mut sink, 0xfeed, 1_000_000).err();
        assert!(matches!(&error, Some(Error::Io(_))), "{left}: {error:?}");
        assert_eq!(sink.taken, original.bytes[..left], "{left} bytes were taken");
        original.check_all_intact(&sink.taken, &format!("{left} bytes were taken"));
    };
    places(original.bytes.len(), short).map(fail).count() as u64
}

fn short_writes(original: &Original) -> u64 {
    let write = |step: usize| {
        let mut sink = Failing { taken: Vec::new(), left: usize::MAX, step };
        sample::write_to(&mut sink, 0xfeed, 1_000_000).expect("takes all");
        assert_eq!(sink.taken, original.bytes, "{step} bytes at a time");
    };
    (1..=64).map(write).count() as u64
}
