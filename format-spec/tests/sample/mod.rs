//! A small trace with everything in it, and what must hold of whatever is read from a damaged copy of it.
#![allow(dead_code, unreachable_pub, reason = "each test uses some of it")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers are small")]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use tracer_format::block::{BlockHeader, flag, kind};
use tracer_format::{
    Arg, ArgKind, Batch, ClockAnchor, Columns, Cost, Definition, Definitions, Exit, Firing, Found, Gap, Host,
    Process, ProcessId, Result, Scanner, Site, SiteId, Skipped, StageDef, Thread, ThreadId, Trace, Writer,
    WriterOptions,
};

/// A small generator of numbers (xorshift64*): every run has the same.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }
}

/// Events of a flush.
pub const EVENTS: usize = 24;
/// Events of the whole trace.
pub const ALL: usize = 8 * EVENTS;

/// Writes a trace of eight flushes to `sink`: events of three sites on four threads, a gap and a clock anchor each; the
/// fourth thread is defined half way.
pub fn write_to<W: std::io::Write>(sink: W, trace_id: u64, start_ns: u64) -> Result<W> {
    let mut writer = Writer::new(sink, WriterOptions { trace_id, ..WriterOptions::default() })?;
    let mut random = Random(trace_id + 1);
    writer.define(Definition::Host(
        Host {
            name: "sample".into(),
            boot_id: format!("boot-{trace_id}").into(),
            command: vec!["tracer".into(), "record".into()].into(),
            ..Host::default()
        }
        .into(),
    ))?;
    for thread in 0..3 {
        thread_of(&mut writer, trace_id, thread)?;
    }
    for (site, args) in
        [vec![ArgKind::Signed(8)], vec![ArgKind::Unsigned(4), ArgKind::Str, ArgKind::Float(8)], vec![]]
            .into_iter()
            .enumerate()
    {
        let (provider, probe) = (format!("provider{trace_id}"), format!("probe{site}"));
        writer.define(Definition::Site(
            Site { provider: provider.into(), probe: probe.into(), args: args.into(), ..Site::default() }
                .into(),
        ))?;
    }
    writer.define(Definition::Stage(StageDef {
        name: "whole".into(),
        from: "a:b".into(),
        to: "a:c".into(),
        key: "seq".into(),
    }))?;
    let mut time_ns = start_ns;
    for flush in 0..8 {
        if flush == 4 {
            thread_of(&mut writer, trace_id, 3)?;
        }
        for _ in 0..EVENTS {
            time_ns += 1 + random.next() % 1000;
            event(&mut writer, &mut random, time_ns, if flush < 4 { 3 } else { 4 })?;
        }
        let gap = Gap { count: 1 + flush, from_ns: time_ns, to_ns: time_ns + 1, cpu: 1, ..Gap::default() };
        writer.gap(gap)?;
        writer.clock(ClockAnchor { monotonic_ns: time_ns, realtime_ns: 77, ..ClockAnchor::default() })?;
        writer.flush()?;
    }
    writer.define(Definition::Exit(Exit { process: ProcessId(1), time_ns, status: 9 }))?;
    writer.define(Definition::Cost(Cost { cpu_ns: 5, ..Cost::default() }))?;
    writer.define(Definition::Skipped(Skipped { pid: 100, reason: "gone".into(), ..Skipped::default() }))?;
    writer.finish()
}

fn thread_of<W: std::io::Write>(writer: &mut Writer<W>, trace_id: u64, thread: u32) -> Result<()> {
    let program = format!("program{thread}of{trace_id}");
    let process = writer.define(Definition::Process(
        Process { pid: 100 + thread, program: program.into(), ..Process::default() }.into(),
    ))?;
    writer.define(Definition::Thread(Thread { process: ProcessId(process), tid: 200 + thread })).map(drop)
}

fn event<W: std::io::Write>(
    writer: &mut Writer<W>,
    random: &mut Random,
    time_ns: u64,
    threads: usize,
) -> Result<()> {
    let (thread, site) = (random.below(threads) as u32, random.below(3) as u32);
    let cpu = random.below(4) as u16;
    let string = format!("string {}", random.below(9));
    let is_cut = random.below(9) == 0;
    let string = if is_cut { writer.intern_cut(string.as_bytes()) } else { writer.intern(string.as_bytes()) };
    let all = [random.next(), string, random.next()];
    let values = &all[..[1, 3, 0][site as usize]];
    let unreadable = if site == 1 && random.below(4) == 0 { 0b100 } else { 0 };
    writer.push(&Firing { time_ns, thread: ThreadId(thread), site: SiteId(site), cpu, unreadable, values })
}

/// The bytes of that trace.
pub fn one() -> Vec<u8> {
    write_to(Vec::new(), 0xfeed, 1_000_000).expect("a Vec takes all")
}

/// Two traces one after the other; with `trace_id` 0 they cannot be told apart but by their file headers.
pub fn two(trace_id: u64) -> Vec<u8> {
    let mut bytes = write_to(Vec::new(), trace_id, 1_000_000).expect("a Vec takes all");
    let other = if trace_id == 0 { 0 } else { trace_id + 1 };
    bytes.extend(write_to(Vec::new(), other, 1_010_000).expect("a Vec takes all"));
    bytes
}

/// A number that stands for an event with all that is known of it, but for ids, which change when parts are lost.
pub fn fingerprint(columns: &Columns, row: usize, definitions: &Definitions) -> u64 {
    let event = columns.event(row);
    let thread = definitions.threads[event.thread.index()];
    let process = &definitions.processes[thread.process.index()];
    let site = &definitions.sites[event.site.index()];
    let mut hasher = DefaultHasher::new();
    (event.time_ns, event.cpu, thread.tid, process.pid, &process.program).hash(&mut hasher);
    (&site.provider, &site.probe).hash(&mut hasher);
    for arg in event.args(definitions) {
        match arg {
            Arg::Signed(value) => value.hash(&mut hasher),
            Arg::Unsigned(value) => value.hash(&mut hasher),
            Arg::Float(value) => value.to_bits().hash(&mut hasher),
            // Where what says which are cut is damaged, all count as cut: tests/cuts.rs.
            Arg::Str(value) | Arg::CutStr(value) => value.hash(&mut hasher),
            Arg::Unreadable => "unreadable".hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// A block of a sound trace.
#[derive(Debug, Clone)]
pub struct Block {
    pub range: Range<usize>,
    pub header: BlockHeader,
    pub events: Vec<u64>,
}

/// All blocks of a sound trace, in the order of the file.
pub fn blocks(bytes: &[u8]) -> Vec<Block> {
    let trace = Trace::scan(bytes).expect("sound");
    let (mut scanner, mut result) = (Scanner::default(), Vec::new());
    while let Some(found) = scanner.next(bytes).expect("sound") {
        if let Found::Block { offset, header } = found {
            let mut events = Vec::new();
            if let Some(block) = trace.blocks.iter().find(|block| block.offset == offset as u64) {
                let mut columns = Columns::default();
                trace
                    .decode(block, &mut tracer_format::BlockDecoder::default(), &mut columns)
                    .expect("sound");
                events.extend((0..columns.len()).map(|row| fingerprint(&columns, row, &trace.definitions)));
            }
            result.push(Block { range: offset..offset + header.block_bytes(), header, events });
        }
    }
    result
}

/// What a sound trace holds.
pub struct Original {
    pub bytes: Vec<u8>,
    pub blocks: Vec<Block>,
    events: HashMap<u64, usize>,
    gaps: Vec<(u64, u64, u64)>,
    /// Gaps that may be read although they are not in the trace.
    pub foreign_gaps: Vec<(u64, u64, u64)>,
}

/// What was read from a damaged copy.
#[derive(Debug, Default)]
pub struct Read {
    pub events: Vec<u64>,
    /// Damage was named, the trace called incomplete, or refused.
    pub named: bool,
}

impl Original {
    pub fn new(bytes: Vec<u8>) -> Self {
        let blocks = blocks(&bytes);
        let mut events = HashMap::new();
        for event in blocks.iter().flat_map(|block| &block.events) {
            *events.entry(*event).or_insert(0) += 1;
        }
        let trace = Trace::scan(&bytes).expect("sound");
        assert!(trace.damage.is_empty() && trace.complete);
        let gaps = trace.gaps.iter().map(|gap| (gap.from_ns, gap.to_ns, gap.count)).collect();
        Self { blocks, events, gaps, foreign_gaps: Vec::new(), bytes }
    }

    /// Reads `damaged` both ways. Nothing may be read that is not in the original; if something lacks, that is named.
    #[track_caller]
    pub fn check(&self, damaged: &[u8], what: &str) -> [Read; 2] {
        [Trace::open(damaged), Trace::scan(damaged)].map(|trace| match trace {
            Ok(trace) => self.walk(&trace, what),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                Read { named: true, ..Read::default() }
            }
        })
    }

    #[track_caller]
    fn walk(&self, trace: &Trace<'_>, what: &str) -> Read {
        let mut read = Read { named: !trace.complete || !trace.damage.is_empty(), ..Read::default() };
        let mut last_ns = 0;
        let mut batches = trace.batches();
        while let Some(batch) = batches.next() {
            match batch {
                Batch::Events { columns, rows } => {
                    for row in rows {
                        assert!(columns.time_ns[row] >= last_ns, "{what}: out of order");
                        last_ns = columns.time_ns[row];
                        read.events.push(fingerprint(columns, row, &trace.definitions));
                    }
                }
                Batch::Gap(gap) => {
                    let gap = (gap.from_ns, gap.to_ns, gap.count);
                    let known = self.gaps.contains(&gap) || self.foreign_gaps.contains(&gap);
                    assert!(known, "{what}: a gap that was not recorded");
                }
                Batch::Damaged(_) => read.named = true,
            }
        }
        let mut left = self.events.clone();
        for event in &read.events {
            let count =
                left.get_mut(event).unwrap_or_else(|| panic!("{what}: an event that was not recorded"));
            *count = count.checked_sub(1).unwrap_or_else(|| panic!("{what}: an event read twice"));
        }
        let lost = left.values().any(|&count| count > 0) || trace.gaps.len() < self.gaps.len();
        assert!(!lost || read.named, "{what}: events or gaps lack in silence");
        read
    }

    /// Gaps as they are compared.
    pub fn gaps(&self) -> Vec<(u64, u64, u64)> {
        self.gaps.clone()
    }

    /// Events of those blocks that are the same in `damaged`, if definitions for them are too.
    pub fn intact(&self, damaged: &[u8]) -> Vec<u64> {
        let same = |block: &&Block| damaged.get(block.range.clone()) == self.bytes.get(block.range.clone());
        let definitions = |restated: bool| {
            let of_kind = self.blocks.iter().filter(|block| block.header.kind == kind::DEFINITIONS);
            of_kind.filter(move |block| (block.header.flags & flag::RESTATED != 0) == restated)
        };
        let restated = definitions(true).all(|block| same(&block));
        let defined = |block: &Block| {
            restated
                || definitions(false)
                    .filter(|before| before.range.start < block.range.start)
                    .all(|before| same(&before))
        };
        let blocks = self.blocks.iter().filter(same).filter(|block| defined(block));
        blocks.flat_map(|block| block.events.iter().copied()).collect()
    }

    /// Checks `damaged`, and that no event of an intact block is lost.
    #[track_caller]
    pub fn check_all_intact(&self, damaged: &[u8], what: &str) {
        let mut expected = self.intact(damaged);
        expected.sort();
        for mut read in self.check(damaged, what) {
            read.events.sort();
            let lacks = expected.iter().find(|event| read.events.binary_search(event).is_err());
            assert!(lacks.is_none(), "{what}: an event is lost though its block is intact");
        }
    }
}
