//! Reads a trace front to back while it comes: out of a pipe, or out of a file that a recorder is writing.
//!
//! Memory holds the block at work and the definitions, however long the stream. It does no I/O: the caller
//! gives bytes to [`Stream::push`], then asks [`Stream::next`] what they are.
//!
//! A reader of a whole file knows more: a block whose definitions come only behind it is damaged here, and blocks that overlap
//! in time come as they stand. A recorder writes neither (SPEC.md "A growing file, a pipe").

use super::block_ref::BlockRef;
use super::gathering::Gathering;
use super::known::Known;
use super::scan::{DamagedRange, Found, SEARCHED_BYTES, Scanner};
use super::trace::mark_cut;
use crate::encode::BlockDecoder;
use crate::error::Result;
use crate::layout::block::{BLOCK_HEADER_BYTES, BlockHeader, flag, kind};
use crate::layout::header::{FILE_HEADER_BYTES, FileHeader, MAGIC};
use crate::layout::index::IndexRow;
use crate::limits::{MAX_BLOCK_RECORDS, MAX_STORED_BYTES};
use crate::model::{Columns, Gap};

/// Bytes of damage that wait for something sound behind them.
const MAX_UNSETTLED: usize = 2 * MAX_STORED_BYTES;

/// What may follow the bytes that were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// More, at once.
    Comes,
    /// More, some time: the writer rests, so it has written all of a flush.
    Waits,
    /// Nothing.
    Ends,
}

/// A step in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The events of a block, now in [`Stream::columns`].
    Events,
    /// Events are missing; events up to the gap's end may still follow, later ones have not been before.
    Gap(Gap),
    /// Bytes that could not be used.
    Damaged(DamagedRange),
}

/// A trace that is still coming.
pub struct Stream {
    gathering: Gathering,
    /// Gaps and damage that were found and are not handed on; the next one last.
    gaps: Vec<Gap>,
    damage: Option<DamagedRange>,
    /// Bytes from the first block on that is not done.
    window: Vec<u8>,
    /// Bytes before them.
    before: u64,
    scanner: Scanner,
    decoder: BlockDecoder,
    columns: Columns,
    /// The events in `columns` are not handed on yet: gaps of the same flush may follow.
    held: bool,
    last_ns: u64,
    disordered: u64,
}

impl Default for Stream {
    fn default() -> Self {
        Self::new()
    }
}

impl Stream {
    /// A stream of which nothing is there.
    #[must_use]
    pub fn new() -> Self {
        Self {
            gathering: Gathering::default(),
            gaps: Vec::new(),
            damage: None,
            window: Vec::new(),
            before: 0,
            scanner: Scanner::default(),
            decoder: BlockDecoder::default(),
            columns: Columns::default(),
            held: false,
            last_ns: 0,
            disordered: 0,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let done = self.scanner.offset();
        self.scanner.forget(done);
        self.before += done as u64;
        self.window.drain(..done);
        self.window.extend_from_slice(bytes);
    }

    /// What is known of the trace so far: definitions, clock anchors and the first block. The other blocks and the gaps are
    /// not kept.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.gathering.known
    }

    /// The events of the last [`Step::Events`].
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Whether all that is there ends with a footer.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.gathering.known.complete && self.tail_bytes() == 0 && !self.gathering.cut_part
    }

    /// Bytes at the end that begin a block but do not finish it.
    #[must_use]
    pub fn tail_bytes(&self) -> u64 {
        (self.window.len() - self.scanner.offset()) as u64
    }

    /// Events that came behind later ones.
    #[must_use]
    pub fn disordered(&self) -> u64 {
        self.disordered
    }

    /// The next step; `None` if that takes more bytes.
    ///
    /// # Errors
    /// [`Error::NotATrace`](crate::Error::NotATrace), [`Error::Version`](crate::Error::Version) or
    /// [`Error::UnknownRequired`](crate::Error::UnknownRequired) if this cannot be read.
    pub fn next(&mut self, rest: Rest) -> Result<Option<Step>> {
        if rest != Rest::Ends && !self.shows_what_it_is(rest) {
            return Ok(None);
        }
        loop {
            if let Some(gap) = self.gaps.pop() {
                return Ok(Some(Step::Gap(gap)));
            }
            if let Some(range) = self.damage.take() {
                return Ok(Some(Step::Damaged(range)));
            }
            let scanner = self.scanner;
            let found = self.scanner.next(&self.window)?;
            if rest != Rest::Ends && !found.is_none_or(|found| self.is_settled(&found, scanner.offset())) {
                self.scanner = scanner;
                return Ok(None);
            }
            let is_gaps = matches!(&found, Some(Found::Block { header, .. }) if header.kind == kind::GAPS);
            if self.held && !is_gaps && (found.is_some() || rest != Rest::Comes) {
                self.held = false;
                self.scanner = scanner;
                return Ok(Some(self.events()));
            }
            match found {
                None => return Ok(None),
                Some(Found::Header(header)) => {
                    let offset = self.before + scanner.offset() as u64;
                    self.gathering.begin_part(&header, usize::try_from(offset).unwrap_or(usize::MAX));
                }
                Some(Found::Damaged(range)) => return Ok(Some(Step::Damaged(range))),
                Some(Found::Block { offset, header }) => self.block(offset, &header)?,
            }
        }
    }

    /// Whether there are bytes enough to tell a trace, even a damaged one, from something else.
    fn shows_what_it_is(&self, rest: Rest) -> bool {
        let is_begun = self.before > 0 || self.scanner.offset() > 0;
        let magic = self.window.len().min(MAGIC.len());
        is_begun
            || FileHeader::parse(&self.window).is_ok()
            || self.window.len() >= 2 * SEARCHED_BYTES
            || (rest == Rest::Waits
                && (self.window.len() >= FILE_HEADER_BYTES || self.window[..magic] != MAGIC[..magic]))
    }

    /// Whether what was found at `start` is so whatever follows: a block, by what is behind it or by its content; damage,
    /// if something sound is behind it. No more than [`MAX_UNSETTLED`] bytes wait for that.
    fn is_settled(&self, found: &Found, start: usize) -> bool {
        match found {
            Found::Header(_) => true,
            Found::Block { offset, header } => {
                let rest = &self.window[*offset..];
                rest.len() >= header.block_bytes() + BLOCK_HEADER_BYTES || header.content(rest).is_ok()
            }
            Found::Damaged(_) => {
                self.scanner.offset() < self.window.len() || self.window.len() - start > MAX_UNSETTLED
            }
        }
    }

    /// Takes in a block; events are decoded and held.
    fn block(&mut self, at: usize, header: &BlockHeader) -> Result<()> {
        let offset = self.before + at as u64;
        let bytes = &self.window[at..];
        // They were here before, or were damaged, which was said.
        if header.flags & flag::RESTATED != 0 && matches!(header.kind, kind::GAPS | kind::CLOCKS) {
            return Ok(());
        }
        let cuts =
            if header.kind == kind::EVENTS { self.gathering.take_cuts(header.sequence.get()) } else { None };
        if header.kind != kind::EVENTS || self.gathering.known.blocks.is_empty() {
            self.gathering.absorb(offset, bytes, header)?;
        } else {
            self.gathering.known.complete = false;
        }
        let known = &mut self.gathering.known;
        known.clocks.truncate(MAX_BLOCK_RECORDS);
        self.damage = known.damage.pop();
        self.gaps.append(&mut known.gaps);
        // The first one is to come first.
        self.gaps.sort_by_key(|gap| std::cmp::Reverse(gap.to_ns));
        if header.kind != kind::EVENTS {
            return Ok(());
        }
        let block = BlockRef::new(offset, &IndexRow::new(0, header), known.part());
        match known.decode_bytes(&block, bytes, &mut self.decoder, &mut self.columns) {
            Ok(()) => {
                self.held = true;
                mark_cut(&block, cuts.map(|(_, cuts)| cuts), &mut self.columns);
            }
            Err(damage) => {
                let len_bytes = header.block_bytes() as u64;
                self.damage = Some(DamagedRange { offset, len_bytes, damage, events: block.events });
            }
        }
        Ok(())
    }

    /// Notes the time of what is handed on.
    fn events(&mut self) -> Step {
        let last_ns = self.last_ns;
        self.disordered += self.columns.time_ns.partition_point(|&time_ns| time_ns < last_ns) as u64;
        self.last_ns = self.columns.time_ns.last().copied().unwrap_or(0).max(last_ns);
        Step::Events
    }
}
