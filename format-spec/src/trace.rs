//! A trace opened for reading: what its ids mean, where its blocks are, what is missing.
//!
//! Opening reads the footer and the index where they are, and walks the block headers where they are not. Blocks are
//! decoded when they are asked for.

use zerocopy::FromBytes;

use crate::block::{BlockHeader, flag, kind};
use crate::clock::StoredClock;
use crate::decode::BlockDecoder;
use crate::dictionary;
use crate::gap::StoredGap;
use crate::header::FileHeader;
use crate::index::{self, Footer, IndexRow};
use crate::scan::{DamagedRange, Found, Scanner};
use crate::{ClockAnchor, Columns, Damage, Definition, Definitions, Error, Gap, Result};

/// Where an events block is, and what its header says of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRef {
    /// Position of the block in the file.
    pub offset: u64,
    /// Bytes after the block header.
    pub stored_bytes: u32,
    /// Events in the block.
    pub events: u32,
    /// Time of the first event, CLOCK_MONOTONIC ns.
    pub first_ns: u64,
    /// Time of the last event.
    pub last_ns: u64,
    /// Lowest key; above `key_max` if no event has a key.
    pub key_min: i64,
    /// Highest key.
    pub key_max: i64,
    /// Trace that the block belongs to, where several stand in one file one after the other.
    pub part: u32,
}

/// Ids of a part are positions from these on in the lists of the whole file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Base {
    hosts: u32,
    processes: u32,
    threads: u32,
    sites: u32,
    stages: u32,
    exits: u32,
}

/// A trace, or several one after the other, opened for reading.
#[derive(Debug, Clone)]
pub struct Trace<'a> {
    /// What the ids in events mean.
    pub definitions: Definitions,
    /// Events blocks, by time of their first event.
    pub blocks: Vec<BlockRef>,
    /// Places in time where events are missing, by their begin.
    pub gaps: Vec<Gap>,
    /// Clock anchors, as they were written.
    pub clocks: Vec<ClockAnchor>,
    /// Bytes that could not be used. Opening by the index finds none in events blocks: decoding does.
    pub damage: Vec<DamagedRange>,
    /// Whether the file ends with a footer, as it does unless the recorder died or is still at work.
    pub complete: bool,
    /// Bytes at the end that begin a block but do not finish it.
    pub tail_bytes: u64,
    /// Blocks of all kinds that were found.
    pub block_count: u64,
    /// Position behind the last block.
    pub end: usize,
    /// Number of each part, from its file header.
    pub trace_ids: Vec<u64>,
    bytes: &'a [u8],
    bases: Vec<Base>,
}

impl<'a> Trace<'a> {
    /// Opens the trace in `bytes`, by the index where there is one.
    ///
    /// # Errors
    /// [`Error::NotATrace`], [`Error::Version`] or [`Error::UnknownRequired`] if it cannot be read at all.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        FileHeader::parse(bytes)?;
        match Self::by_index(bytes) {
            Some(trace) => Ok(trace),
            None => Self::scan(bytes),
        }
    }

    /// Opens the trace in `bytes` by walking its block headers, whether it has an index or not.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn scan(bytes: &'a [u8]) -> Result<Self> {
        let mut trace = Self::empty(bytes);
        let mut scanner = Scanner::default();
        while let Some(found) = scanner.next(bytes)? {
            match found {
                Found::Header(header) => trace.begin_part(&header),
                Found::Block { offset, header } => trace.absorb(offset, &header)?,
                Found::Damaged(range) => trace.damage.push(range),
            }
        }
        trace.end = scanner.offset();
        trace.tail_bytes = (bytes.len() - scanner.offset()) as u64;
        if trace.tail_bytes > 0 {
            trace.complete = false;
        }
        Ok(trace.sorted())
    }

    fn empty(bytes: &'a [u8]) -> Self {
        Self {
            definitions: Definitions::default(),
            blocks: Vec::new(),
            gaps: Vec::new(),
            clocks: Vec::new(),
            damage: Vec::new(),
            complete: false,
            tail_bytes: 0,
            block_count: 0,
            end: 0,
            trace_ids: Vec::new(),
            bytes,
            bases: Vec::new(),
        }
    }

    /// Opens by footers and indexes; `None` where any of them is missing or damaged.
    fn by_index(bytes: &'a [u8]) -> Option<Self> {
        let mut parts = Vec::new();
        let mut end = bytes.len();
        while end > 0 {
            let footer = Footer::at_end(&bytes[..end])?;
            let len = usize::try_from(footer.trace_bytes.get()).ok()?;
            let start = end.checked_sub(len).filter(|_| len > 0)?;
            parts.push((start, end, footer));
            end = start;
        }
        let mut trace = Self::empty(bytes);
        for (start, end, footer) in parts.into_iter().rev() {
            trace.begin_part(&FileHeader::parse(&bytes[start..end]).ok()?);
            trace.part_by_index(start, end, &footer)?;
        }
        trace.complete = true;
        trace.end = bytes.len();
        Some(trace.sorted())
    }

    fn part_by_index(&mut self, start: usize, end: usize, footer: &Footer) -> Option<()> {
        let part = &self.bytes[..end];
        let index_offset = start.checked_add(usize::try_from(footer.index_offset.get()).ok()?)?;
        let mut offset = start.checked_add(usize::try_from(footer.definitions_offset.get()).ok()?)?;
        if footer.index_offset.get() == 0 {
            return None;
        }
        while offset < index_offset {
            let header = BlockHeader::parse(part.get(offset..)?).ok()?;
            if header.kind != kind::DEFINITIONS || header.content(&part[offset..]).is_err() {
                return None;
            }
            self.absorb(offset, &header).ok()?;
            offset += header.block_bytes();
        }
        let header = BlockHeader::parse(part.get(index_offset..)?).ok()?;
        let content = header.content(&part[index_offset..]).ok()?;
        for row in index::decode(content, header.count.get(), (end - start) as u64).ok()? {
            let offset = start + usize::try_from(row.offset.get()).ok()?;
            match row.kind {
                kind::EVENTS => self.blocks.push(self.block_ref(offset, &row)),
                // Restated above.
                kind::DEFINITIONS => {}
                _ => match BlockHeader::parse(part.get(offset..)?) {
                    Ok(header) => self.absorb(offset, &header).ok()?,
                    Err(_) => return None,
                },
            }
            self.block_count += 1;
        }
        self.block_count += 2;
        Some(())
    }

    fn sorted(mut self) -> Self {
        self.blocks.sort_by_key(|block| (block.first_ns, block.offset));
        self.gaps.sort_by_key(|gap| gap.from_ns);
        self
    }

    fn begin_part(&mut self, header: &FileHeader) {
        let all = &self.definitions;
        let id = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        self.bases.push(Base {
            hosts: id(all.hosts.len()),
            processes: id(all.processes.len()),
            threads: id(all.threads.len()),
            sites: id(all.sites.len()),
            stages: id(all.stages.len()),
            exits: id(all.exits.len()),
        });
        self.trace_ids.push(header.trace_id.get());
        self.complete = false;
    }

    fn base(&self) -> Base {
        self.bases.last().copied().unwrap_or_default()
    }

    fn block_ref(&self, offset: usize, row: &IndexRow) -> BlockRef {
        BlockRef {
            offset: offset as u64,
            stored_bytes: row.stored_bytes.get(),
            events: row.count.get(),
            first_ns: row.first_ns.get(),
            last_ns: row.last_ns.get(),
            key_min: row.key_min.get(),
            key_max: row.key_max.get(),
            part: u32::try_from(self.bases.len().saturating_sub(1)).unwrap_or(u32::MAX),
        }
    }

    /// Takes in a block found by walking or by the index.
    fn absorb(&mut self, offset: usize, header: &BlockHeader) -> Result<()> {
        self.block_count += 1;
        self.complete = header.kind == kind::FOOTER;
        if header.kind == kind::EVENTS {
            self.blocks.push(self.block_ref(offset, &IndexRow::new(0, header)));
            return Ok(());
        }
        let result = match header.content(&self.bytes[offset..]) {
            Ok(content) => self.absorb_content(header, content),
            Err(damage) => Err(damage),
        };
        match (result, header.kind) {
            (Ok(()), kind::DEFINITIONS..=kind::FOOTER) => {}
            (Ok(()), _) if header.flags & flag::REQUIRED != 0 => {
                return Err(Error::UnknownRequired { offset: offset as u64, kind: header.kind });
            }
            (Ok(()), _) => {}
            (Err(damage), _) => {
                let len_bytes = header.block_bytes() as u64;
                self.damage.push(DamagedRange { offset: offset as u64, len_bytes, damage });
            }
        }
        Ok(())
    }

    fn absorb_content(&mut self, header: &BlockHeader, content: &[u8]) -> Result<(), Damage> {
        let base = self.base();
        match header.kind {
            kind::DEFINITIONS => {
                for (id, definition) in dictionary::decode(content)? {
                    self.place(id, definition)?;
                }
            }
            kind::GAPS => {
                let gaps =
                    <[StoredGap]>::ref_from_bytes(content).map_err(|_| Damage::Content("gaps are cut"))?;
                self.gaps.extend(gaps.iter().map(Gap::from).map(|gap| Gap {
                    host: gap.host.saturating_add(base.hosts),
                    site: gap.site.saturating_add(base.sites),
                    ..gap
                }));
            }
            kind::CLOCKS => {
                let clocks = <[StoredClock]>::ref_from_bytes(content)
                    .map_err(|_| Damage::Content("clocks are cut"))?;
                let shifted = |anchor: ClockAnchor| ClockAnchor {
                    host: anchor.host.saturating_add(base.hosts),
                    ..anchor
                };
                self.clocks.extend(clocks.iter().map(ClockAnchor::from).map(shifted));
            }
            kind::FOOTER => {
                Footer::parse(content)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts a definition of the current part in its place among those of the whole file.
    fn place(&mut self, id: u32, mut definition: Definition) -> Result<(), Damage> {
        let base = self.base();
        let first = match &mut definition {
            Definition::Host(_) => base.hosts,
            Definition::Process(process) => {
                process.host = process.host.saturating_add(base.hosts);
                base.processes
            }
            Definition::Thread(thread) => {
                thread.process = thread.process.saturating_add(base.processes);
                base.threads
            }
            Definition::Site(_) => base.sites,
            Definition::Stage(_) => base.stages,
            Definition::Exit(exit) => {
                exit.process = exit.process.saturating_add(base.processes);
                base.exits
            }
            Definition::Cost(_) => 0,
        };
        // A definition takes a byte at the least, so a sound trace never has more of them than bytes.
        let max = 4096 + self.bytes.len();
        if self.definitions.place(first.saturating_add(id), definition, max) {
            Ok(())
        } else {
            Err(Damage::Limit { what: "definitions", len: id.into(), max: max as u64 })
        }
    }

    /// Decodes `block` into `out`.
    ///
    /// # Errors
    /// The damage, if the block cannot be used; `out` is empty then.
    pub fn decode(
        &self,
        block: &BlockRef,
        decoder: &mut BlockDecoder,
        out: &mut Columns,
    ) -> Result<(), Damage> {
        let result = self.decode_checked(block, decoder, out);
        if result.is_err() {
            out.clear();
        }
        result
    }

    fn decode_checked(
        &self,
        block: &BlockRef,
        decoder: &mut BlockDecoder,
        out: &mut Columns,
    ) -> Result<(), Damage> {
        let bytes = usize::try_from(block.offset).ok().and_then(|offset| self.bytes.get(offset..));
        let bytes = bytes.ok_or(Damage::Magic)?;
        let header = BlockHeader::parse(bytes)?;
        if header.kind != kind::EVENTS {
            return Err(Damage::Content("no events block where the index says one is"));
        }
        let count = header.count.get() as usize;
        decoder.decode(header.content(bytes)?, count, header.first_ns.get(), out)?;
        if out.time_ns.last().is_some_and(|&last| last != header.last_ns.get()) {
            return Err(Damage::Content("the last time is not the one in the block header"));
        }
        let base = self.bases.get(block.part as usize).copied().unwrap_or_default();
        let defined =
            decoder.threads.iter().all(|&id| self.definitions.has_thread(id.saturating_add(base.threads)))
                && decoder
                    .sites
                    .iter()
                    .all(|&(id, n)| self.definitions.has_site(id.saturating_add(base.sites), n));
        if !defined {
            return Err(Damage::Content(
                "its threads or sites are not defined: their definitions are damaged",
            ));
        }
        if block.part > 0 {
            out.thread.iter_mut().for_each(|id| *id = id.saturating_add(base.threads));
            out.site.iter_mut().for_each(|id| *id = id.saturating_add(base.sites));
        }
        Ok(())
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Events in all blocks, as their headers say.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.events)).sum()
    }

    /// Events that the recorder reported dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.gaps.iter().fold(0, |sum, gap| sum.saturating_add(gap.count))
    }

    /// Times of the first and the last event, CLOCK_MONOTONIC ns.
    #[must_use]
    pub fn time_range(&self) -> Option<(u64, u64)> {
        let first = self.blocks.iter().map(|block| block.first_ns).min()?;
        Some((first, self.blocks.iter().map(|block| block.last_ns).max()?))
    }
}
