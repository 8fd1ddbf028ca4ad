//! Compresses blocks of events: on the thread that writes, or side by side on others. They come back in the order in which they
//! were given, so the file is the same byte for byte.
//!
//! The threads share nothing: a block is owned by one of them at a time, and goes round robin through a queue to each and back.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::encode::{BlockBuilder, Encoder};
use crate::error::Result;
use crate::layout::block::Bounds;

/// A block of events, and its content once it is packed.
pub(super) struct Packed {
    pub(super) builder: BlockBuilder,
    pub(super) bounds: Bounds,
    pub(super) content: Vec<u8>,
}

impl Packed {
    fn pack(&mut self, encoder: &mut Encoder) {
        self.content.clear();
        self.builder.encode(self.bounds.key_min, encoder, &mut self.content);
    }
}

/// Blocks on their way through compression.
pub(super) struct Packer {
    threads: Vec<PackingThread>,
    given: usize,
    taken: usize,
    /// Blocks that wait, if there are no other threads.
    here: VecDeque<Packed>,
    /// Empty builders and contents, to be used again.
    spares: Vec<(BlockBuilder, Vec<u8>)>,
}

/// The queues to a thread and back.
struct PackingThread {
    given: Sender<Packed>,
    packed: Receiver<Packed>,
}

/// Blocks of each thread that may wait for it or for the writer.
const WAITING: usize = 2;

impl Packer {
    /// With `threads` threads besides this one; they end with it.
    pub(super) fn new(threads: usize, level: i32) -> Result<Self> {
        let lane = |_| {
            let mut encoder = Encoder::new(level)?;
            let (given, blocks) = channel::<Packed>();
            let (back, packed) = channel();
            let pack = move || {
                for mut block in blocks {
                    block.pack(&mut encoder);
                    if back.send(block).is_err() {
                        return;
                    }
                }
            };
            thread::Builder::new().name("compress".to_owned()).spawn(pack)?;
            Ok(PackingThread { given, packed })
        };
        let lanes = (0..threads).map(lane).collect::<Result<_>>()?;
        Ok(Self { threads: lanes, given: 0, taken: 0, here: VecDeque::new(), spares: Vec::new() })
    }

    /// Blocks that may be on their way while others are collected.
    pub(super) fn room(&self) -> usize {
        WAITING * self.threads.len()
    }

    /// Gives the events of `builder` on their way, and leaves an empty one.
    pub(super) fn give(&mut self, builder: &mut BlockBuilder, bounds: Bounds) {
        let (empty, content) = self.spares.pop().unwrap_or_else(|| (BlockBuilder::new(), Vec::new()));
        let block = Packed { builder: std::mem::replace(builder, empty), bounds, content };
        match self.threads.get(self.given % self.threads.len().max(1)) {
            // A thread that is gone has panicked, which `take` meets.
            Some(lane) => drop(lane.given.send(block)),
            None => self.here.push_back(block),
        }
        self.given += 1;
    }

    /// The block that was given first of those on their way, packed; by `encoder`, if there are no other threads.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn take(&mut self, encoder: &mut Encoder) -> Packed {
        let lane = self.threads.get(self.taken % self.threads.len().max(1));
        self.taken += 1;
        if let Some(lane) = lane {
            return lane.packed.recv().expect("a thread packs what it is given");
        }
        let mut block = self.here.pop_front().expect("as many are taken as were given");
        block.pack(encoder);
        block
    }

    /// Takes back a block that was written, to be used again.
    pub(super) fn give_back(&mut self, block: Packed) {
        let Packed { mut builder, content, .. } = block;
        builder.clear();
        self.spares.push((builder, content));
    }
}
