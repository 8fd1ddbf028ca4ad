//! The latencies of a run in the order in which they were seen, as many as memory allows.

use std::hash::{DefaultHasher, Hasher};
use std::io;

use crate::analysis::EdgeMap;
use crate::pair::{Class, Found, HandOff, HandOffRow, Sink, Span, SpanRow, UsualKeys};

/// Latencies that a side keeps of each stage and hand-off; and of all of them together, about.
const MAX_KEPT: usize = 32_768;
const MAX_OF_ALL: usize = 1 << 19;

/// Latencies of one stage or hand-off: all of them, or one of every so many, chosen by chance so that no rhythm of the
/// program is followed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    /// A hash of the key, and the latency, ns, in order.
    pub(crate) values: Vec<(u64, i64)>,
    /// One of so many is kept; a power of two.
    stride: Stride,
}

#[derive(Debug, Clone, Copy)]
struct Stride {
    len: u64,
    /// Position within the stride, and the one that is kept.
    at: u64,
    kept: u64,
    /// State of the generator.
    chance: u64,
}

impl Default for Stride {
    fn default() -> Self {
        Self { len: 1, at: 0, kept: 0, chance: 0 }
    }
}

impl Stride {
    /// Whether the next value is the one that is kept of its stride.
    fn keeps(&mut self) -> bool {
        let keeps = self.at == self.kept;
        self.at += 1;
        if self.at == self.len {
            self.at = 0;
            self.kept = self.random() & (self.len - 1);
        }
        keeps
    }

    /// `SplitMix64`, which needs no seed to be good enough here, and gives the same for the same trace.
    fn random(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Latencies {
    /// Whether no value was left out.
    pub(crate) fn is_whole(&self) -> bool {
        self.stride.len == 1
    }

    fn add(&mut self, key: &[i64], latency_ns: i64, max: usize) {
        if !self.stride.keeps() {
            return;
        }
        self.values.push((hash(key), latency_ns));
        if self.values.len() >= max {
            let mut at = 0;
            let (stride, values) = (&mut self.stride, &mut self.values);
            // Of each two neighbours, one.
            values.retain(|_| {
                at += 1;
                if at % 2 == 1 {
                    stride.chance = stride.random();
                }
                (stride.chance & 1 == 0) == (at % 2 == 1)
            });
            stride.len *= 2;
            (stride.at, stride.kept) = (0, stride.random() & (stride.len - 1));
        }
    }
}

/// The same for the same key in every trace.
fn hash(key: &[i64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.iter().for_each(|&word| hasher.write_i64(word));
    hasher.finish()
}

/// Takes the latencies of complete spans and of hand-offs from a walk.
#[derive(Debug)]
pub struct Collected {
    max: usize,
    /// Per stage of the analysis.
    pub(crate) stages: Vec<Latencies>,
    /// Per hand-off.
    pub(crate) hand_offs: EdgeMap<Latencies>,
}

impl Collected {
    /// Of a trace with so many stages, one of `runs` of its side.
    #[must_use]
    pub fn new(stages: usize, runs: usize) -> Self {
        // About as many hand-offs as stages.
        let max = (MAX_OF_ALL / (2 * stages.max(1))).min(MAX_KEPT);
        let max = (max / runs.max(1)).max(2);
        Self { max, stages: vec![Latencies::default(); stages], hand_offs: EdgeMap::default() }
    }
}

impl Sink for Collected {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.take_span(&SpanRow::new(span), span.key.words());
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        self.take_hand_off(&HandOffRow::new(hand_off), hand_off.key.words());
        Ok(())
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        found.spans().for_each(|(span, key)| self.take_span(span, key));
        found.keyed_hand_offs().for_each(|(hand_off, key)| self.take_hand_off(hand_off, key));
        found.usual_keys().for_each(|keys| self.take_usual_keys(&keys));
        Ok(())
    }

    fn takes_usual_keys(&self) -> bool {
        true
    }
}

impl Collected {
    fn take_usual_keys(&mut self, keys: &UsualKeys<'_>) {
        for span in &keys.order.spans {
            let latencies = &mut self.stages[span.stage as usize];
            let values = keys.differences_ns(span.at).enumerate();
            values.for_each(|(row, latency_ns)| latencies.add(keys.key(row), latency_ns, self.max));
        }
        for hand_off in &keys.order.hand_offs {
            let known = self.hand_offs.get_or_insert_few(hand_off.from, hand_off.to, Latencies::default);
            let Some(latencies) = known else { continue };
            let values = keys.differences_ns(hand_off.at).enumerate();
            values.for_each(|(row, latency_ns)| latencies.add(keys.key(row), latency_ns, self.max));
        }
    }

    fn take_span(&mut self, span: &SpanRow, key: &[i64]) {
        if span.class == Class::Complete
            && let Some(latency_ns) = span.latency_ns()
        {
            self.stages[span.stage as usize].add(key, latency_ns, self.max);
        }
    }

    fn take_hand_off(&mut self, hand_off: &HandOffRow, key: &[i64]) {
        let (from, to) = (hand_off.from, hand_off.to);
        if let Some(latencies) = self.hand_offs.get_or_insert_few(from, to, Latencies::default) {
            latencies.add(key, hand_off.latency_ns(), self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_keeps_order_and_never_more_than_it_may() {
        let mut latencies = Latencies::default();
        for value in 0..100_000 {
            latencies.add(&[1], value, 1000);
            assert!(latencies.values.len() <= 1000);
        }
        assert!(!latencies.is_whole() && latencies.values.len() >= 500, "{}", latencies.values.len());
        assert!(latencies.values.is_sorted_by_key(|(_, value)| *value));
        // Every part of the run is there alike.
        let first_half = latencies.values.iter().filter(|(_, value)| *value < 50_000).count();
        let share = first_half as f64 / latencies.values.len() as f64;
        assert!((0.45..0.55).contains(&share), "{share}");
    }

    #[test]
    fn a_sample_follows_no_rhythm() {
        // Every fourth span is slow: so is a fourth of the latencies.
        let mut latencies = Latencies::default();
        (0..400_000).for_each(|value| latencies.add(&[1], i64::from(value % 4 == 0), 4096));
        let slow = latencies.values.iter().filter(|(_, value)| *value == 1).count();
        let share = slow as f64 / latencies.values.len() as f64;
        assert!((0.2..0.3).contains(&share), "{share}");
    }
}
