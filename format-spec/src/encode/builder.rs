//! Collects the events of one block and encodes them as columns (SPEC.md "Events"; `decoder.rs` is the way back, `predict.rs` has
//! the predictions of both).
#![expect(
    clippy::cast_possible_truncation,
    reason = "the limits keep counts and local numbers of a block below 2^32"
)]

use std::collections::HashMap;
use std::sync::Arc;

use super::codec::Encoder;
use super::column::zigzag;
use super::cursor::put_varint;
use super::predict::{Cpus, Sites, before_on_thread, differences, fill, predictor};
use crate::layout::block::Bounds;
use crate::limits::{
    MAX_ARGUMENTS, MAX_BLOCK_EVENTS, MAX_BLOCK_STRING_BYTES, MAX_BLOCK_VALUES, MAX_STRING_ARGUMENT_BYTES,
};
use crate::model::{Columns, Firing, Site};

/// Events on their way into a block, in any order.
#[derive(Default)]
pub(crate) struct BlockBuilder {
    columns: Columns,
    strings: HashMap<Box<[u8]>, u32>,
    /// Those that are cut, which are others even if they are of the same bytes.
    cut_strings: HashMap<Box<[u8]>, u32>,
    /// Indexes of strings that came lately, by a number made of their bytes: most strings come again soon.
    recent: Vec<u32>,
    sorted: bool,
    scratch: Scratch,
}

/// Buffers of [`BlockBuilder::encode`], kept from block to block.
#[derive(Default)]
struct Scratch {
    codes: Vec<u64>,
    local_threads: Locals,
    local_sites: Locals,
    thread: Vec<u32>,
    site: Vec<u32>,
}

/// Numbers the ids of one block from 0 in the order they turn up.
#[derive(Default)]
struct Locals {
    ids: Vec<u64>,
    by_id: Vec<u32>,
}

impl Locals {
    fn assign(&mut self, ids: impl Iterator<Item = u32>, out: &mut Vec<u32>) {
        for id in self.ids.drain(..) {
            self.by_id[id as usize] = u32::MAX;
        }
        out.clear();
        for id in ids {
            let index = id as usize;
            if index >= self.by_id.len() {
                self.by_id.resize(index + 1, u32::MAX);
            }
            if self.by_id[index] == u32::MAX {
                self.by_id[index] = self.ids.len() as u32;
                self.ids.push(id.into());
            }
            out.push(self.by_id[index]);
        }
    }
}

impl BlockBuilder {
    pub(crate) fn new() -> Self {
        let mut builder = Self::default();
        builder.clear();
        builder
    }

    pub(crate) fn clear(&mut self) {
        self.columns.clear();
        self.columns.value_start.push(0);
        self.columns.string_start.push(0);
        self.strings.clear();
        self.cut_strings.clear();
        self.recent.clear();
        self.recent.resize(RECENT, u32::MAX);
        self.sorted = true;
    }

    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Time of the event pushed first.
    pub(crate) fn first_ns(&self) -> Option<u64> {
        self.columns.time_ns.first().copied()
    }

    /// Whether another event might not fit.
    pub(crate) fn is_full(&self, block_events: usize) -> bool {
        self.len() >= block_events.min(MAX_BLOCK_EVENTS)
            || self.columns.values.len().max(self.string_count()) + MAX_ARGUMENTS > MAX_BLOCK_VALUES
            || self.columns.string_bytes.len() + MAX_ARGUMENTS * MAX_STRING_ARGUMENT_BYTES
                > MAX_BLOCK_STRING_BYTES
    }

    /// Strings of the block; `string_start` has one more.
    fn string_count(&self) -> usize {
        self.columns.string_start.len().saturating_sub(1)
    }

    /// Numbers of the strings that are cut.
    pub(crate) fn cut_strings(&self) -> &[u32] {
        &self.columns.cut_strings
    }

    /// Index of `string` in the block, of which only the beginning is there if it is cut; a long one is cut at the limit.
    pub(crate) fn intern(&mut self, string: &[u8], is_cut: bool) -> u64 {
        let is_cut = is_cut || string.len() > MAX_STRING_ARGUMENT_BYTES;
        let string = &string[..string.len().min(MAX_STRING_ARGUMENT_BYTES)];
        let place = recent_place(string);
        let recent = self.recent[place];
        if self.columns.string(recent.into()) == Some(string) && self.columns.is_cut(recent.into()) == is_cut
        {
            return recent.into();
        }
        let known = if is_cut { &self.cut_strings } else { &self.strings };
        if let Some(&index) = known.get(string) {
            self.recent[place] = index;
            return index.into();
        }
        let bytes = self.columns.string_bytes.len() + string.len();
        if bytes > MAX_BLOCK_STRING_BYTES || self.string_count() == MAX_BLOCK_VALUES {
            // More strings than events have arguments: what readers take for unreadable.
            return u64::MAX;
        }
        let index = self.string_count() as u32;
        if is_cut {
            self.cut_strings.insert(string.into(), index);
            self.columns.cut_strings.push(index);
        } else {
            self.strings.insert(string.into(), index);
        }
        self.columns.string_bytes.extend_from_slice(string);
        self.columns.string_start.push(self.columns.string_bytes.len() as u32);
        self.recent[place] = index;
        index.into()
    }

    /// Argument values of all events.
    pub(crate) fn values(&self) -> usize {
        self.columns.values.len()
    }

    pub(crate) fn push(&mut self, firing: &Firing<'_>) {
        let columns = &mut self.columns;
        let last = columns.time_ns.last().zip(columns.cpu.last());
        self.sorted &= last.is_none_or(|(&time_ns, &cpu)| (time_ns, cpu) <= (firing.time_ns, firing.cpu));
        if firing.unreadable != 0 {
            columns.unreadable.push((columns.time_ns.len() as u32, firing.unreadable));
        }
        columns.time_ns.push(firing.time_ns);
        columns.thread.push(firing.thread);
        columns.site.push(firing.site);
        columns.cpu.push(firing.cpu);
        columns.values.extend_from_slice(firing.values);
        columns.value_start.push(columns.values.len() as u32);
    }

    /// The events, in time order (ties: by processor, then as they were pushed).
    pub(crate) fn sorted(&mut self) -> &Columns {
        if !self.sorted {
            sort(&mut self.columns);
            self.sorted = true;
        }
        &self.columns
    }

    /// Times and keys of the events, for the block header; the events are sorted.
    pub(crate) fn bounds(&self, sites: &[Arc<Site>]) -> Bounds {
        let columns = &self.columns;
        let (Some(&first_ns), Some(&last_ns)) = (columns.time_ns.first(), columns.time_ns.last()) else {
            return Bounds::NONE;
        };
        // Events of a site without a key have no such argument.
        let key_args: Vec<usize> = sites.iter().map(|site| site.key_index().unwrap_or(usize::MAX)).collect();
        let (mut key_min, mut key_max) = (i64::MAX, i64::MIN);
        for (row, &site) in columns.site.iter().enumerate() {
            let arg = key_args.get(site.index()).copied().unwrap_or(usize::MAX);
            if let Some(&value) = columns.row_values(row).get(arg)
                && (columns.unreadable.is_empty() || columns.row_unreadable(row) >> arg & 1 == 0)
            {
                key_min = key_min.min(value.cast_signed());
                key_max = key_max.max(value.cast_signed());
            }
        }
        if key_min > key_max {
            (key_min, key_max) = (0, -1);
        }
        Bounds { first_ns, last_ns, key_min, key_max }
    }

    /// Appends the content of an events block; the events are sorted, and `key_min` is their lowest key.
    pub(crate) fn encode(&mut self, key_min: i64, encoder: &mut Encoder, out: &mut Vec<u8>) {
        let Self { columns, scratch, .. } = self;
        let Scratch { codes, local_threads, local_sites, thread, site } = scratch;
        local_threads.assign(columns.thread.iter().map(|id| id.0), thread);
        local_sites.assign(columns.site.iter().map(|id| id.0), site);
        for ids in [&local_threads.ids, &local_sites.ids] {
            put_varint(out, ids.len() as u64);
            encoder.put_column(ids, out);
        }
        fill(codes, thread.iter().map(|&thread| thread.into()));
        encoder.put_column(codes, out);

        let mut sites = Sites::new(local_threads.ids.len(), local_sites.ids.len());
        fill(codes, thread.iter().zip(&*site).map(|(&thread, &site)| sites.code(thread, site)));
        encoder.put_column(codes, out);

        let mut cpus = Cpus::new(local_threads.ids.len());
        fill(codes, thread.iter().zip(&columns.cpu).map(|(&thread, &cpu)| cpus.code(thread, cpu)));
        encoder.put_column(codes, out);

        let rows = rows_by_site(site, local_sites.ids.len());
        encode_sites(columns, (thread, key_min.cast_unsigned()), &rows, encoder, out);
        encode_exceptions(columns, codes, encoder, out);
    }
}

/// Places of [`BlockBuilder::recent`].
const RECENT: usize = 1 << 10;

/// Any number will do: a string that shares it with another is looked up in the map.
fn recent_place(string: &[u8]) -> usize {
    let (words, rest) = string.as_chunks::<8>();
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let sum = words.iter().fold(string.len() as u64, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    let rest = rest.iter().fold(0, |all, &byte| all << 8 | u64::from(byte));
    mix(sum, rest) as usize % RECENT
}

/// The rows of all sites of the block, site by site, and where the rows of each end.
fn rows_by_site(site: &[u32], sites: usize) -> (Vec<u32>, Vec<usize>) {
    let mut ends = vec![0_usize; sites];
    site.iter().for_each(|&site| ends[site as usize] += 1);
    let mut end = 0;
    for of_site in &mut ends {
        // Where the next row of the site goes: its end once all are there.
        end += std::mem::replace(of_site, end);
    }
    let mut rows = vec![0; site.len()];
    for (row, &site) in (0..).zip(site) {
        let next = &mut ends[site as usize];
        rows[*next] = row;
        *next += 1;
    }
    (rows, ends)
}

/// Appends, for each site of the block, the times of its events, the number of its arguments, and a predictor and a
/// column for each of them.
fn encode_sites(
    columns: &Columns,
    (thread, start): (&[u32], u64),
    (rows, ends): &(Vec<u32>, Vec<usize>),
    encoder: &mut Encoder,
    out: &mut Vec<u8>,
) {
    let before_on_thread = before_on_thread(columns, thread, start);
    let (mut plain, mut by_site, mut by_thread) = (Vec::new(), Vec::new(), Vec::new());
    let mut begin = 0;
    for &end in ends {
        let rows = &rows[std::mem::replace(&mut begin, end)..end];
        let since = |row: usize| columns.time_ns[row] - columns.time_ns[row.saturating_sub(1)];
        fill(&mut plain, rows.iter().map(|&row| since(row as usize)));
        encoder.put_column(&plain, out);
        let args = rows.first().map_or(0, |&row| columns.row_values(row as usize).len());
        out.push(args as u8);
        for arg in 0..args {
            let value = |row: &u32| columns.values[columns.value_start[*row as usize] as usize + arg];
            fill(&mut plain, rows.iter().map(value));
            let start = differences(&plain, &mut by_site);
            let start_bits = u64::from(u64::BITS - start.leading_zeros());
            let mut choices = vec![
                (cost(&plain), predictor::PLAIN, &plain),
                (cost(&by_site) + start_bits, predictor::SITE, &by_site),
            ];
            if arg == 0 {
                let rest = |row: &u32| zigzag(value(row).wrapping_sub(before_on_thread[*row as usize]));
                fill(&mut by_thread, rows.iter().map(rest));
                choices.push((cost(&by_thread), predictor::THREAD, &by_thread));
            }
            let (_, number, column) =
                choices.into_iter().min_by_key(|&(cost, ..)| cost).expect("there are always two");
            out.push(number);
            if number == predictor::SITE {
                put_varint(out, start);
            }
            encoder.put_column(column, out);
        }
    }
}

/// A guess of what a column costs, in bits: constant ones what one of their values costs.
fn cost(values: &[u64]) -> u64 {
    let is_constant = values.windows(2).all(|pair| pair[0] == pair[1]);
    let values = if is_constant { values.get(..1).unwrap_or_default() } else { values };
    values.iter().map(|value| u64::from(u64::BITS - value.leading_zeros())).sum()
}

/// Appends the unreadable arguments and the strings.
fn encode_exceptions(columns: &Columns, codes: &mut Vec<u64>, encoder: &mut Encoder, out: &mut Vec<u8>) {
    put_varint(out, columns.unreadable.len() as u64);
    fill(codes, columns.unreadable.iter().map(|&(row, _)| row.into()));
    encoder.put_column(codes, out);
    fill(codes, columns.unreadable.iter().map(|&(_, mask)| mask.into()));
    encoder.put_column(codes, out);

    let starts = &columns.string_start;
    let ends = starts.get(1..).unwrap_or_default();
    put_varint(out, ends.len() as u64);
    fill(codes, starts.iter().zip(ends).map(|(start, end)| u64::from(end - start)));
    encoder.put_column(codes, out);
    encoder.put_plane(&columns.string_bytes, out);
}

/// Puts the rows in order. They are nearly: most of them move in long runs.
fn sort(columns: &mut Columns) {
    let key = |row: u32| (columns.time_ns[row as usize], columns.cpu[row as usize]);
    let mut order: Vec<u32> = (0..columns.len() as u32).collect();
    if !insertion_sort(&mut order, key) {
        order.sort_by_key(|&row| key(row));
    }
    let old = std::mem::take(columns);
    columns.value_start.push(0);
    for run in order.chunk_by(|&row, &next| row + 1 == next) {
        let rows = run[0] as usize..run[0] as usize + run.len();
        let values = old.value_start[rows.start]..old.value_start[rows.end];
        let (from, to) = (values.start, columns.values.len() as u32);
        let starts = &old.value_start[rows.start + 1..=rows.end];
        columns.value_start.extend(starts.iter().map(|start| start - from + to));
        columns.values.extend_from_slice(&old.values[values.start as usize..values.end as usize]);
        if !old.unreadable.is_empty() {
            for row in rows.clone().filter(|&row| old.row_unreadable(row) != 0) {
                let to = columns.time_ns.len() + row - rows.start;
                columns.unreadable.push((to as u32, old.row_unreadable(row)));
            }
        }
        columns.time_ns.extend_from_slice(&old.time_ns[rows.clone()]);
        columns.thread.extend_from_slice(&old.thread[rows.clone()]);
        columns.site.extend_from_slice(&old.site[rows.clone()]);
        columns.cpu.extend_from_slice(&old.cpu[rows]);
    }
    columns.string_start = old.string_start;
    columns.string_bytes = old.string_bytes;
    columns.cut_strings = old.cut_strings;
}

/// Sorts what is nearly in order, and stops with `false` where it is not.
fn insertion_sort<K: Ord>(order: &mut [u32], key: impl Fn(u32) -> K) -> bool {
    let mut left = 4 * order.len();
    for end in 1..order.len() {
        let row = order[end];
        let mut at = end;
        while at > 0 && key(order[at - 1]) > key(row) {
            order[at] = order[at - 1];
            at -= 1;
        }
        order[at] = row;
        left = left.saturating_sub(end - at);
        if left == 0 {
            return false;
        }
    }
    true
}
