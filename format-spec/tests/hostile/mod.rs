//! Builds traces that no writer would: sound checksums around anything.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    reason = "a module of a test; its numbers are small"
)]

use tracer_format::block::{BLOCK_MAGIC, BlockHeader, flag, kind};
use tracer_format::header::FileHeader;
use tracer_format::index::{Footer, IndexRow, TRAILER};
use zerocopy::{FromZeros, IntoBytes};

/// A trace in the making.
#[derive(Clone)]
pub struct Hostile {
    pub bytes: Vec<u8>,
    sequence: u32,
    pub trace_id: u64,
    index_offset: u64,
    restated_offset: u64,
    restated: u8,
}

impl Hostile {
    /// No bytes yet.
    pub fn empty() -> Self {
        Self { bytes: Vec::new(), sequence: 0, trace_id: 0, index_offset: 0, restated_offset: 0, restated: 0 }
    }

    /// A file header.
    pub fn new() -> Self {
        Self::empty().part(1)
    }

    /// Another part.
    pub fn part(mut self, trace_id: u64) -> Self {
        (self.trace_id, self.sequence) = (trace_id, 0);
        self.bytes.extend_from_slice(FileHeader::new(trace_id).as_bytes());
        self
    }

    /// A block header without content: `change` makes it what it should not be.
    pub fn header(&mut self, kind: u8, change: impl FnOnce(&mut BlockHeader)) {
        let mut header = BlockHeader::new_zeroed();
        header.magic = BLOCK_MAGIC;
        header.kind = kind;
        header.trace_id = self.trace_id.into();
        header.sequence = self.sequence.into();
        self.sequence += 1;
        change(&mut header);
        let checked = header.as_bytes().len() - 4;
        header.header_checksum = crc32fast::hash(&header.as_bytes()[..checked]).into();
        self.bytes.extend_from_slice(header.as_bytes());
    }

    /// A block.
    pub fn block(mut self, kind: u8, count: u32, content: &[u8]) -> Self {
        let restated = self.restated;
        self.header(kind, |header| {
            header.flags = restated | if kind < 3 { flag::REQUIRED } else { 0 };
            header.count = count.into();
            header.stored_bytes = (content.len() as u32).into();
            header.content_checksum = crc32fast::hash(content).into();
        });
        self.bytes.extend_from_slice(content);
        self
    }

    /// A block of one definition.
    pub fn definition(self, number: u8, id: u64, body: &[u8]) -> Self {
        let mut definition = vec![number];
        varint(&mut definition, id);
        varint(&mut definition, body.len() as u64);
        definition.extend_from_slice(body);
        let mut content = Vec::new();
        varint(&mut content, definition.len() as u64);
        content.push(1);
        content.extend(definition);
        self.block(kind::DEFINITIONS, 1, &content)
    }

    /// A process, a thread and a site with so many arguments, of id 0 each.
    pub fn defined(self, args: usize) -> Self {
        let mut site = vec![1, b'a', 1, b'b', 0, 0, 0, 0, 0, 0, 0, 0, args as u8];
        site.extend(vec![0x18; args]);
        let process = [0; 7];
        self.definition(2, 0, &process).definition(3, 0, &[0, 7]).definition(4, 0, &site)
    }

    /// An index of so many rows, with this plane as its content, and a footer.
    pub fn index_of(mut self, count: u32, plane: &[u8]) -> Self {
        self.restated = 0;
        self.index_offset = self.bytes.len() as u64;
        if self.restated_offset == 0 {
            self.restated_offset = self.index_offset;
        }
        self.block(kind::INDEX, count, plane).footer(|_| {})
    }

    /// An index of rows that `change` makes, given the position of the index, and a footer.
    pub fn index(self, count: u32, change: impl Fn(&mut IndexRow, u64)) -> Self {
        let at = self.bytes.len() as u64;
        let mut plane = vec![1];
        for _ in 0..count {
            let mut row = IndexRow::new_zeroed();
            row.kind = kind::INDEX;
            change(&mut row, at);
            plane.extend_from_slice(row.as_bytes());
        }
        self.index_of(count, &plane)
    }

    /// The definitions of [`defined`](Self::defined) again, an index of `count` rows, and a footer: a complete trace.
    pub fn index_of_rows(self, count: u32, change: impl Fn(&mut IndexRow)) -> Self {
        self.restate().defined(1).index(count, |row, _| change(row))
    }

    /// All blocks from here on, to the index, have the flag.
    pub fn restate(mut self) -> Self {
        self.restated_offset = self.bytes.len() as u64;
        self.restated = flag::RESTATED;
        self
    }

    /// A footer.
    pub fn footer(self, change: impl FnOnce(&mut Footer)) -> Self {
        let mut footer = Footer::new_zeroed();
        footer.trace_bytes = (self.bytes.len() as u64 + 128).into();
        footer.restated_offset = self.restated_offset.into();
        footer.index_offset = self.index_offset.into();
        footer.trailer = TRAILER;
        change(&mut footer);
        self.block(kind::FOOTER, 1, footer.as_bytes())
    }
}

/// Appends a varint.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The content of `count` events at time 0 of thread 0 and site 0, which has `args` arguments: a few dozen bytes. Also
/// where its strings begin.
pub fn events_of_constants(count: usize, args: usize) -> (Vec<u8>, usize) {
    assert!(count > 0);
    // One thread, one site, threads, sites, processors, times: all zero.
    let mut content = vec![1, 0, 1, 0, 0, 0, 0, 0, args as u8];
    // Predictor and column of each argument.
    content.extend([0, 0].repeat(args));
    content.push(0);
    let strings = content.len();
    content.push(0);
    (content, strings)
}

/// A zstd frame that claims `len` bytes and has `blocks` blocks of 128 KiB of zeros.
pub fn zeros_frame(len: u64, blocks: usize) -> Vec<u8> {
    // Magic; a single segment with a content size of eight bytes.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
    frame.extend(len.to_le_bytes());
    for block in 0..blocks {
        let last = u32::from(block + 1 == blocks);
        // A block of one byte repeated.
        let header = (128 << 10 << 3) | (1 << 1) | last;
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}
