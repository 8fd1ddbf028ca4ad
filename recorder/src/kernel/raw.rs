//! Raw events: what the program puts in a ring, as the words that were moved out of it.
//!
//! In a ring each event is preceded by a word whose lower half is its length in bytes with two flags. [`RawHead::parse`]
//! checks every length, so that nothing from the ring can make the recorder read astray. It is called once for each
//! event; from then on an event is a head and the words that it points to, which [`Raw`] shows together.

use crate::abi::{HEADER_BYTES, MAX_ARGUMENTS};
use tracer_format::SiteId;

/// Flag of the length: reserved, not yet submitted; `BPF_RINGBUF_BUSY_BIT`.
pub(crate) const BUSY_BIT: u32 = 1 << 31;
/// Flag of the length: to be skipped; `BPF_RINGBUF_DISCARD_BIT`.
pub(crate) const DISCARD_BIT: u32 = 1 << 30;

/// Words before the arguments: the length and the header.
const HEAD_WORDS: usize = 1 + HEADER_BYTES / 8;

/// Words that an event of length word `length` takes up in its ring, the length word included.
pub(crate) fn span_words(length: u32) -> u64 {
    u64::from((length & !(BUSY_BIT | DISCARD_BIT)).div_ceil(8)) + 1
}

/// Words of the event that begins at `words[0]`, and whether it is to be skipped.
pub(crate) fn extent(words: &[u64]) -> Option<(usize, bool)> {
    let length = lower(*words.first()?);
    let count = usize::try_from(span_words(length)).ok()?;
    (count <= words.len()).then_some((count, length & DISCARD_BIT != 0))
}

/// An event without its words: 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawHead {
    /// `CLOCK_MONOTONIC`, ns.
    pub time_ns: u64,
    /// Process that fired.
    pub pid: u32,
    /// Thread that fired.
    pub tid: u32,
    /// The site.
    pub site: SiteId,
    /// Where its words begin, among those of all events beside it.
    pub start: u32,
    /// Words, those in which the strings lie included.
    pub len: u16,
    /// Bit i is set when word i could not be read.
    pub unreadable: u16,
    /// What happened: one of the `KIND_` constants.
    pub kind: u8,
    /// Words that stand for arguments, at most [`MAX_ARGUMENTS`].
    pub count: u8,
}

const _: () = assert!(size_of::<RawHead>() == 32);

impl RawHead {
    /// Reads the event in `words[at..end]`, as it was in a ring, the length word first; `None` if it contradicts itself.
    #[must_use]
    pub fn parse(words: &[u64], at: usize, end: usize) -> Option<Self> {
        let [_, time_ns, thread, site, payload @ ..] = words.get(at..end)? else { return None };
        let count = byte(*site, 7);
        if usize::from(count) > payload.len().min(MAX_ARGUMENTS) {
            return None;
        }
        Some(Self {
            time_ns: *time_ns,
            pid: upper(*thread),
            tid: lower(*thread),
            site: SiteId(lower(*site)),
            start: u32::try_from(at + HEAD_WORDS).ok()?,
            len: u16::try_from(payload.len()).ok()?,
            unreadable: u16::from(byte(*site, 4)) | u16::from(byte(*site, 5)) << 8,
            kind: byte(*site, 6),
            count,
        })
    }
}

/// One firing as the program saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    /// `CLOCK_MONOTONIC`, ns.
    pub time_ns: u64,
    /// Process that fired.
    pub pid: u32,
    /// Thread that fired.
    pub tid: u32,
    /// CPU that it fired on.
    pub cpu: u16,
    /// What happened: one of the `KIND_` constants.
    pub kind: u8,
    /// The site.
    pub site: SiteId,
    /// Bit i is set when `words[i]` could not be read.
    pub unreadable: u16,
    /// One word for each argument that the site's spec asks for.
    pub words: &'a [u64],
    /// All bytes after the header, in which the strings lie.
    payload: &'a [u64],
}

impl<'a> Raw<'a> {
    /// Shows an event of `cpu`: its head, and its words among `words`.
    ///
    /// # Panics
    /// If the head is not one of these words.
    #[must_use]
    pub fn of(cpu: u16, head: &RawHead, words: &'a [u64]) -> Self {
        let payload = &words[head.start as usize..][..usize::from(head.len)];
        Self {
            time_ns: head.time_ns,
            pid: head.pid,
            tid: head.tid,
            cpu,
            kind: head.kind,
            site: head.site,
            unreadable: head.unreadable,
            words: &payload[..usize::from(head.count)],
            payload,
        }
    }

    /// Reads the event that `words` consist of, as it was in a ring; `None` if it contradicts itself.
    #[cfg(test)]
    pub(crate) fn parse(cpu: u16, words: &'a [u64]) -> Option<Self> {
        RawHead::parse(words, 0, words.len()).map(|head| Self::of(cpu, &head, words))
    }

    /// Appends the string that word `index` stands for to `bytes`; false if there is none.
    #[must_use]
    pub fn string(&self, index: usize, bytes: &mut Vec<u8>) -> bool {
        let Some(word) = self.words.get(index).filter(|_| self.unreadable >> index & 1 == 0) else {
            return false;
        };
        let (start, length) = (upper(*word) as usize, lower(*word) as usize);
        let end = start.saturating_add(length);
        if end > self.payload.len() * 8 {
            return false;
        }
        bytes.extend((start..end).map(|at| byte(self.payload[at / 8], at % 8)));
        true
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn lower(word: u64) -> u32 {
    word as u32
}

fn upper(word: u64) -> u32 {
    lower(word >> 32)
}

/// Byte `index` of a word in memory order.
fn byte(word: u64, index: usize) -> u8 {
    word.to_le_bytes()[index]
}

const _: () = assert!(HEAD_WORDS == 4);

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An event as it lies in a ring.
    pub(crate) fn event(time_ns: u64, site: u32, values: &[u64]) -> Vec<u64> {
        let length = (HEADER_BYTES + values.len() * 8) as u64;
        let mut words = vec![length, time_ns, 7 << 32 | 9, u64::from(site) | (values.len() as u64) << 56];
        words.extend(values);
        words
    }

    /// An event about process `pid`, as it lies in a ring: words, then a word for each string.
    pub(crate) fn about(time_ns: u64, pid: u32, kind: u8, values: &[u64], strings: &[&[u8]]) -> Vec<u64> {
        let count = values.len() + strings.len();
        let mut words = event(time_ns, 0, values);
        words[2] = u64::from(pid) << 32;
        words[3] = u64::from(kind) << 48 | (count as u64) << 56;
        let mut bytes = Vec::new();
        for string in strings {
            words.push(((count * 8 + bytes.len()) as u64) << 32 | string.len() as u64);
            bytes.extend_from_slice(string);
        }
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        words.extend(
            bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))),
        );
        words[0] = (words.len() as u64 - 1) * 8;
        words
    }

    #[test]
    fn fields_are_found_at_their_places() {
        let mut words = event(5, 3, &[11, 12]);
        words[3] |= 0b10 << 32 | 1 << 48;
        let raw = Raw::parse(4, &words).expect("an event");
        assert_eq!((raw.time_ns, raw.pid, raw.tid, raw.cpu), (5, 7, 9, 4));
        assert_eq!((raw.site, raw.kind, raw.unreadable), (SiteId(3), 1, 2));
        assert_eq!(raw.words, [11, 12]);
    }

    #[test]
    fn a_count_beyond_the_event_is_refused() {
        let mut words = event(5, 3, &[11, 12]);
        words[3] += 1 << 56;
        assert_eq!(Raw::parse(0, &words), None);
        assert_eq!(Raw::parse(0, &words[..3]), None);
        let many = event(5, 3, &[0; 13]);
        assert_eq!(Raw::parse(0, &many), None);
    }

    #[test]
    fn strings_are_bytes_of_the_payload() {
        let words = event(5, 3, &[16 << 32 | 3, 24 << 32 | 1, u64::from_le_bytes(*b"abcdefgh")]);
        let raw = Raw::parse(0, &words).expect("an event");
        let mut bytes = Vec::new();
        assert!(raw.string(0, &mut bytes));
        assert_eq!(bytes, b"abc");
        assert!(!raw.string(1, &mut bytes), "ends behind the payload");
        assert!(!raw.string(3, &mut bytes), "no such word");
        assert_eq!(bytes, b"abc");
    }

    #[test]
    fn lengths_are_rounded_up_to_words() {
        assert_eq!(span_words(24), 4);
        assert_eq!(span_words(25 | BUSY_BIT | DISCARD_BIT), 5);
        assert_eq!(extent(&[24 | u64::from(DISCARD_BIT), 0, 0, 0]), Some((4, true)));
        assert_eq!(extent(&[24, 0, 0]), None);
        assert_eq!(extent(&[]), None);
    }
}
