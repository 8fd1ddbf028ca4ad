//! The reader's end of one ring buffer (`BPF_MAP_TYPE_RINGBUF`): moves raw events out of memory shared with the kernel.
//!
//! Layout and protocol are those of `kernel/bpf/ringbuf.c`: one page with the consumer's position, which the reader
//! writes; one page with the producer's position; then the data, mapped twice in a row so that every event is contiguous.
//! Each event begins with a 32-bit length, whose top bits say busy (reserved, not yet submitted) and discarded.
#![expect(
    clippy::cast_possible_truncation,
    reason = "on the 64-bit machines that record, usize holds any position"
)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::{Advice, MmapOptions, MmapRaw};

use crate::kernel::raw::{BUSY_BIT, span_words};

/// One ring buffer, mapped.
#[derive(Debug)]
pub(crate) struct Ring {
    fd: OwnedFd,
    consumer: MmapRaw,
    producer: MmapRaw,
    /// Bytes of the data, a power of two.
    size_bytes: usize,
    page_bytes: usize,
    /// Our copy of the consumer's position: bytes read since the ring was created.
    position: u64,
}

/// How far one call of [`Ring::drain`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Everything that was in the ring when the call began was moved.
    Complete,
    /// The next event is reserved but not submitted yet.
    Busy,
    /// `words` is full.
    Full,
}

impl Ring {
    /// Maps the ring buffer `fd` of `size_bytes`.
    ///
    /// # Errors
    /// When the memory cannot be mapped.
    pub(crate) fn map(fd: BorrowedFd<'_>, size_bytes: u32) -> io::Result<Self> {
        let fd = fd.try_clone_to_owned()?;
        let size_bytes = size_bytes as usize;
        let page_bytes = rustix::param::page_size();
        // Raw mappings, because the kernel changes the memory at any time: nothing here makes a reference to its bytes.
        // Positions and lengths are read and written atomically; an event's other bytes are copied only when its length
        // says that it is submitted, after which the kernel leaves them alone until the consumer's position passes them.
        let consumer = MmapOptions::new().len(page_bytes).map_raw(&fd)?;
        let producer = MmapOptions::new()
            .offset(page_bytes as u64)
            .len(page_bytes + 2 * size_bytes)
            .map_raw_read_only(&fd)?;
        // A helper has no use for it, and the kernel copies its page table for each one otherwise.
        producer.advise(Advice::DontFork)?;
        let mut ring = Self { fd, consumer, producer, size_bytes, page_bytes, position: 0 };
        ring.position = ring.consumer_position().load(Ordering::Relaxed);
        Ok(ring)
    }

    /// Bytes of the ring.
    #[must_use]
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Bytes reserved and not yet moved.
    #[must_use]
    pub(crate) fn fill_bytes(&self) -> u64 {
        self.producer_position().load(Ordering::Relaxed).saturating_sub(self.position)
    }

    /// Bytes that were ever reserved.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.producer_position().load(Ordering::Acquire)
    }

    /// Bytes that were ever moved.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.position
    }

    /// Moves submitted events to the end of `words`, until the ring is empty, the next event is busy, or `words` would
    /// exceed `limit_words`. What is moved is as in the ring: the length word of each event, then the event, rounded up
    /// to whole words. The kernel gets the space back once, at the end.
    pub(crate) fn drain(&mut self, words: &mut Vec<u64>, limit_words: usize) -> Reach {
        // Acquire: what was reserved before this position has its length word written.
        let produced = self.producer_position().load(Ordering::Acquire);
        let mask = self.size_bytes as u64 - 1;
        let room_words = limit_words.saturating_sub(words.len()).min(self.size_bytes / 8) as u64;
        let start = self.position;
        let mut progress = Reach::Complete;
        while self.position < produced {
            // Acquire: once the length is not busy, the event's bytes are all written.
            let length = self.length_at(self.position & mask).load(Ordering::Acquire);
            if length & BUSY_BIT != 0 {
                progress = Reach::Busy;
                break;
            }
            let next = self.position + span_words(length) * 8;
            if (next - start) / 8 > room_words || next > produced {
                progress = Reach::Full;
                break;
            }
            self.position = next;
        }
        self.copy(start & mask, (self.position - start) / 8, words);
        if self.position != start {
            // Release: the copy above is done before the kernel may write here again.
            self.consumer_position().store(self.position, Ordering::Release);
        }
        progress
    }

    /// Copies `count` submitted words that begin at byte `offset` of the data; they may run into the second mapping.
    fn copy(&self, offset: u64, count: u64, words: &mut Vec<u64>) {
        let (offset, count) = (offset as usize, count as usize);
        assert!(offset < self.size_bytes && count * 8 <= self.size_bytes, "inside the two mappings");
        words.reserve(count);
        let length = words.len();
        // SAFETY: the source lies inside the mapping (asserted) and holds only submitted events, which the
        // kernel does not write now; it is aligned, as positions are multiples of 8. The target has capacity for `count` more words and
        // belongs to this process alone. All of it is initialised when the length is set.
        unsafe {
            let source = self.data().add(offset).cast::<u64>();
            source.copy_to_nonoverlapping(words.as_mut_ptr().add(length), count);
            words.set_len(length + count);
        }
    }

    fn data(&self) -> *const u8 {
        self.producer.as_ptr().wrapping_add(self.page_bytes)
    }

    fn consumer_position(&self) -> &AtomicU64 {
        position(self.consumer.as_ptr())
    }

    fn producer_position(&self) -> &AtomicU64 {
        position(self.producer.as_ptr())
    }

    /// The length word at byte `offset` of the data.
    fn length_at(&self, offset: u64) -> &AtomicU32 {
        assert!(offset.is_multiple_of(8) && (offset as usize) < self.size_bytes, "inside the first mapping");
        // SAFETY: inside the mapping and aligned (asserted); the kernel writes the word whole.
        unsafe { &*self.data().add(offset as usize).cast::<AtomicU32>() }
    }
}

/// The position at the start of one of the mappings.
fn position(page: *const u8) -> &'static AtomicU64 {
    let page = NonNull::new(page.cast_mut()).expect("a mapping has an address");
    // SAFETY: callers pass the start of a mapping of at least a page, which is aligned, and bind the result to the life
    // of the ring that owns it; both sides access the word only whole.
    unsafe { page.cast::<AtomicU64>().as_ref() }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
