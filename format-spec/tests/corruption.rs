//! Every byte flipped, every bit of the headers, bytes inserted and removed: never a panic, never a wrong event.

mod hostile;
mod sample;

use hostile::{Hostile, events_of_constants};
use sample::{ALL, EVENTS, Original, Random};
use tracer_format::block::{BLOCK_HEADER_BYTES, flag, kind};
use tracer_format::header::FILE_HEADER_BYTES;
use tracer_format::{Batch, Damage, Trace};

#[test]
fn every_byte_flipped_gives_the_same_events_or_names_the_damage() {
    let original = Original::new(sample::one());
    let mut damaged = original.bytes.clone();
    for at in 0..damaged.len() {
        for mask in [0x01, 0xff] {
            damaged[at] ^= mask;
            original.check_all_intact(&damaged, &format!("byte {at} ^ {mask:#x}"));
            damaged[at] ^= mask;
        }
    }
}

#[test]
fn every_bit_of_the_headers_flipped_is_noticed() {
    let original = Original::new(sample::one());
    let mut damaged = original.bytes.clone();
    let blocks =
        original.blocks.iter().map(|block| block.range.start..block.range.start + BLOCK_HEADER_BYTES);
    for at in std::iter::once(0..FILE_HEADER_BYTES).chain(blocks).flatten() {
        for bit in 0..8 {
            damaged[at] ^= 1 << bit;
            let [_, scanned] = original.check(&damaged, &format!("byte {at} bit {bit}"));
            assert!(scanned.named, "byte {at} bit {bit} was not noticed");
            damaged[at] ^= 1 << bit;
        }
    }
}

#[test]
fn flips_where_two_traces_meet_do_not_mix_them() {
    for trace_id in [0, 5] {
        let original = Original::new(sample::two(trace_id));
        let meet = original.bytes.len() - original.bytes.len() / 2;
        let mut damaged = original.bytes.clone();
        // From the first trace's footer to the second's first definitions; and the same with that footer gone too.
        for without_footer in [false, true] {
            if without_footer {
                let footer = original.blocks.iter().find(|block| block.header.kind == kind::FOOTER);
                damaged[footer.expect("complete").range.clone()].fill(0);
            }
            for at in meet - 200..meet + 400 {
                damaged[at] ^= 0x10;
                let what = format!("byte {at}, without footer: {without_footer}");
                if trace_id == 0 {
                    // Nothing but the file header tells the second trace's blocks from copies of the first's.
                    original.check(&damaged, &what);
                } else {
                    original.check_all_intact(&damaged, &what);
                }
                damaged[at] ^= 0x10;
            }
        }
    }
}

#[test]
fn bytes_inserted_or_removed_cost_the_block_they_are_in() {
    let original = Original::new(sample::one());
    let mut random = Random(3);
    for at in 0..original.bytes.len() {
        let count = 1 + random.below(90);
        let mut longer = original.bytes[..at].to_vec();
        longer.extend((0..count).map(|_| random.next().to_le_bytes()[0]));
        longer.extend(&original.bytes[at..]);
        let mut shorter = original.bytes.clone();
        shorter.drain(at..(at + count).min(shorter.len()));
        for (damaged, what) in [(longer, "inserted"), (shorter, "removed")] {
            for read in original.check(&damaged, &format!("{count} bytes {what} at {at}")) {
                // At most: the two blocks that 90 bytes can touch, with their events.
                assert!(
                    read.events.len() >= ALL - 2 * EVENTS,
                    "{count} bytes {what} at {at}: {}",
                    read.events.len()
                );
            }
        }
    }
}

#[test]
fn a_block_that_stands_twice_is_read_once() {
    let original = Original::new(sample::one());
    for block in &original.blocks {
        let mut damaged = original.bytes.clone();
        damaged.splice(block.range.end..block.range.end, original.bytes[block.range.clone()].iter().copied());
        for read in original.check(&damaged, &format!("block at {} twice", block.range.start)) {
            assert!(read.named && read.events.len() == ALL);
        }
    }
}

#[test]
fn blocks_of_another_trace_are_not_mixed_in() {
    let (mut original, other) = (Original::new(sample::one()), Original::new(sample::two(5)));
    // Gaps need no definitions, so they are read, as another part's.
    original.foreign_gaps = other.gaps();
    // What a file system could leave: a block of an old file in place of one of ours.
    for block in &original.blocks {
        for foreign in &other.blocks {
            let mut damaged = original.bytes.clone();
            damaged.splice(block.range.clone(), other.bytes[foreign.range.clone()].iter().copied());
            let read = original.check(&damaged, "a foreign block");
            assert!(read.iter().all(|read| read.events.len() >= ALL - EVENTS));
        }
    }
}

#[test]
fn a_block_taken_out_is_missed() {
    let original = Original::new(sample::one());
    for (number, block) in original.blocks.iter().enumerate() {
        let mut damaged = original.bytes.clone();
        damaged.drain(block.range.clone());
        let what = format!("block {number} taken out");
        original.check_all_intact(&damaged, &what);
        let trace = Trace::open(&damaged).expect("a trace");
        let missing = trace.damage.iter().any(|range| range.damage == Damage::Missing { count: 1 });
        // The last block leaves no hole.
        assert_eq!(missing, number + 1 < original.blocks.len(), "{what}: {:?}", trace.damage);
        assert!(missing || !trace.complete, "{what}");
    }
}

#[test]
fn an_index_cannot_bring_in_a_block_of_another_trace() {
    let event = |trace_id: u64| {
        let mut file = Hostile::new().defined(1);
        let at = file.bytes.len() as u64;
        let (content, _) = events_of_constants(1, 1);
        file.trace_id = trace_id;
        file = file.block(kind::EVENTS, 1, &content);
        let stored_bytes = u32::try_from(content.len()).expect("a few bytes");
        file.trace_id = 1;
        file.index_of_rows(1, |row| {
            (row.offset, row.kind) = (at.into(), kind::EVENTS);
            (row.count, row.stored_bytes) = (1.into(), stored_bytes.into());
        })
    };
    for (trace_id, expected) in [(1, true), (2, false)] {
        let file = event(trace_id);
        let trace = Trace::open(&file.bytes).expect("a trace");
        assert!(trace.complete && trace.blocks.len() == 1, "opened by its index");
        let batch = trace.batches().next().map(|batch| matches!(batch, Batch::Events { .. }));
        assert_eq!(batch, Some(expected), "a block of trace {trace_id} in trace 1");
    }
}

#[test]
fn an_index_cannot_bring_in_a_block_twice() {
    let (content, _) = events_of_constants(1, 1);
    let defined = Hostile::new().defined(1);
    let at = defined.bytes.len() as u64;
    let stored_bytes = u32::try_from(content.len()).expect("a few bytes");
    let file = defined.block(kind::EVENTS, 1, &content).index_of_rows(2, |row| {
        (row.offset, row.kind) = (at.into(), kind::EVENTS);
        (row.count, row.stored_bytes) = (1.into(), stored_bytes.into());
    });
    let trace = Trace::open(&file.bytes).expect("a trace");
    assert_eq!(trace.events(), 1);
}

#[test]
fn a_thread_whose_process_is_lost_has_no_events() {
    let (content, _) = events_of_constants(1, 1);
    for (process, read) in [(0, true), (1, false)] {
        // Process 1 makes a place for process 0, which is not defined.
        let file = Hostile::new().definition(2, process, &[0; 7]).definition(3, 0, &[0, 7]);
        let file = file.definition(4, 0, &[1, b'a', 1, b'b', 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x18]);
        let file = file.block(kind::EVENTS, 1, &content);
        let trace = Trace::open(&file.bytes).expect("a trace");
        let events = trace.batches().next().map(|batch| matches!(batch, Batch::Events { .. }));
        assert_eq!(events, Some(read), "process {process} is defined");
    }
}

#[test]
fn an_index_that_says_something_else_than_the_block_is_not_believed() {
    let (content, _) = events_of_constants(1, 1);
    let defined = Hostile::new().defined(1);
    let at = defined.bytes.len() as u64;
    let stored_bytes = u32::try_from(content.len()).expect("a few bytes");
    let file = defined.block(kind::EVENTS, 1, &content).index_of_rows(1, |row| {
        (row.offset, row.kind) = (at.into(), kind::EVENTS);
        (row.count, row.stored_bytes) = (2.into(), stored_bytes.into());
    });
    let trace = Trace::open(&file.bytes).expect("a trace");
    assert!(matches!(trace.batches().next(), Some(Batch::Damaged(_))));
}

#[test]
fn a_trace_behind_a_block_that_is_cut_off_far_from_its_end_is_found() {
    let mut cut = Hostile::new();
    cut.header(kind::EVENTS, |header| header.stored_bytes = 100_000.into());
    let (content, _) = events_of_constants(1, 1);
    let second = Hostile::empty().part(2).defined(1).block(kind::EVENTS, 1, &content);
    let bytes = [&cut.bytes[..], &[7; 50], &second.bytes].concat();
    let trace = Trace::open(&bytes).expect("a trace");
    assert!(
        matches!(trace.damage[0].damage, Damage::Truncated { expected: 100_072, .. }),
        "{:?}",
        trace.damage
    );
    assert_eq!((trace.events(), trace.complete), (1, false));
}

/// A header with this number and trace id that claims 300 bytes; other bytes follow.
fn stray(sequence: u32, trace_id: u64) -> Vec<u8> {
    let mut stray = Hostile::empty();
    stray.header(kind::EVENTS, |header| {
        header.trace_id = trace_id.into();
        header.sequence = sequence.into();
        header.stored_bytes = 300.into();
        header.count = 9.into();
    });
    stray.bytes
}

#[test]
fn one_stray_header_does_not_cost_the_rest() {
    let original = Original::new(sample::one());
    // Without its footer nothing is restated: what is lost stays lost.
    let footer = original.blocks.iter().find(|block| block.header.kind == kind::FOOTER).expect("complete");
    let restated =
        original.blocks.iter().find(|block| block.header.flags & flag::RESTATED != 0).expect("complete");
    assert!(restated.range.start < footer.range.start);
    for (sequence, trace_id) in [(1 << 30, 0xfeed), (0, 0xfeed), (3, 77), (1 << 30, 77)] {
        for block in original.blocks.iter().filter(|block| block.range.start < restated.range.start).skip(1) {
            let at = block.range.start;
            let damaged = [
                &original.bytes[..at],
                &stray(sequence, trace_id),
                &original.bytes[at..restated.range.start],
            ]
            .concat();
            for read in original.check(&damaged, &format!("stray {sequence} of {trace_id} at {at}")) {
                assert_eq!(read.events.len(), ALL, "stray {sequence} of {trace_id} at {at}");
            }
        }
    }
}

#[test]
fn a_whole_block_of_another_trace_does_not_cost_the_rest() {
    let (original, other) = (Original::new(sample::one()), Original::new(sample::two(5)));
    let restated =
        original.blocks.iter().find(|block| block.header.flags & flag::RESTATED != 0).expect("complete");
    let foreign = other.blocks.iter().find(|block| block.header.kind == kind::EVENTS).expect("events");
    for block in original.blocks.iter().filter(|block| block.range.start < restated.range.start).skip(1) {
        let at = block.range.start;
        let foreign = &other.bytes[foreign.range.clone()];
        let damaged = [&original.bytes[..at], foreign, &original.bytes[at..restated.range.start]].concat();
        for read in original.check(&damaged, &format!("a foreign block at {at}")) {
            assert!(read.named);
            assert_eq!(read.events.len(), ALL, "at {at}");
        }
    }
}

#[test]
fn a_file_is_incomplete_if_any_part_is() {
    let (whole, other) = (sample::one(), sample::two(5));
    let cut = &whole[..whole.len() / 2];
    for (bytes, complete) in [
        ([cut, &other].concat(), false),
        ([&other, cut].concat(), false),
        ([&whole[..], &other].concat(), true),
    ] {
        for trace in [Trace::open(&bytes), Trace::scan(&bytes)] {
            assert_eq!(trace.expect("a trace").complete, complete);
        }
    }
}

#[test]
fn gaps_and_clocks_stand_twice_and_one_of_them_is_enough() {
    let original = Original::new(sample::one());
    let whole = Trace::open(&original.bytes).expect("a trace");
    for block in original.blocks.iter().filter(|block| matches!(block.header.kind, kind::GAPS | kind::CLOCKS))
    {
        let mut damaged = original.bytes.clone();
        damaged[block.range.end - 1] ^= 1;
        for trace in [Trace::open(&damaged), Trace::scan(&damaged)] {
            let trace = trace.expect("a trace");
            assert_eq!((&trace.gaps, &trace.clocks), (&whole.gaps, &whole.clocks));
        }
    }
}
