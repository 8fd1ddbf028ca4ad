//! What is predicted of the events of a block: each prediction is coded and undone here, side by side (SPEC.md "Events").
//!
//! Threads and sites are numbers local to the block. Decoding is given numbers that were checked against their counts.
#![expect(clippy::cast_possible_truncation, reason = "codes are checked against the counts of the block")]

use super::column::{unzigzag, zigzag};
use crate::model::Columns;

/// How the values of one argument at one site are predicted; the column holds what is left.
pub(super) mod predictor {
    /// Nothing is predicted.
    pub(crate) const PLAIN: u8 = 0;
    /// The value is near the one before at the same site: zigzag of the difference; the first to a number given.
    pub(crate) const SITE: u8 = 1;
    /// The value is near the last first argument on the same thread: zigzag of the difference.
    pub(crate) const THREAD: u8 = 2;
}

/// Replaces the content of `codes`.
pub(super) fn fill(codes: &mut Vec<u64>, values: impl Iterator<Item = u64>) {
    codes.clear();
    codes.extend(values);
}

/// Sites: the one that followed the thread's last site the last time is expected. The code is 0 for it, else the site plus one.
pub(super) struct Sites {
    last_site: Vec<u32>,
    successor: Vec<u32>,
}

impl Sites {
    pub(super) fn new(threads: usize, sites: usize) -> Self {
        Self { last_site: vec![0; threads], successor: vec![0; sites] }
    }

    pub(super) fn code(&mut self, thread: u32, site: u32) -> u64 {
        let before = std::mem::replace(&mut self.last_site[thread as usize], site);
        let expected = std::mem::replace(&mut self.successor[before as usize], site);
        if site == expected { 0 } else { u64::from(site) + 1 }
    }

    pub(super) fn site(&mut self, thread: u32, code: u64) -> u32 {
        let expected = &mut self.successor[self.last_site[thread as usize] as usize];
        if code != 0 {
            *expected = (code - 1) as u32;
        }
        self.last_site[thread as usize] = *expected;
        *expected
    }
}

/// Processors: a thread's last one is expected. The code is 0 for it, else the processor plus one.
pub(super) struct Cpus {
    last_cpu: Vec<u16>,
}

impl Cpus {
    pub(super) fn new(threads: usize) -> Self {
        Self { last_cpu: vec![0; threads] }
    }

    pub(super) fn code(&mut self, thread: u32, cpu: u16) -> u64 {
        let before = std::mem::replace(&mut self.last_cpu[thread as usize], cpu);
        if cpu == before { 0 } else { u64::from(cpu) + 1 }
    }

    pub(super) fn cpu(&mut self, thread: u32, code: u64) -> u16 {
        let cpu = &mut self.last_cpu[thread as usize];
        if code != 0 {
            *cpu = (code - 1) as u16;
        }
        *cpu
    }
}

/// [`predictor::SITE`]: fills `by_site` with the difference of each value to the one before, and gives, as a difference to
/// 0, what stands before the first: chosen so that its difference is that of the second.
pub(super) fn differences(values: &[u64], by_site: &mut Vec<u64>) -> u64 {
    let first = values.first().copied().unwrap_or(0);
    let step = values.get(1).map_or(0, |second| second.wrapping_sub(first));
    let start = first.wrapping_sub(step);
    let before = std::iter::once(&start).chain(values);
    fill(by_site, values.iter().zip(before).map(|(now, before)| zigzag(now.wrapping_sub(*before))));
    zigzag(start)
}

/// Undoes [`differences`] in place.
pub(super) fn sum_up(start: u64, by_site: &mut [u64]) {
    let mut last = unzigzag(start);
    for value in by_site {
        last = last.wrapping_add(unzigzag(*value));
        *value = last;
    }
}

/// [`predictor::THREAD`]: for each row, the last first argument on the same thread before it; `start` where there is none.
pub(super) fn before_on_thread(columns: &Columns, thread: &[u32], start: u64) -> Vec<u64> {
    let threads = thread.iter().max().map_or(0, |&max| max as usize + 1);
    let mut last = vec![start; threads];
    let starts = columns.value_start.iter().zip(columns.value_start.iter().skip(1));
    thread
        .iter()
        .zip(starts)
        .map(|(&thread, (&start, &end))| {
            let last = &mut last[thread as usize];
            let before = *last;
            if start < end {
                *last = columns.values[start as usize];
            }
            before
        })
        .collect()
}

/// The way back: the last first argument on each thread, as the rows pass.
pub(super) struct LastOnThread(Vec<u64>);

impl LastOnThread {
    pub(super) fn new(threads: usize, start: u64) -> Self {
        Self(vec![start; threads])
    }

    /// The first argument of the next row on `thread`. `keep` is ones if `value` is what was left of it, else zero.
    pub(super) fn value(&mut self, thread: u32, keep: u64, value: u64) -> u64 {
        let last = &mut self.0[thread as usize];
        *last = (*last & keep).wrapping_add(value);
        *last
    }
}
