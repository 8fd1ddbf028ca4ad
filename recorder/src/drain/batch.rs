//! What is drained at one time: plain data, so that everything after it can be tested without a kernel.

use crate::drain::BATCH_WORDS;
use crate::drain::loss::Loss;
use crate::kernel::raw::{Raw, RawHead, extent};

/// Raw events moved out of the buffers at one time, with what is known about their completeness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Words of 8 bytes that its events take up at most.
    pub max_words: usize,
    /// The events of each CPU that has any.
    pub parts: Vec<Part>,
    /// Every event and every loss up to this time, `CLOCK_MONOTONIC` ns, is in this batch or one before.
    pub complete_ns: u64,
    /// Events lost, as far as they have been looked at.
    pub losses: Vec<Loss>,
    /// Events that contradicted themselves and were left out; 0 unless the kernel is broken.
    pub malformed: u64,
    /// Empty parts, kept for their memory.
    pub spare: Vec<Part>,
    /// From who wrote the batch before: bytes of events that wait for an earlier one.
    pub waiting_bytes: usize,
}

/// Events of one CPU in the order of its buffer.
///
/// A buffer is nearly sorted: a task that is preempted between reserving and reading the clock leaves an event behind
/// with a later time. So it is a sequence of ascending runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The CPU; the number of CPUs for what happens to processes.
    pub cpu: u16,
    heads: Vec<RawHead>,
    /// Where the heads point to.
    words: Vec<u64>,
    /// Index of the first event of each run.
    runs: Vec<usize>,
}

/// Words that a head takes up.
const HEAD_WORDS: usize = size_of::<RawHead>() / 8;

impl Default for Batch {
    fn default() -> Self {
        Self::new(BATCH_WORDS)
    }
}

impl Batch {
    /// An empty batch for up to `max_words` words of 8 bytes.
    #[must_use]
    pub fn new(max_words: usize) -> Self {
        Self {
            max_words,
            parts: Vec::new(),
            complete_ns: 0,
            losses: Vec::new(),
            malformed: 0,
            spare: Vec::new(),
            waiting_bytes: 0,
        }
    }

    /// Empties the batch but keeps its memory, unless that has become more than a full batch needs: with many CPUs, each of which
    /// had much at some time.
    pub fn clear(&mut self) {
        for mut part in self.parts.drain(..) {
            part.clear();
            self.spare.push(part);
        }
        let mut kept = 0;
        self.spare.retain(|part| {
            kept += part.capacity_words();
            kept <= 2 * self.max_words
        });
        self.losses.clear();
        self.complete_ns = 0;
        self.malformed = 0;
    }

    /// Whether no event is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// An empty part for the events of `cpu`.
    pub(super) fn part(&mut self, cpu: u16) -> Part {
        Part { cpu, ..self.spare.pop().unwrap_or_default() }
    }

    /// Takes a part back, unless it is empty.
    pub(super) fn add(&mut self, part: Part) {
        if part.is_empty() { self.spare.push(part) } else { self.parts.push(part) }
    }
}

impl Part {
    /// No events of `cpu`.
    #[must_use]
    pub fn new(cpu: u16) -> Self {
        Self { cpu, ..Self::default() }
    }

    /// Adds an event; `words` are those of its arguments, then those in which the strings lie. Where the head points to
    /// is set here.
    ///
    /// # Panics
    /// If there are more words than a part may have.
    pub fn push(&mut self, head: RawHead, words: &[u64]) {
        let start = u32::try_from(self.words.len()).expect("a part is small");
        let len = u16::try_from(words.len()).expect("an event is small");
        self.words.extend_from_slice(words);
        self.append(RawHead { start, len, ..head });
    }

    /// Adds an event whose words are in place.
    pub(super) fn append(&mut self, head: RawHead) {
        if self.heads.last().is_none_or(|last| head.time_ns < last.time_ns) {
            self.runs.push(self.heads.len());
        }
        self.heads.push(head);
    }

    /// The words of all events, to be extended; [`append`](Self::append) or [`parse_ring`](Self::parse_ring) must follow.
    pub(super) fn words(&mut self) -> &mut Vec<u64> {
        &mut self.words
    }

    /// Adds the events that were moved from a ring to the end of [`words`](Self::words), from `begin` on. Returns how many
    /// contradicted themselves and were left out; what follows a broken length is lost.
    pub(super) fn parse_ring(&mut self, begin: usize) -> u64 {
        let (mut at, mut malformed) = (begin, 0);
        while at < self.words.len() {
            let Some((count, skip)) = extent(&self.words[at..]) else {
                self.words.truncate(at);
                return malformed + 1;
            };
            match RawHead::parse(&self.words, at, at + count) {
                _ if skip => {}
                Some(head) => self.append(head),
                None => malformed += 1,
            }
            at += count;
        }
        malformed
    }

    /// Words that it takes up, used or not.
    fn capacity_words(&self) -> usize {
        self.heads.capacity() * HEAD_WORDS + self.words.capacity() + self.runs.capacity()
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether it has no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The event at `index`.
    #[must_use]
    pub fn event(&self, index: usize) -> Raw<'_> {
        Raw::of(self.cpu, &self.heads[index], &self.words)
    }

    /// The events from `begin` on.
    pub(super) fn events(&self, begin: usize) -> impl Iterator<Item = Raw<'_>> {
        (begin..self.len()).map(|index| self.event(index))
    }

    /// Time of the event at `index`, ns.
    pub(super) fn time_ns(&self, index: usize) -> u64 {
        self.heads[index].time_ns
    }

    /// Begin and end of each ascending run of events.
    pub(super) fn runs(&self) -> impl ExactSizeIterator<Item = (usize, usize)> {
        let end = |run: usize| self.runs.get(run + 1).copied().unwrap_or(self.heads.len());
        (0..self.runs.len()).map(move |run| (self.runs[run], end(run)))
    }

    /// Memory of all events, in words of 8 bytes.
    pub(super) fn size_words(&self) -> usize {
        self.heads.len() * HEAD_WORDS + self.words.len()
    }

    pub(super) fn clear(&mut self) {
        self.heads.clear();
        self.words.clear();
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::raw::DISCARD_BIT;
    use crate::kernel::raw::tests::event;

    #[test]
    fn what_contradicts_itself_is_counted_and_discarded_is_not() {
        let mut part = Part::new(3);
        for time_ns in 1..=4 {
            part.words().extend(event(time_ns, 0, &[0]));
        }
        part.words[0] |= u64::from(DISCARD_BIT);
        part.words[5 + 3] |= 0xff << 56;
        part.words[15] = 1 << 20;
        assert_eq!(part.parse_ring(0), 2);
        let times: Vec<u64> = part.events(0).map(|event| event.time_ns).collect();
        assert_eq!(
            times,
            [3],
            "the first was discarded, the second counts too many words, the fourth has no end"
        );
    }

    #[test]
    fn runs_ascend() {
        let mut part = Part::new(0);
        for time_ns in [5, 5, 9, 7, 8, 1] {
            part.push(RawHead { time_ns, ..RawHead::default() }, &[]);
        }
        assert_eq!(part.runs().collect::<Vec<_>>(), [(0, 3), (3, 5), (5, 6)]);
    }
}
