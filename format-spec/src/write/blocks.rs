//! The blocks of a trace in their order: what one flush after the other wrote, and what is written again.

use std::io;

use zerocopy::{FromZeros, Immutable, IntoBytes};

use super::kept::Kept;
use super::packer::Packed;
use super::sealer::{BlockHead, Sealer};
use crate::encode::{DictionaryBuilder, cuts};
use crate::error::Result;
use crate::layout::block::{Bounds, flag, kind};
use crate::layout::index::Footer;
use crate::layout::{StoredClock, StoredGap, bounds};
use crate::limits::MAX_BLOCK_RECORDS;
use crate::model::{DefinedSoFar, Definitions};

/// All definitions are written again after so many bytes, and so many times their own.
const RESTATE_BYTES: u64 = 8 << 20;
const RESTATE_RATIO: u64 = 32;

/// What one flush writes.
pub(super) struct Unsealed {
    /// Those that are new.
    pub(super) definitions: DictionaryBuilder,
    pub(super) clocks: Vec<StoredClock>,
    /// Whether there are events, which come from the packer.
    pub(super) has_events: bool,
    pub(super) gaps: Vec<StoredGap>,
    /// Which definitions there are by now, and their bytes before compression.
    pub(super) extent: DefinedSoFar,
    pub(super) definition_bytes: u64,
}

/// Writes blocks to `W`, one flush after the other.
pub(super) struct Blocks<W> {
    pub(super) sealer: Sealer<W>,
    all_gaps: Kept<StoredGap>,
    all_clocks: Kept<StoredClock>,
    /// Events in sealed blocks.
    pub(super) events: u64,
    /// Where all definitions were written last.
    restated_at: u64,
}

impl<W: io::Write> Blocks<W> {
    pub(super) fn new(sealer: Sealer<W>) -> Self {
        Self { sealer, all_gaps: Kept::default(), all_clocks: Kept::default(), events: 0, restated_at: 0 }
    }

    /// Writes what a flush writes, with its events; `definitions` has those of its time, and perhaps more.
    pub(super) fn write(
        &mut self,
        mut flush: Unsealed,
        events: Option<&Packed>,
        definitions: &Definitions,
    ) -> Result<()> {
        if !flush.definitions.is_empty() {
            self.seal_definitions(&mut flush.definitions, 0);
        }
        if !flush.clocks.is_empty() {
            self.seal_rows(kind::CLOCKS, 0, Bounds::NONE, &flush.clocks);
            self.all_clocks.add(&flush.clocks);
        }
        if let Some(events) = events {
            self.seal_events(events);
        }
        if !flush.gaps.is_empty() {
            self.seal_rows(kind::GAPS, 0, bounds(&flush.gaps), &flush.gaps);
            self.all_gaps.add(&flush.gaps);
        }
        let since = self.sealer.position() - self.restated_at;
        if since >= RESTATE_BYTES.max(RESTATE_RATIO * flush.definition_bytes) {
            self.restate(definitions.within(&flush.extent))?;
        }
        self.sealer.write()
    }

    /// Writes all definitions again: they stay readable if the first blocks become damaged.
    fn restate(&mut self, definitions: Definitions) -> Result<()> {
        let mut restated = DictionaryBuilder::default();
        for (id, definition) in definitions.into_numbered() {
            if restated.is_full() {
                self.seal_definitions(&mut restated, flag::RESTATED);
                self.sealer.write()?;
            }
            restated.push(id, &definition);
        }
        if !restated.is_empty() {
            self.seal_definitions(&mut restated, flag::RESTATED);
        }
        self.restated_at = self.sealer.position();
        Ok(())
    }

    fn seal_definitions(&mut self, definitions: &mut DictionaryBuilder, flags: u8) {
        let head = BlockHead::new(kind::DEFINITIONS, flag::REQUIRED | flags, definitions.count());
        let written_bytes = self.sealer.written_bytes;
        self.sealer.seal(&head, |encoder, out| definitions.encode(written_bytes, encoder, out));
    }

    fn seal_events(&mut self, events: &Packed) {
        let count = u32::try_from(events.builder.len()).expect("limited by MAX_BLOCK_EVENTS");
        let mut flags = flag::REQUIRED;
        let cut_strings = events.builder.cut_strings();
        if !cut_strings.is_empty() {
            flags |= flag::CUT;
            // Which of the strings of the next block are cut.
            let cut = u32::try_from(cut_strings.len()).expect("limited by MAX_BLOCK_VALUES");
            let head = BlockHead::new(kind::CUTS, 0, cut);
            let next = self.sealer.sequence + 1;
            self.sealer.seal(&head, |encoder, out| cuts::encode(next, cut_strings, encoder, out));
        }
        let head = BlockHead { bounds: events.bounds, ..BlockHead::new(kind::EVENTS, flags, count) };
        self.sealer.seal(&head, |_, out| out.extend_from_slice(&events.content));
        self.events += u64::from(count);
    }

    /// Seals gaps or clock anchors.
    fn seal_rows<T: IntoBytes + Immutable>(&mut self, kind: u8, flags: u8, bounds: Bounds, rows: &[T]) {
        let count = u32::try_from(rows.len()).expect("limited by MAX_BLOCK_RECORDS");
        let head = BlockHead { bounds, ..BlockHead::new(kind, flags, count) };
        self.sealer.seal(&head, |_, out| out.extend_from_slice(rows.as_bytes()));
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

    /// Writes all `definitions`, gaps and clock anchors again, the index and the footer; `dropped` events are in gaps.
    pub(super) fn finish(mut self, definitions: Definitions, dropped: u64) -> Result<W> {
        let restated_offset = self.sealer.written_bytes;
        // The index lists what stands before.
        let rows = std::mem::take(&mut self.sealer.index);
        self.restate(definitions)?;
        self.restate_rows();
        self.sealer.write()?;
        let footer = Footer {
            restated_offset: restated_offset.into(),
            events: self.events.into(),
            dropped: dropped.into(),
            ..Footer::new_zeroed()
        };
        self.sealer.finish(&rows, footer)
    }
}
