//! Blocks on their way out: sealed one after the other, written together, and noted for the index.
#![expect(clippy::cast_possible_truncation, reason = "the limits keep counts below 2^32")]

use std::io;

use zerocopy::IntoBytes;

use super::writer::WriterOptions;
use crate::encode::{Encoder, index};
use crate::error::{Error, Result};
use crate::layout::block::{BlockHeader, BlockMaker, Bounds, kind};
use crate::layout::header::FileHeader;
use crate::layout::index::{FOOTER_BLOCK_BYTES, Footer, IndexRow, TRAILER};
use crate::limits::{MAX_BLOCKS, MAX_STORED_BYTES};

/// Seals blocks and writes them to `W`. Once that has failed, nothing is written any more.
pub(super) struct Sealer<W> {
    pub(super) sink: W,
    trace_id: u64,
    pub(super) encoder: Encoder,
    /// What is sealed and not written.
    out: Vec<u8>,
    pub(super) written_bytes: u64,
    /// Number of the next block.
    pub(super) sequence: u32,
    /// The blocks that the index is to list.
    pub(super) index: Vec<IndexRow>,
    failed: Option<String>,
}

/// What a block says of its content.
pub(super) struct BlockHead {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) count: u32,
    pub(super) bounds: Bounds,
}

impl BlockHead {
    /// Of content without times and keys.
    pub(super) fn new(kind: u8, flags: u8, count: u32) -> Self {
        Self { kind, flags, count, bounds: Bounds::NONE }
    }
}

impl<W: io::Write> Sealer<W> {
    /// Starts a trace: writes the file header.
    pub(super) fn new(sink: W, options: WriterOptions) -> Result<Self> {
        let mut sealer = Self {
            sink,
            trace_id: options.trace_id,
            encoder: Encoder::new(options.level)?,
            out: FileHeader::new(options.trace_id).as_bytes().to_vec(),
            written_bytes: 0,
            sequence: 0,
            index: Vec::new(),
            failed: None,
        };
        sealer.write()?;
        Ok(sealer)
    }

    /// Seals a block whose content `fill` appends.
    pub(super) fn seal(&mut self, head: &BlockHead, fill: impl FnOnce(&mut Encoder, &mut Vec<u8>)) {
        let start = BlockMaker::begin(&mut self.out);
        fill(&mut self.encoder, &mut self.out);
        self.end(head, start);
        let header = BlockHeader::parse(&self.out[start..]).expect("just written");
        self.index.push(IndexRow::new(self.written_bytes + start as u64, &header));
    }

    fn end(&mut self, head: &BlockHead, start: usize) {
        let &BlockHead { kind, flags, count, bounds } = head;
        let (trace_id, sequence) = (self.trace_id, self.sequence);
        BlockMaker { kind, flags, count, trace_id, sequence, bounds }.end(&mut self.out, start);
        self.sequence += 1;
    }

    /// Bytes of the trace so far, those that wait to be written too.
    pub(super) fn position(&self) -> u64 {
        self.written_bytes + self.out.len() as u64
    }

    /// Refuses to go on after a failure, and when the numbers of blocks are used up.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(failure) = &self.failed {
            return Err(Error::Poisoned(failure.clone()));
        }
        let (len, max) = (self.sequence.into(), MAX_BLOCKS as u64);
        if len > max { Err(Error::TooLarge { what: "blocks", len, max }) } else { Ok(()) }
    }

    /// Whether writing has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Writes what is sealed.
    pub(super) fn write(&mut self) -> Result<()> {
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

    /// Writes the index of `rows` and the footer; nothing waits to be written.
    pub(super) fn finish(mut self, rows: &[IndexRow], mut footer: Footer) -> Result<W> {
        footer.index_offset = self.written_bytes.into();
        let start = BlockMaker::begin(&mut self.out);
        index::encode(rows, &mut self.encoder, &mut self.out);
        if self.out.len() - start > MAX_STORED_BYTES {
            // A reader finds the blocks by their headers instead.
            self.out.clear();
            footer.index_offset = 0.into();
        } else {
            self.end(&BlockHead::new(kind::INDEX, 0, rows.len() as u32), start);
        }
        footer.trace_bytes = (self.position() + FOOTER_BLOCK_BYTES as u64).into();
        footer.trailer = TRAILER;
        let start = BlockMaker::begin(&mut self.out);
        self.out.extend_from_slice(footer.as_bytes());
        self.end(&BlockHead::new(kind::FOOTER, 0, 1), start);
        self.write()?;
        Ok(self.sink)
    }
}
