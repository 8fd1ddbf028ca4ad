//! A trace that comes in pieces gives what the whole file gives, and nothing that was not recorded, whatever is done to it.

mod sample;

use sample::{Original, fingerprint};
use tracer_format::block::{flag, kind};
use tracer_format::{Rest, Result, Step, Stream};

/// What came out of a stream.
#[derive(Debug, Default, PartialEq)]
struct Came {
    events: Vec<u64>,
    gaps: Vec<(u64, u64, u64)>,
    damaged: usize,
    complete: bool,
}

fn take(stream: &mut Stream, rest: Rest, came: &mut Came) -> Result<()> {
    while let Some(step) = stream.next(rest)? {
        match step {
            Step::Events => {
                let (columns, definitions) = (stream.columns(), &stream.known().definitions);
                came.events.extend((0..columns.len()).map(|row| fingerprint(columns, row, definitions)));
            }
            Step::Gap(gap) => came.gaps.push((gap.from_ns, gap.to_ns, gap.count)),
            Step::Damaged(_) => came.damaged += 1,
        }
    }
    Ok(())
}

fn read(bytes: &[u8], piece: usize) -> Result<Came> {
    let (mut stream, mut came) = (Stream::new(), Came::default());
    for piece in bytes.chunks(piece) {
        stream.push(piece);
        take(&mut stream, Rest::Comes, &mut came)?;
    }
    take(&mut stream, Rest::Ends, &mut came)?;
    came.complete = stream.is_complete();
    Ok(came)
}

#[test]
fn pieces_of_any_size_give_the_whole_trace() {
    for original in [Original::new(sample::one()), Original::new(sample::two(5))] {
        let events: Vec<u64> = original.blocks.iter().flat_map(|block| block.events.clone()).collect();
        for piece in [1, 2, 31, 72, 100, 1000, original.bytes.len()] {
            let came = read(&original.bytes, piece).expect("a trace");
            assert_eq!(came.events, events, "pieces of {piece}");
            assert_eq!(came.gaps.len(), original.gaps().len(), "pieces of {piece}");
            assert_eq!((came.damaged, came.complete), (0, true), "pieces of {piece}");
        }
    }
}

#[test]
fn each_flush_comes_when_the_writer_rests_and_its_gaps_before_it() {
    let original = Original::new(sample::one());
    let (mut stream, mut came) = (Stream::new(), Came::default());
    let (mut start, mut flushes) = (0, 0);
    for block in &original.blocks {
        let events = came.events.len();
        stream.push(&original.bytes[start..block.range.end]);
        start = block.range.end;
        take(&mut stream, Rest::Comes, &mut came).expect("a trace");
        match block.header.kind {
            // They wait: gaps of the same flush may follow.
            kind::EVENTS => assert_eq!(came.events.len(), events),
            kind::GAPS if block.header.flags & flag::RESTATED == 0 => {
                flushes += 1;
                assert_eq!((came.gaps.len(), came.events.len()), (flushes, events));
                take(&mut stream, Rest::Waits, &mut came).expect("a trace");
                assert_eq!(came.events.len(), flushes * sample::EVENTS);
            }
            _ => {}
        }
    }
    assert_eq!((flushes, stream.is_complete(), stream.disordered()), (8, true, 0));
}

#[test]
fn blocks_that_overlap_are_told() {
    let bytes = sample::two(5);
    let mut stream = Stream::new();
    stream.push(&bytes);
    take(&mut stream, Rest::Ends, &mut Came::default()).expect("a trace");
    assert!(stream.disordered() > 0);
}

#[test]
fn a_trace_cut_at_any_byte_gives_its_whole_blocks() {
    let original = Original::new(sample::one());
    for len in 0..original.bytes.len() {
        let Ok(came) = read(&original.bytes[..len], 150) else {
            assert!(len < 32, "{len} bytes are the beginning of a trace");
            continue;
        };
        let whole = original.blocks.iter().filter(|block| block.range.end <= len);
        let events: Vec<u64> = whole.flat_map(|block| block.events.clone()).collect();
        assert_eq!((came.events, came.damaged, came.complete), (events, 0, false), "{len} bytes");
    }
}

#[test]
fn a_flipped_byte_gives_the_same_events_or_names_the_damage() {
    let original = Original::new(sample::one());
    let events: Vec<u64> = original.blocks.iter().flat_map(|block| block.events.clone()).collect();
    let mut damaged = original.bytes.clone();
    for at in 0..damaged.len() {
        for piece in [113, damaged.len()] {
            damaged[at] ^= 0x81;
            let came = read(&damaged, piece);
            damaged[at] ^= 0x81;
            let Ok(came) = came else { continue };
            let mut rest = events.iter();
            let known = came.events.iter().all(|event| rest.any(|known| known == event));
            assert!(known, "byte {at}, pieces of {piece}: an event that was not recorded, or out of place");
            let lacks = came.events.len() < events.len() || came.gaps.len() < original.gaps().len();
            assert!(!lacks || came.damaged > 0 || !came.complete, "byte {at}, pieces of {piece}: silence");
        }
    }
}

#[test]
fn where_bytes_lack_small_pieces_lose_no_more_than_large_ones() {
    let original = Original::new(sample::one());
    let events = original.blocks.iter().filter(|block| block.header.kind == kind::EVENTS);
    for block in events {
        let mut shorter = original.bytes.clone();
        shorter.drain(block.range.end - 30..block.range.end - 10);
        let whole = read(&shorter, shorter.len()).expect("a trace");
        assert_eq!((whole.events.len(), whole.gaps.len()), (sample::ALL - sample::EVENTS, 8));
        let pieces = read(&shorter, 1).expect("a trace");
        assert!((pieces.events, pieces.gaps) == (whole.events, whole.gaps) && pieces.damaged > 0);
    }
}
