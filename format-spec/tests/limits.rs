//! One above each limit is refused before anything is allocated for it, and a hostile file of 1 KB costs a few MB.

#![expect(clippy::cast_possible_truncation, reason = "the limits are far below 2^32")]

mod hostile;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use hostile::{Hostile, events_of_constants, varint, zeros_frame};
use tracer_format::block::kind;
use tracer_format::limits::*;
use tracer_format::{
    ArgKind, Batch, BlockDecoder, Columns, Damage, Definition, Error, Firing, Host, Process, Result, Site,
    SiteId, Thread, ThreadId, Trace, Writer, WriterOptions,
};

/// Counts what is allocated: how much now, and at most.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed to the system's allocator as it is; counting touches nothing of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `at` came from `alloc` above, which is the system's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time: the counts are of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Opens `bytes` both ways and reads all that can be read; gives all damage, and the most bytes allocated meanwhile.
fn read(bytes: &[u8]) -> (Vec<Damage>, usize) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let mut damage = Vec::new();
    for trace in [Trace::open(bytes), Trace::scan(bytes)].into_iter().flatten() {
        damage.extend(trace.damage.iter().map(|range| range.damage));
        let mut batches = trace.batches();
        while let Some(batch) = batches.next() {
            if let Batch::Damaged(range) = batch {
                damage.push(range.damage);
            }
        }
    }
    (damage, PEAK.load(Relaxed) - before)
}

/// Reads a trace with one block in which something is one above its limit.
#[track_caller]
fn refused(hostile: &Hostile, what: &'static str, len: u64, max: usize) {
    let (damage, peak) = read(&hostile.bytes);
    let expected = Damage::Limit { what, len, max: max as u64 };
    assert!(damage.contains(&expected), "{expected} was expected: {damage:?}");
    assert!(peak < (24 << 20) + hostile.bytes.len(), "{what}: {peak} bytes");
}

#[test]
fn events_of_a_block() {
    let _alone = alone();
    let (content, _) = events_of_constants(MAX_BLOCK_EVENTS, 1);
    let sound = Hostile::new().defined(1).block(kind::EVENTS, MAX_BLOCK_EVENTS as u32, &content);
    assert_eq!(read(&sound.bytes).0, []);
    let hostile = Hostile::new().defined(1).block(kind::EVENTS, MAX_BLOCK_EVENTS as u32 + 1, &content);
    refused(&hostile, "events", MAX_BLOCK_EVENTS as u64 + 1, MAX_BLOCK_EVENTS);
}

#[test]
fn values_and_arguments_of_a_block() {
    let _alone = alone();
    let count = MAX_BLOCK_EVENTS;
    let (content, _) = events_of_constants(count, 4);
    assert_eq!(read(&Hostile::new().defined(4).block(kind::EVENTS, count as u32, &content).bytes).0, []);
    let (content, _) = events_of_constants(count, 5);
    let hostile = Hostile::new().defined(5).block(kind::EVENTS, count as u32, &content);
    refused(&hostile, "argument values", 5 * count as u64, MAX_BLOCK_VALUES);

    let (content, _) = events_of_constants(10, MAX_ARGUMENTS + 1);
    let hostile = Hostile::new().block(kind::EVENTS, 10, &content);
    refused(&hostile, "arguments", MAX_ARGUMENTS as u64 + 1, MAX_ARGUMENTS);
}

#[test]
fn strings_of_a_block() {
    let _alone = alone();
    let with = |strings: usize, width: u8, len: u16| {
        let (mut content, end) = events_of_constants(1, 1);
        content.truncate(end);
        varint(&mut content, strings as u64);
        content.push(if width > 0 { 64 + width } else { 0 });
        for byte in len.to_le_bytes().into_iter().take(width.into()) {
            content.extend([0, byte]);
        }
        if width > 0 {
            content.extend([0, 0]);
        }
        Hostile::new().defined(1).block(kind::EVENTS, 1, &content)
    };
    let longest = MAX_STRING_ARGUMENT_BYTES as u16;
    assert_eq!(read(&with(MAX_BLOCK_STRING_BYTES / MAX_STRING_ARGUMENT_BYTES, 2, longest).bytes).0, []);
    let over = MAX_BLOCK_STRING_BYTES / MAX_STRING_ARGUMENT_BYTES + 1;
    let bytes = (over * MAX_STRING_ARGUMENT_BYTES) as u64;
    refused(&with(over, 2, longest), "string bytes", bytes, MAX_BLOCK_STRING_BYTES);
    refused(&with(1, 2, longest + 1), "bytes of a string", longest as u64 + 1, MAX_STRING_ARGUMENT_BYTES);
    assert_eq!(read(&with(MAX_BLOCK_VALUES, 0, 0).bytes).0, []);
    refused(&with(MAX_BLOCK_VALUES + 1, 0, 0), "strings", MAX_BLOCK_VALUES as u64 + 1, MAX_BLOCK_VALUES);
}

#[test]
fn threads_and_sites_of_a_block() {
    let _alone = alone();
    for (sites_first, what) in [(false, "threads of a block"), (true, "sites of a block")] {
        let mut content = Vec::new();
        if sites_first {
            content.extend([1, 0]);
        }
        varint(&mut content, 1 << 60);
        content.push(0);
        refused(&Hostile::new().block(kind::EVENTS, 7, &content), what, 1 << 60, 7);
    }
}

#[test]
fn stored_bytes_and_numbers_of_blocks() {
    let _alone = alone();
    let mut hostile = Hostile::new();
    hostile.header(kind::EVENTS, |header| header.stored_bytes = (MAX_STORED_BYTES as u32 + 1).into());
    refused(&hostile, "stored bytes", MAX_STORED_BYTES as u64 + 1, MAX_STORED_BYTES);
    let mut hostile = Hostile::new();
    hostile.header(kind::FOOTER, |header| header.sequence = (MAX_BLOCKS as u32).into());
    refused(&hostile, "block number", MAX_BLOCKS as u64, MAX_BLOCKS - 1);
}

#[test]
fn definitions() {
    let _alone = alone();
    let plane = |len: u64| {
        let mut content = Vec::new();
        varint(&mut content, len);
        content.extend([0, 9]);
        Hostile::new().block(kind::DEFINITIONS, 1, &content)
    };
    let max = MAX_DEFINITIONS_BYTES;
    refused(&plane(max as u64 + 1), "definition bytes", max as u64 + 1, max);

    let text = |len: usize| {
        [
            vec![0; 0],
            {
                let mut v = Vec::new();
                varint(&mut v, len as u64);
                v
            },
            vec![b'x'; len],
        ]
        .concat()
    };
    let host = |name: &[u8], words: &[u8]| Hostile::new().definition(1, 0, &[name, &[0; 5], words].concat());
    assert_eq!(read(&host(&text(MAX_NAME_BYTES), &[0]).bytes).0, []);
    refused(&host(&text(MAX_NAME_BYTES + 1), &[0]), "name bytes", MAX_NAME_BYTES as u64 + 1, MAX_NAME_BYTES);
    let words = |count: usize| {
        [
            {
                let mut v = Vec::new();
                varint(&mut v, count as u64);
                v
            },
            vec![0; count],
        ]
        .concat()
    };
    assert_eq!(read(&host(&[0], &words(MAX_COMMAND_WORDS)).bytes).0, []);
    let max = MAX_COMMAND_WORDS;
    refused(&host(&[0], &words(max + 1)), "words", max as u64 + 1, max);
    let max = MAX_ARGUMENTS;
    let site = |args: usize| {
        let body = [vec![1, b'a', 1, b'b'], vec![0; 8], vec![args as u8], vec![0x18; args]].concat();
        Hostile::new().definition(4, 0, &body)
    };
    assert_eq!(read(&site(max).bytes).0, []);
    refused(&site(max + 1), "arguments", max as u64 + 1, max);
}

#[test]
fn weight_of_definitions() {
    let _alone = alone();
    // Processes whose command lines are empty words: a byte each in the file, a string each in memory.
    let body = [&[0, 1, 0, 0, 0, 0, 0x80, 2][..], &[0; MAX_COMMAND_WORDS]].concat();
    let weight = DEFINITION_WEIGHT + body.len() + WORD_WEIGHT * MAX_COMMAND_WORDS;
    let processes = |ids: std::ops::Range<u64>| {
        let mut bytes = Vec::new();
        for id in ids.clone() {
            bytes.push(2);
            varint(&mut bytes, id);
            varint(&mut bytes, body.len() as u64);
            bytes.extend_from_slice(&body);
        }
        let frame = zstd::bulk::compress(&bytes, 3).expect("compressed");
        let mut content = Vec::new();
        varint(&mut content, bytes.len() as u64);
        content.push(2);
        varint(&mut content, frame.len() as u64);
        content.extend(frame);
        ((ids.end - ids.start) as u32, content)
    };
    let file = |counts: &[u64]| {
        // An unknown block that may be skipped, so that ids may be that high.
        let mut hostile = Hostile::new().block(200, 0, &[1; 6000]);
        let mut first = 0;
        for &count in counts {
            let (count, content) = processes(first..first + count);
            hostile = hostile.block(kind::DEFINITIONS, count, &content);
            first += u64::from(count);
        }
        hostile
    };
    let most = (MIN_DEFINITIONS_WEIGHT + WEIGHT_PER_BYTE * 6000) / weight;
    assert_eq!(read(&file(&[most as u64]).bytes).0, []);
    // The same definitions again weigh nothing.
    let (count, content) = processes(0..most as u64);
    assert_eq!(read(&file(&[most as u64]).block(kind::DEFINITIONS, count, &content).bytes).0, []);
    let hostile = file(&[most as u64, most as u64]);
    let (damage, peak) = read(&hostile.bytes);
    let max = MIN_DEFINITIONS_WEIGHT + WEIGHT_PER_BYTE * hostile.bytes.len();
    let over = |damage: &Damage| {
        matches!(*damage, Damage::Limit { what: "weight of all definitions", len, max: limit }
            if len > limit && limit <= max as u64)
    };
    assert!(damage.iter().any(over), "{damage:?}");
    assert!(peak < 2 * max, "{peak} bytes");
}

#[test]
fn ids_of_definitions() {
    let _alone = alone();
    let thread = [0, 5];
    let bytes = Hostile::new().definition(3, 0, &thread).bytes.len() as u64;
    // The id takes a byte, then two: the same length for all ids below 128, and from 128 to 16383.
    refused(&Hostile::new().definition(3, bytes, &thread), "definition id", bytes, bytes as usize - 1);
    assert_eq!(read(&Hostile::new().definition(3, bytes - 1, &thread).bytes).0, []);
    // Far enough into a file that ids may be that high.
    let far = || Hostile::new().block(200, 0, &vec![1; 4_200_000]);
    let id = MAX_DEFINITIONS as u64;
    assert_eq!(read(&far().definition(3, id - 1, &thread).bytes).0, []);
    refused(&far().definition(3, id, &thread), "definitions", id, MAX_DEFINITIONS);
}

#[test]
fn gaps_and_anchors_of_a_block() {
    let _alone = alone();
    for kind in [kind::GAPS, kind::CLOCKS] {
        let count = MAX_BLOCK_RECORDS;
        let block = |count: usize| Hostile::new().block(kind, count as u32, &vec![0; 40 * count]);
        assert_eq!(read(&block(count).bytes).0, []);
        refused(&block(count + 1), "gaps or anchors", count as u64 + 1, count);
    }
}

#[test]
fn writers_refuse_or_cut_what_is_over() -> Result<()> {
    let _alone = alone();
    let mut writer = Writer::new(Vec::new(), WriterOptions::default())?;
    let long = "é".repeat(MAX_NAME_BYTES);
    let command = vec![Arc::from(""); MAX_COMMAND_WORDS + 1];
    writer.define(Definition::Host(
        Host { name: long.as_str().into(), command: command.into(), ..Host::default() }.into(),
    ))?;
    writer.define(Definition::Process(Process::default().into()))?;
    writer.define(Definition::Thread(Thread::default()))?;
    let site = |args: usize| {
        Definition::Site(
            Site {
                probe: "p".into(),
                build_id: vec![1; MAX_NAME_BYTES + 1].into(),
                args: vec![ArgKind::Str; args].into(),
                ..Site::default()
            }
            .into(),
        )
    };
    let over = writer.define(site(MAX_ARGUMENTS + 1)).expect_err("too many arguments");
    assert_eq!(over.to_string(), "arguments of a site: 13 is over the limit of 12");
    let unnamed = writer.define(Definition::Site(Site::default().into())).expect_err("no name");
    assert!(matches!(unnamed, Error::Unnamed));
    writer.define(site(1))?;
    let value = writer.intern(&vec![b'x'; MAX_STRING_ARGUMENT_BYTES + 1]);
    writer.push(&Firing {
        time_ns: 0,
        thread: ThreadId(0),
        site: SiteId(0),
        cpu: 0,
        unreadable: 0,
        values: &[value],
    })?;
    // More strings than fit, without an event in between.
    for k in 0..400_u32 {
        let mut string = vec![b'y'; MAX_STRING_ARGUMENT_BYTES];
        string[..4].copy_from_slice(&k.to_le_bytes());
        writer.intern(&string);
    }
    let value = writer.intern(b"one too many");
    assert_eq!(value, u64::MAX);
    writer.push(&Firing {
        time_ns: 1,
        thread: ThreadId(0),
        site: SiteId(0),
        cpu: 0,
        unreadable: 0,
        values: &[value],
    })?;
    let bytes = writer.finish()?;

    let trace = Trace::open(&bytes)?;
    let host = &trace.definitions.hosts[0];
    assert_eq!(
        host.name,
        format!("{}…", &long[..MAX_NAME_BYTES - 4]).into(),
        "marked, and no character is cut"
    );
    assert_eq!(host.command.len(), MAX_COMMAND_WORDS);
    assert_eq!(host.command.last().map(|word| &**word), Some("…"));
    assert_eq!(trace.definitions.sites[0].build_id.len(), MAX_NAME_BYTES);
    let mut columns = Columns::default();
    for block in &trace.blocks {
        trace.decode(block, &mut BlockDecoder::default(), &mut columns).expect("sound");
        let lens: Vec<_> =
            columns.values.iter().map(|&value| columns.string(value).map(<[u8]>::len)).collect();
        assert!(lens.iter().all(|len| len.is_none_or(|len| len == MAX_STRING_ARGUMENT_BYTES)), "{lens:?}");
    }
    Ok(())
}

/// Hostile headers, footers and indexes.
fn hostile_structures() -> Vec<(&'static str, Hostile)> {
    vec![
        ("an events block that claims 2^32 events", {
            let mut hostile = Hostile::new();
            hostile.header(kind::EVENTS, |header| header.count = u32::MAX.into());
            hostile
        }),
        (
            "a footer that claims 2^60 events",
            Hostile::new().footer(|footer| footer.events = (1 << 60).into()),
        ),
        (
            "a footer longer than the file",
            Hostile::new().footer(|footer| footer.trace_bytes = (1 << 60).into()),
        ),
        ("a footer of no bytes", Hostile::new().footer(|footer| footer.trace_bytes = 0.into())),
        ("an index that is the footer", {
            Hostile::new().footer(|footer| footer.index_offset = (footer.trace_bytes.get() - 128).into())
        }),
        (
            "an index that is in the file header",
            Hostile::new().footer(|footer| footer.index_offset = 8.into()),
        ),
        ("an index that points to itself", Hostile::new().index(9, |row, at| row.offset = at.into())),
        ("an index of 2^32 rows", Hostile::new().index_of(u32::MAX, &[0, 0])),
        ("an index whose rows are all the same block", {
            Hostile::new().block(kind::GAPS, 0, &[]).index(9, |row, _| {
                (row.offset, row.kind) = (32.into(), kind::GAPS);
            })
        }),
    ]
}

/// Hostile contents.
fn hostile_contents() -> Vec<(&'static str, Hostile)> {
    vec![
        ("a frame that claims 100 GB", {
            let mut content = vec![];
            varint(&mut content, MAX_DEFINITIONS_BYTES as u64);
            let frame = zeros_frame(100_000_000_000, 200);
            content.push(2);
            varint(&mut content, frame.len() as u64);
            content.extend(frame);
            Hostile::new().block(kind::DEFINITIONS, 1, &content)
        }),
        ("a frame that is 4 MB of definitions", {
            let mut content = vec![];
            varint(&mut content, MAX_DEFINITIONS_BYTES as u64);
            content.extend([0, 3]);
            Hostile::new().block(kind::DEFINITIONS, 1, &content)
        }),
        ("many blocks of 65536 events each, all at one time", {
            let (content, _) = events_of_constants(MAX_BLOCK_EVENTS, 4);
            (0..7).fold(Hostile::new().defined(4), |hostile, _| hostile.block(kind::EVENTS, 65_536, &content))
        }),
        ("the highest id in every part", {
            (0..5).fold(Hostile::empty(), |hostile, part| {
                hostile.part(part).definition(4, 150, &[1, b'a', 1, b'b', 0, 0, 0, 0, 0, 0, 0, 0, 0])
            })
        }),
        ("headers, one in the other", {
            let mut hostile = Hostile::new();
            for k in 0..13 {
                hostile.header(kind::EVENTS, |header| {
                    header.stored_bytes = 100.into();
                    header.sequence = k.into();
                });
            }
            hostile
        }),
    ]
}

#[test]
fn hostile_files_of_1_kb_cost_a_few_mb() {
    let _alone = alone();
    for (what, hostile) in hostile_structures().into_iter().chain(hostile_contents()) {
        assert!(hostile.bytes.len() < 1500, "{what}: {} bytes", hostile.bytes.len());
        let begin = std::time::Instant::now();
        let (damage, peak) = read(&hostile.bytes);
        println!("{what}: {peak} bytes, {:?}", begin.elapsed());
        assert!(peak < 32 << 20, "{what}: {peak} bytes allocated; {damage:?}");
        // A few ms when optimized and alone.
        assert!(begin.elapsed().as_secs() < 5, "{what}: {:?}", begin.elapsed());
    }
}

#[test]
fn work_on_a_hostile_file_grows_with_its_size() {
    let _alone = alone();
    let mut magics = Hostile::new();
    magics.bytes.extend(b"\xb7TRBLK\r\n".repeat(1 << 16));
    let mut nested = Hostile::new();
    for k in 0..100_000 {
        // Checked one by one, the contents would be 200 GB.
        nested.header(kind::EVENTS, |header| {
            (header.stored_bytes, header.sequence) = (4_000_000.into(), k.into());
        });
    }
    for (what, hostile) in [("magics", magics), ("headers, one in the other", nested)] {
        let begin = std::time::Instant::now();
        let (damage, peak) = read(&hostile.bytes);
        assert!(!damage.is_empty() && peak < 24 << 20, "{what}: {peak} bytes");
        assert!(begin.elapsed().as_secs() < 20, "{what}: {:?}", begin.elapsed());
    }
}

#[test]
fn definitions_that_are_alike_are_kept_once() -> Result<()> {
    let _alone = alone();
    let mut writer = Writer::new(Vec::new(), WriterOptions::default())?;
    let count = 100_000;
    for _ in 0..count {
        let [name, more] = ["a name", "another"].map(Arc::<str>::from);
        writer.host(Host { name: name.clone(), kernel: more.clone(), ..Host::default() })?;
        writer.process(Process { program: name.clone(), executable: more.clone(), ..Process::default() })?;
        writer.site(Site { provider: name, probe: more, args: [ArgKind::Str].into(), ..Site::default() })?;
    }
    let (damage, peak) = read(&writer.finish()?);
    assert_eq!(damage, []);
    // Two traces, each with three lists of pointers that double as they grow, and a block of definitions as it was stored.
    assert!(peak < 2 * 3 * 3 * 8 * count + (12 << 20), "{peak} bytes");
    Ok(())
}

#[test]
fn thousands_of_overlapping_blocks_are_merged_in_bounded_memory() -> Result<()> {
    let _alone = alone();
    const BLOCKS: u64 = 6000;
    const ROWS: u64 = 64;
    let mut writer = Writer::new(Vec::new(), WriterOptions { block_events: 64, ..WriterOptions::default() })?;
    writer.define(Definition::Process(Process::default().into()))?;
    writer.define(Definition::Thread(Thread::default()))?;
    let args = vec![ArgKind::Signed(8), ArgKind::Str];
    writer
        .define(Definition::Site(Site { probe: "p".into(), args: args.into(), ..Site::default() }.into()))?;
    for block in 0..BLOCKS {
        for row in 0..ROWS {
            let string = writer.intern(&[b'a' + (row % 7) as u8; 100]);
            let values = [block * ROWS + row, string];
            let time_ns = 1_000_000 * row + block;
            writer.push(&Firing {
                time_ns,
                thread: ThreadId(0),
                site: SiteId(0),
                cpu: 0,
                unreadable: 0,
                values: &values,
            })?;
        }
    }
    let bytes = writer.finish()?;
    let trace = Trace::open(&bytes)?;
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let (mut batches, mut count) = (trace.batches(), 0);
    while let Some(batch) = batches.next() {
        let Batch::Events { columns, rows } = batch else { panic!("{batch:?}") };
        for row in rows {
            let (block, of_block) = (count % BLOCKS, count / BLOCKS);
            assert_eq!(columns.time_ns[row], 1_000_000 * of_block + block);
            let values = columns.row_values(row);
            assert_eq!(values[0], block * ROWS + of_block);
            assert_eq!(columns.string(values[1]), Some(&[b'a' + (of_block % 7) as u8; 100][..]));
            count += 1;
        }
    }
    assert_eq!(count, BLOCKS * ROWS);
    let peak = PEAK.load(Relaxed) - before;
    assert!(peak < 64 << 20, "{peak} bytes");
    Ok(())
}

#[test]
fn fields_of_definitions_have_the_widths_of_the_spec() {
    let _alone = alone();
    let number = |value: u64| {
        let mut bytes = Vec::new();
        varint(&mut bytes, value);
        bytes
    };
    // Kind, fields before, fields behind, and the highest value of the field between them.
    let (u8_max, u32_max) = (u64::from(u8::MAX), u64::from(u32::MAX));
    let site = [1, b'a', 1, b'b', 0, 0, 0];
    let cases: [(u8, &[u8], &[u8], u64); 10] = [
        (1, &[0, 0, 0, 0], &[0, 0], u32_max),
        (2, &[], &[0; 6], u32_max),
        (2, &[0], &[0; 5], u32_max),
        (2, &[0, 0], &[0; 4], u32_max),
        (3, &[], &[7], u32_max),
        (3, &[0], &[], u32_max),
        (4, &[&site[..], &[0, 0, 0]].concat(), &[0, 0], u8_max),
        (6, &[], &[0, 0], u32_max),
        (6, &[0, 0], &[], u32_max),
        (2, &[0, 0, 0], &[0; 3], u64::MAX),
    ];
    for (kind, before, behind, max) in cases {
        let with = |value| {
            let body = [before, &number(value), behind].concat();
            read(&Hostile::new().definition(kind, 0, &body).bytes).0
        };
        assert_eq!(with(max), [], "kind {kind}, {max} behind {before:?}");
        if let Some(over) = max.checked_add(1) {
            let damage = with(over);
            assert_eq!(damage.first(), Some(&Damage::Content("a number of a definition is too large")));
        }
    }
}
