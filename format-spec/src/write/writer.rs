//! Writes a trace, block after block, and never goes back: what was written stays as it is.
//!
//! What is durable when: `push`, `define`, `gap` and `clock` keep things in memory; `flush` hands them to the
//! [`io::Write`] as whole blocks; `finish` adds the index and the footer. See SPEC.md "Writing".
#![expect(clippy::cast_possible_truncation, reason = "the limits keep counts below 2^32")]

use std::io;

use zerocopy::{Immutable, IntoBytes};

use crate::encode::{BlockBuilder, DictionaryBuilder, Encoder, LEVEL, cuts, index, weight};
use crate::error::{Error, Result};
use crate::layout::block::{BlockHeader, BlockMaker, Bounds, flag, kind};
use crate::layout::header::FileHeader;
use crate::layout::index::{FOOTER_BLOCK_BYTES, Footer, IndexRow, TRAILER};
use crate::layout::{StoredClock, StoredGap, bounds};
use crate::limits::{
    MAX_ARGUMENTS, MAX_BLOCK_EVENTS, MAX_BLOCK_RECORDS, MAX_BLOCK_VALUES, MAX_BLOCKS, MAX_DEFINITIONS,
    MAX_DEFINITIONS_WEIGHT, MAX_STORED_BYTES,
};
use crate::model::{
    ClockAnchor, Columns, Definition, Definitions, Firing, Gap, Host, HostId, Process, ProcessId, Site,
    SiteId, Thread, ThreadId,
};

/// All definitions are written again after so many bytes, and so many times their own.
const RESTATE_BYTES: u64 = 8 << 20;
const RESTATE_RATIO: u64 = 32;
/// Gaps, and clock anchors, up to this many are kept in memory and written again at the end.
const MAX_RESTATED: usize = 1 << 18;

/// How a trace is written; the defaults are what measurement gave.
#[derive(Debug, Clone, Copy)]
pub struct WriterOptions {
    /// Number that tells traces apart, best a random one. With 0, which means that none was given, blocks do not show
    /// which trace they are of.
    pub trace_id: u64,
    /// Events after which a block is sealed, at most [`MAX_BLOCK_EVENTS`].
    pub block_events: usize,
    /// zstd level.
    pub level: i32,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { trace_id: 0, block_events: MAX_BLOCK_EVENTS, level: LEVEL }
    }
}

/// Writes one trace to `W`.
pub struct Writer<W> {
    sink: W,
    options: WriterOptions,
    encoder: Encoder,
    builder: BlockBuilder,
    pending: DictionaryBuilder,
    definitions: Definitions,
    gaps: Vec<Gap>,
    clocks: Vec<ClockAnchor>,
    all_gaps: Kept<StoredGap>,
    all_clocks: Kept<StoredClock>,
    index: Vec<IndexRow>,
    out: Vec<u8>,
    written_bytes: u64,
    sequence: u32,
    events: u64,
    dropped: u64,
    /// Bytes of all definitions before compression, and the position behind where they were written last.
    definition_bytes: u64,
    /// Weight of all definitions, a little more than a reader counts.
    definitions_weight: usize,
    restated_at: u64,
    failed: Option<String>,
}

impl<W: io::Write> Writer<W> {
    /// Starts a trace: writes the file header.
    ///
    /// # Errors
    /// [`Error::Io`] if `sink` fails.
    pub fn new(sink: W, options: WriterOptions) -> Result<Self> {
        let mut writer = Self {
            sink,
            encoder: Encoder::new(options.level)?,
            options,
            builder: BlockBuilder::new(),
            pending: DictionaryBuilder::default(),
            definitions: Definitions::default(),
            gaps: Vec::new(),
            clocks: Vec::new(),
            all_gaps: Kept::default(),
            all_clocks: Kept::default(),
            index: Vec::new(),
            out: FileHeader::new(options.trace_id).as_bytes().to_vec(),
            written_bytes: 0,
            sequence: 0,
            events: 0,
            dropped: 0,
            definition_bytes: 0,
            definitions_weight: 0,
            restated_at: 0,
            failed: None,
        };
        writer.write_out()?;
        Ok(writer)
    }

    /// Adds a definition and gives its id: its position among those of its kind.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if there are too many, together too large, or a site has too many arguments; [`Error::Unnamed`] if a site's
    /// probe or a stage has no name, or what was skipped no reason; [`Error::Io`] if a full block of definitions could not be written.
    pub fn define(&mut self, definition: Definition) -> Result<u32> {
        self.check()?;
        if let Definition::Site(site) = &definition {
            limit("arguments of a site", site.args.len(), MAX_ARGUMENTS)?;
        }
        // Readers take those without a name for definitions that are lost.
        let is_unnamed = match &definition {
            Definition::Site(site) => site.probe.is_empty(),
            Definition::Stage(stage) => stage.name.is_empty(),
            Definition::Skipped(skipped) => skipped.reason.is_empty(),
            _ => false,
        };
        if is_unnamed {
            return Err(Error::Unnamed);
        }
        if self.pending.is_full() {
            self.flush()?;
        }
        let id = self.definitions.next_id(&definition);
        limit("definitions", id + 1, MAX_DEFINITIONS)?;
        limit("weight of all definitions", self.definitions_weight, MAX_DEFINITIONS_WEIGHT)?;
        let id = id as u32;
        let before = self.pending.bytes();
        self.pending.push(id, &definition);
        let bytes = self.pending.bytes() - before;
        self.definition_bytes += bytes as u64;
        self.definitions_weight += weight(&definition, bytes);
        self.definitions.push(definition);
        Ok(id)
    }

    /// Adds a host, as [`define`](Self::define) does.
    ///
    /// # Errors
    /// As there.
    pub fn host(&mut self, host: Host) -> Result<HostId> {
        self.define(Definition::Host(host)).map(HostId)
    }

    /// Adds a process, as [`define`](Self::define) does.
    ///
    /// # Errors
    /// As there.
    pub fn process(&mut self, process: Process) -> Result<ProcessId> {
        self.define(Definition::Process(process)).map(ProcessId)
    }

    /// Adds a thread, as [`define`](Self::define) does.
    ///
    /// # Errors
    /// As there.
    pub fn thread(&mut self, thread: Thread) -> Result<ThreadId> {
        self.define(Definition::Thread(thread)).map(ThreadId)
    }

    /// Adds a site, as [`define`](Self::define) does.
    ///
    /// # Errors
    /// As there.
    pub fn site(&mut self, site: Site) -> Result<SiteId> {
        self.define(Definition::Site(site)).map(SiteId)
    }

    /// All definitions so far.
    #[must_use]
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Gives the value that stands for `string` in the next event pushed; a longer string is cut, and marked so, at
    /// [`MAX_STRING_ARGUMENT_BYTES`](crate::limits::MAX_STRING_ARGUMENT_BYTES).
    pub fn intern(&mut self, string: &[u8]) -> u64 {
        self.builder.intern(string, false)
    }

    /// As [`intern`](Self::intern), of a string of which only this beginning is known.
    pub fn intern_cut(&mut self, beginning: &[u8]) -> u64 {
        self.builder.intern(beginning, true)
    }

    /// Adds an event; seals and writes a block when that makes one full.
    ///
    /// # Errors
    /// [`Error::Undefined`] if its thread or site is not defined or it has not as many values as its site has
    /// arguments; [`Error::Io`] if a full block could not be written.
    pub fn push(&mut self, firing: &Firing<'_>) -> Result<()> {
        self.push_unsealed(firing)?;
        if self.is_full() { self.flush() } else { Ok(()) }
    }

    /// Adds an event; the caller asks [`is_full`](Self::is_full) and calls [`flush`](Self::flush) then.
    ///
    /// # Errors
    /// [`Error::Undefined`] as [`push`](Self::push); [`Error::TooLarge`] if the block was full.
    pub fn push_unsealed(&mut self, firing: &Firing<'_>) -> Result<()> {
        if self.failed.is_some() {
            return self.check();
        }
        let site = self.definitions.site(firing.site);
        let thread_known = self.definitions.thread(firing.thread).is_some();
        if !thread_known || site.is_none_or(|site| site.args.len() != firing.values.len()) {
            return Err(Error::Undefined { site: firing.site.0, thread: firing.thread.0 });
        }
        limit("events of a block", self.builder.len() + 1, MAX_BLOCK_EVENTS)?;
        limit("argument values of a block", self.builder.values() + firing.values.len(), MAX_BLOCK_VALUES)?;
        self.builder.push(firing);
        Ok(())
    }

    /// Whether the events that wait must be sealed before another one is added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.builder.is_full(self.options.block_events)
    }

    /// Time of the event that was added first of those that wait.
    #[must_use]
    pub fn oldest_ns(&self) -> Option<u64> {
        self.builder.first_ns()
    }

    /// The events that wait for the next [`flush`](Self::flush), in time order, and what their ids mean.
    pub fn pending(&mut self) -> (&Columns, &Definitions) {
        (self.builder.sorted(), &self.definitions)
    }

    /// Adds a gap; it is written behind the events pushed before it.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the gap ends before it begins; [`Error::Io`] if a full block could not be written.
    pub fn gap(&mut self, gap: Gap) -> Result<()> {
        self.check()?;
        if gap.from_ns > gap.to_ns {
            return Err(Error::TooLarge { what: "begin of a gap, ns", len: gap.from_ns, max: gap.to_ns });
        }
        self.dropped = self.dropped.saturating_add(gap.count);
        self.gaps.push(gap);
        if self.gaps.len() == MAX_BLOCK_RECORDS { self.flush() } else { Ok(()) }
    }

    /// Adds a clock anchor.
    ///
    /// # Errors
    /// [`Error::Io`] if a full block could not be written.
    pub fn clock(&mut self, anchor: ClockAnchor) -> Result<()> {
        self.check()?;
        self.clocks.push(anchor);
        if self.clocks.len() == MAX_BLOCK_RECORDS { self.flush() } else { Ok(()) }
    }

    /// Seals everything that waits into blocks and writes them.
    ///
    /// # Errors
    /// [`Error::Io`] if the sink fails; from then on [`Error::Poisoned`]. What was written until then is a trace.
    pub fn flush(&mut self) -> Result<()> {
        self.check()?;
        if !self.pending.is_empty() {
            self.seal_definitions(0);
        }
        if !self.clocks.is_empty() {
            let stored: Vec<_> = self.clocks.drain(..).map(|anchor| StoredClock::from(&anchor)).collect();
            self.seal_rows(kind::CLOCKS, 0, Bounds::NONE, &stored);
            self.all_clocks.add(&stored);
        }
        if self.builder.len() > 0 {
            self.seal_events();
        }
        if !self.gaps.is_empty() {
            let stored: Vec<_> = self.gaps.drain(..).map(|gap| StoredGap::from(&gap)).collect();
            self.seal_rows(kind::GAPS, 0, bounds(&stored), &stored);
            self.all_gaps.add(&stored);
        }
        let since = self.position() - self.restated_at;
        if since >= RESTATE_BYTES.max(RESTATE_RATIO * self.definition_bytes) {
            self.restate()?;
        }
        self.write_out()
    }

    /// Bytes of the trace so far, those that wait to be written too.
    fn position(&self) -> u64 {
        self.written_bytes + self.out.len() as u64
    }

    fn maker(&self, kind: u8, flags: u8, count: u32) -> BlockMaker {
        BlockMaker {
            kind,
            flags,
            count,
            trace_id: self.options.trace_id,
            sequence: self.sequence,
            bounds: Bounds::NONE,
        }
    }

    /// Writes all definitions again: they stay readable if the first blocks become damaged.
    fn restate(&mut self) -> Result<()> {
        for (id, definition) in self.definitions.clone().into_numbered() {
            if self.pending.is_full() {
                self.seal_definitions(flag::RESTATED);
                self.write_out()?;
            }
            self.pending.push(id, &definition);
        }
        if !self.pending.is_empty() {
            self.seal_definitions(flag::RESTATED);
        }
        self.restated_at = self.position();
        Ok(())
    }

    fn seal_definitions(&mut self, flags: u8) {
        let maker = self.maker(kind::DEFINITIONS, flag::REQUIRED | flags, self.pending.count());
        let start = BlockMaker::begin(&mut self.out);
        self.pending.encode(self.written_bytes, &mut self.encoder, &mut self.out);
        maker.end(&mut self.out, start);
        self.sealed(start);
    }

    fn seal_events(&mut self) {
        if !self.builder.cut_strings().is_empty() {
            self.seal_cuts();
        }
        let count = self.builder.sorted().len() as u32;
        let bounds = self.builder.bounds(&self.definitions.sites);
        let cut = if self.builder.cut_strings().is_empty() { 0 } else { flag::CUT };
        let start = BlockMaker::begin(&mut self.out);
        self.builder.encode(bounds.key_min, &mut self.encoder, &mut self.out);
        BlockMaker { bounds, ..self.maker(kind::EVENTS, flag::REQUIRED | cut, count) }
            .end(&mut self.out, start);
        self.builder.clear();
        self.events += u64::from(count);
        self.sealed(start);
    }

    /// Seals what says which strings of the next block are cut.
    fn seal_cuts(&mut self) {
        let strings = self.builder.cut_strings();
        let maker = self.maker(kind::CUTS, 0, strings.len() as u32);
        let start = BlockMaker::begin(&mut self.out);
        cuts::encode(self.sequence + 1, self.builder.cut_strings(), &mut self.encoder, &mut self.out);
        maker.end(&mut self.out, start);
        self.sealed(start);
    }

    /// Seals gaps or clock anchors.
    fn seal_rows<T: IntoBytes + Immutable>(&mut self, kind: u8, flags: u8, bounds: Bounds, rows: &[T]) {
        let start = BlockMaker::begin(&mut self.out);
        self.out.extend_from_slice(rows.as_bytes());
        let count = rows.len() as u32;
        BlockMaker { bounds, ..self.maker(kind, flags, count) }.end(&mut self.out, start);
        self.sealed(start);
    }

    /// Writes all gaps and clock anchors again, so that a reader finds them in one place.
    fn restate_rows(&mut self) {
        let (gaps, clocks) =
            (std::mem::take(&mut self.all_gaps.rows), std::mem::take(&mut self.all_clocks.rows));
        for gaps in gaps.chunks(MAX_BLOCK_RECORDS) {
            self.seal_rows(kind::GAPS, flag::RESTATED, bounds(gaps), gaps);
        }
        for clocks in clocks.chunks(MAX_BLOCK_RECORDS) {
            self.seal_rows(kind::CLOCKS, flag::RESTATED, Bounds::NONE, clocks);
        }
    }

    /// Notes the block that was appended to `out`, where it begins at `start`, in the index.
    fn sealed(&mut self, start: usize) {
        self.sequence += 1;
        let header = BlockHeader::parse(&self.out[start..]).expect("just written");
        self.index.push(IndexRow::new(self.written_bytes + start as u64, &header));
    }

    /// Refuses to go on after a failure, and when the numbers of blocks are used up.
    fn check(&self) -> Result<()> {
        if let Some(failure) = &self.failed {
            return Err(Error::Poisoned(failure.clone()));
        }
        limit("blocks", self.sequence as usize, MAX_BLOCKS)
    }

    fn write_out(&mut self) -> Result<()> {
        self.check()?;
        let written = self.sink.write_all(&self.out).and_then(|()| self.sink.flush());
        if let Err(failure) = written {
            self.failed = Some(failure.to_string());
            return Err(failure.into());
        }
        self.written_bytes += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }

    /// Bytes handed to the sink so far.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Events in sealed blocks.
    #[must_use]
    pub fn sealed_events(&self) -> u64 {
        self.events
    }

    /// Events that were reported dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The sink, for a sync; writing to it would damage the trace.
    pub fn sink_mut(&mut self) -> &mut W {
        &mut self.sink
    }

    /// Writes what waits, all definitions, gaps and clock anchors again, the index and the footer: the trace is complete.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn finish(mut self) -> Result<W> {
        self.flush()?;
        let restated_offset = self.written_bytes;
        let rows = std::mem::take(&mut self.index);
        self.restate()?;
        self.restate_rows();
        self.write_out()?;
        let mut index_offset = self.written_bytes;
        let start = BlockMaker::begin(&mut self.out);
        index::encode(&rows, &mut self.encoder, &mut self.out);
        if self.out.len() - start > MAX_STORED_BYTES {
            // A reader finds the blocks by their headers instead.
            self.out.clear();
            index_offset = 0;
        } else {
            let count = rows.len() as u32;
            self.maker(kind::INDEX, 0, count).end(&mut self.out, start);
            self.sequence += 1;
        }
        let trace_bytes = self.written_bytes + (self.out.len() + FOOTER_BLOCK_BYTES) as u64;
        let footer = Footer {
            trace_bytes: trace_bytes.into(),
            restated_offset: restated_offset.into(),
            index_offset: index_offset.into(),
            events: self.events.into(),
            dropped: self.dropped.into(),
            unused: [0; 8],
            trailer: TRAILER,
        };
        let start = BlockMaker::begin(&mut self.out);
        self.out.extend_from_slice(footer.as_bytes());
        self.maker(kind::FOOTER, 0, 1).end(&mut self.out, start);
        self.write_out()?;
        Ok(self.sink)
    }
}

/// Rows that were written and will be written again at the end; none if they became too many.
struct Kept<T> {
    rows: Vec<T>,
    too_many: bool,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), too_many: false }
    }
}

impl<T: Copy> Kept<T> {
    fn add(&mut self, rows: &[T]) {
        self.too_many |= self.rows.len() + rows.len() > MAX_RESTATED;
        if self.too_many {
            // All or none: a reader takes those that it finds at the end for all.
            self.rows = Vec::new();
        } else {
            self.rows.extend_from_slice(rows);
        }
    }
}

fn limit(what: &'static str, len: usize, max: usize) -> Result<()> {
    if len > max { Err(Error::TooLarge { what, len: len as u64, max: max as u64 }) } else { Ok(()) }
}
