//! A short, seeded fuzz run: bytes changed at random, also under sound checksums, are read without a panic and with
//! bounded work. `format-spec/fuzz` is the long one.

mod sample;

use sample::Random;
use tracer_format::block::{BLOCK_HEADER_BYTES, BLOCK_MAGIC};
use tracer_format::{Batch, Trace};

const RUNS: usize = 6000;

/// Makes the checksums of all block headers and contents right again, where there are any.
fn make_sound(bytes: &mut [u8]) {
    let mut at = 32;
    while at + BLOCK_HEADER_BYTES <= bytes.len() {
        if !bytes[at..].starts_with(&BLOCK_MAGIC) {
            at += 1;
            continue;
        }
        let len = u32::from_le_bytes(bytes[at + 12..at + 16].try_into().expect("four bytes")) as usize;
        let content = at + BLOCK_HEADER_BYTES;
        if let Some(content) = bytes.get(content..content.saturating_add(len)) {
            let checksum = crc32fast::hash(content).to_le_bytes();
            bytes[at + 64..at + 68].copy_from_slice(&checksum);
        }
        let checksum = crc32fast::hash(&bytes[at..at + 68]).to_le_bytes();
        bytes[at + 68..at + 72].copy_from_slice(&checksum);
        at += BLOCK_HEADER_BYTES;
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len());
        let len = 1 + random.below(16).min(bytes.len() - at - 1);
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => bytes[at..at + len].fill(0xff),
            3 => drop(bytes.drain(at..at + len)),
            4 => {
                let from = random.below(bytes.len() - len);
                let copy = bytes[from..from + len].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => bytes[at..at + len].iter_mut().for_each(|byte| *byte = random.next().to_le_bytes()[0]),
        }
    }
}

/// Reads all there is; gives the events and the damaged places.
fn read(bytes: &[u8]) -> (usize, usize) {
    let (mut events, mut damaged) = (0, 0);
    for trace in [Trace::open(bytes), Trace::scan(bytes)].into_iter().flatten() {
        damaged += trace.damage.len();
        let (mut batches, mut last_ns) = (trace.batches(), 0);
        while let Some(batch) = batches.next() {
            match batch {
                Batch::Events { columns, rows } => {
                    for row in rows {
                        assert!(columns.time_ns[row] >= last_ns);
                        last_ns = columns.time_ns[row];
                        events += columns.event(row).args(&trace.definitions).count().min(1);
                    }
                }
                Batch::Damaged(_) => damaged += 1,
                Batch::Gap(_) => {}
            }
        }
    }
    (events, damaged)
}

#[test]
fn mutated_traces_are_read_without_a_panic() {
    let originals = [sample::one(), sample::two(0), sample::two(5)];
    let mut random = Random(0x5eed);
    let (mut events, mut damaged) = (0, 0);
    for run in 0..RUNS {
        let mut bytes = originals[run % 3].clone();
        mutate(&mut bytes, &mut random);
        if run % 4 != 0 {
            make_sound(&mut bytes);
        }
        let read = read(&bytes);
        (events, damaged) = (events + read.0, damaged + read.1);
    }
    // Otherwise the runs would prove nothing.
    assert!(events > 100 * RUNS && damaged > RUNS, "{events} events, {damaged} damaged places");
}
