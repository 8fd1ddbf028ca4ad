//! Decodes the content of an events block to [`Columns`] (SPEC.md "Events"; `builder.rs` is the way there, `predict.rs` has the predictions of both).
//!
//! Content comes from a file: counts are limited before anything is allocated, ids are checked before they index.
#![expect(clippy::cast_possible_truncation, reason = "checked against the limits, or below 2^32 by them")]

use super::codec::Decoder;
use super::column::unzigzag;
use super::cursor::Cursor;
use super::predict::{Cpus, LastOnThread, Sites, predictor, sum_up};
use crate::error::Damage;
use crate::layout::block::BlockHeader;
use crate::limits::{
    MAX_ARGUMENTS, MAX_BLOCK_EVENTS, MAX_BLOCK_STRING_BYTES, MAX_BLOCK_VALUES, MAX_STRING_ARGUMENT_BYTES,
};
use crate::model::{Columns, SiteId, ThreadId};

/// Decodes blocks; keeps its buffers from one to the next.
pub struct BlockDecoder {
    codec: Decoder,
    codes: Vec<u64>,
    thread: Vec<u32>,
    site: Vec<u32>,
    /// Times of the events, site after site, each since the event before it in the block.
    since: Vec<u64>,
    values: Vec<u64>,
    /// Ids of the threads of the block decoded last.
    pub(crate) threads: Vec<ThreadId>,
    /// Ids of the sites of the block decoded last, each with its number of arguments.
    pub(crate) sites: Vec<(SiteId, usize)>,
}

impl Default for BlockDecoder {
    fn default() -> Self {
        Self {
            codec: Decoder::new(),
            codes: Vec::new(),
            thread: Vec::new(),
            site: Vec::new(),
            since: Vec::new(),
            values: Vec::new(),
            threads: Vec::new(),
            sites: Vec::new(),
        }
    }
}

/// Where times and values of one site lie in the decoder's buffers: argument after argument, `rows` values each.
#[derive(Debug, Clone, Copy, Default)]
struct SiteValues {
    rows: usize,
    /// Position of the next row's time.
    time: usize,
    /// Position of the next row's first argument.
    start: usize,
    args: usize,
    /// Ones if the first argument is added to the last one of the thread, else zero.
    keep: u64,
}

impl BlockDecoder {
    /// Decodes `content`, the stored bytes of an events block with this header, into `out`.
    ///
    /// # Errors
    /// The damage, if the content contradicts itself; `out` then holds nothing of use.
    pub(crate) fn decode(
        &mut self,
        content: &[u8],
        header: &BlockHeader,
        out: &mut Columns,
    ) -> Result<(), Damage> {
        out.clear();
        let count = header.count.get() as usize;
        if count > MAX_BLOCK_EVENTS {
            return Err(Damage::Limit { what: "events", len: count as u64, max: MAX_BLOCK_EVENTS as u64 });
        }
        let mut cursor = Cursor::new(content);
        let threads = self.ids(&mut cursor, "threads of a block", count, ThreadId)?;
        let sites = self.ids(&mut cursor, "sites of a block", count, SiteId)?;

        self.take_threads(&mut cursor, count, threads.len())?;
        let rows_of = self.take_sites(&mut cursor, count, threads.len(), sites.len())?;
        self.take_cpus(&mut cursor, count, threads.len(), out)?;
        out.thread.extend(self.thread.iter().map(|&local| threads[local as usize]));
        out.site.extend(self.site.iter().map(|&local| sites[local as usize]));

        let mut of_site = self.take_values(&mut cursor, &rows_of)?;
        self.sites.clear();
        self.sites.extend(sites.iter().zip(&of_site).map(|(&id, site)| (id, site.args)));
        self.gather_times(&mut of_site, header.first_ns.get(), out)?;
        self.gather_values(
            of_site,
            LastOnThread::new(threads.len(), header.key_min.get().cast_unsigned()),
            out,
        );
        self.threads = threads;
        self.take_exceptions(&mut cursor, count, out)?;
        if cursor.is_empty() { Ok(()) } else { Err(Damage::Content("bytes are left over")) }
    }

    /// Reads `len` values into `self.codes`.
    fn column(&mut self, cursor: &mut Cursor<'_>, len: usize) -> Result<(), Damage> {
        self.codes.clear();
        self.codec.take_column(cursor, len, &mut self.codes)
    }

    /// Reads a list of ids of the trace, one for each local number.
    fn ids<I>(
        &mut self,
        cursor: &mut Cursor<'_>,
        what: &'static str,
        max: usize,
        id: fn(u32) -> I,
    ) -> Result<Vec<I>, Damage> {
        let len = cursor.count(what, max)?;
        self.column(cursor, len)?;
        let too_long = |_| Damage::Content("an id is longer than 32 bits");
        self.codes.iter().map(|&code| u32::try_from(code).map(id).map_err(too_long)).collect()
    }

    fn take_threads(&mut self, cursor: &mut Cursor<'_>, count: usize, threads: usize) -> Result<(), Damage> {
        self.column(cursor, count)?;
        if self.codes.iter().any(|&local| local >= threads as u64) {
            return Err(Damage::Content("a thread is not in the block's list"));
        }
        self.thread.clear();
        self.thread.extend(self.codes.iter().map(|&local| local as u32));
        Ok(())
    }

    /// Undoes the prediction of sites and counts the rows of each.
    fn take_sites(
        &mut self,
        cursor: &mut Cursor<'_>,
        count: usize,
        threads: usize,
        sites: usize,
    ) -> Result<Vec<SiteValues>, Damage> {
        self.column(cursor, count)?;
        if self.codes.iter().any(|&code| code > sites as u64) || (sites == 0 && count > 0) {
            return Err(Damage::Content("a site is not in the block's list"));
        }
        let mut predicted = Sites::new(threads, sites);
        let mut of_site = vec![SiteValues::default(); sites];
        self.site.clear();
        self.site.extend(self.thread.iter().zip(&self.codes).map(|(&thread, &code)| {
            let site = predicted.site(thread, code);
            of_site[site as usize].rows += 1;
            site
        }));
        Ok(of_site)
    }

    fn take_cpus(
        &mut self,
        cursor: &mut Cursor<'_>,
        count: usize,
        threads: usize,
        out: &mut Columns,
    ) -> Result<(), Damage> {
        self.column(cursor, count)?;
        if self.codes.iter().any(|&code| code > u64::from(u16::MAX) + 1) {
            return Err(Damage::Content("a processor number is longer than 16 bits"));
        }
        let mut predicted = Cpus::new(threads);
        let rows = self.thread.iter().zip(&self.codes);
        out.cpu.extend(rows.map(|(&thread, &code)| predicted.cpu(thread, code)));
        Ok(())
    }

    /// Reads the columns of all sites to `self.since` and `self.values` and undoes the predictions that need one site alone.
    fn take_values(
        &mut self,
        cursor: &mut Cursor<'_>,
        of_site: &[SiteValues],
    ) -> Result<Vec<SiteValues>, Damage> {
        self.since.clear();
        self.values.clear();
        let mut result = Vec::with_capacity(of_site.len());
        for &site in of_site {
            let mut site = SiteValues { time: self.since.len(), start: self.values.len(), ..site };
            self.codec.take_column(cursor, site.rows, &mut self.since)?;
            site.args = usize::from(cursor.u8()?);
            if site.args > MAX_ARGUMENTS {
                let (len, max) = (site.args as u64, MAX_ARGUMENTS as u64);
                return Err(Damage::Limit { what: "arguments", len, max });
            }
            let len = (self.values.len() + site.args * site.rows) as u64;
            if len > MAX_BLOCK_VALUES as u64 {
                return Err(Damage::Limit { what: "argument values", len, max: MAX_BLOCK_VALUES as u64 });
            }
            for arg in 0..site.args {
                let number = cursor.u8()?;
                let before = if number == predictor::SITE { cursor.varint()? } else { 0 };
                let start = self.values.len();
                self.codec.take_column(cursor, site.rows, &mut self.values)?;
                match number {
                    predictor::PLAIN => {}
                    predictor::SITE => sum_up(before, &mut self.values[start..]),
                    predictor::THREAD if arg == 0 => {
                        site.keep = u64::MAX;
                        self.values[start..].iter_mut().for_each(|value| *value = unzigzag(*value));
                    }
                    _ => return Err(Damage::Content("an argument has an unknown predictor")),
                }
            }
            result.push(site);
        }
        Ok(result)
    }

    /// Puts the times of all sites into the order of the events.
    fn gather_times(
        &self,
        of_site: &mut [SiteValues],
        first_ns: u64,
        out: &mut Columns,
    ) -> Result<(), Damage> {
        let (mut time_ns, mut wrapped) = (first_ns, false);
        out.time_ns.extend(self.site.iter().map(|&site| {
            let of_site = &mut of_site[site as usize];
            let (now_ns, wraps) = time_ns.overflowing_add(self.since[of_site.time]);
            of_site.time += 1;
            wrapped |= wraps;
            time_ns = now_ns;
            now_ns
        }));
        if wrapped { Err(Damage::Content("a time is longer than 64 bits")) } else { Ok(()) }
    }

    /// Puts the values of all sites into the order of the events.
    fn gather_values(
        &self,
        mut of_site: Vec<SiteValues>,
        mut last_on_thread: LastOnThread,
        out: &mut Columns,
    ) {
        let total: usize = of_site.iter().map(|site| site.rows * site.args).sum();
        out.values.reserve(total);
        let rows = self.site.iter().zip(&self.thread);
        let mut first_value =
            |of_site: &SiteValues, thread: u32, first: u64| last_on_thread.value(thread, of_site.keep, first);
        if of_site.iter().all(|site| site.args == 1) {
            out.value_start.extend(0..=self.site.len() as u32);
            out.values.extend(rows.map(|(&site, &thread)| {
                let of_site = &mut of_site[site as usize];
                let first = self.values[of_site.start];
                of_site.start += 1;
                first_value(of_site, thread, first)
            }));
            return;
        }
        out.value_start.reserve(self.site.len() + 1);
        out.value_start.push(0);
        for (&site, &thread) in rows {
            let of_site = &mut of_site[site as usize];
            if of_site.args > 0 {
                out.values.push(first_value(of_site, thread, self.values[of_site.start]));
                let rest = (1..of_site.args).map(|arg| self.values[of_site.start + arg * of_site.rows]);
                out.values.extend(rest);
                of_site.start += 1;
            }
            out.value_start.push(out.values.len() as u32);
        }
    }

    fn take_exceptions(
        &mut self,
        cursor: &mut Cursor<'_>,
        count: usize,
        out: &mut Columns,
    ) -> Result<(), Damage> {
        let len = cursor.count("rows with unreadable arguments", count)?;
        self.column(cursor, len)?;
        let rows = std::mem::take(&mut self.codes);
        self.column(cursor, len)?;
        let ascending = rows.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || rows.last().is_some_and(|&row| row >= count as u64) {
            return Err(Damage::Content("rows with unreadable arguments are out of order"));
        }
        let pair = |(&row, &mask): (&u64, &u64)| (row as u32, (mask & 0xffff) as u16);
        out.unreadable.extend(rows.iter().zip(&self.codes).map(pair));

        let strings = cursor.count("strings", MAX_BLOCK_VALUES)?;
        self.column(cursor, strings)?;
        out.string_start.push(0);
        let mut end = 0_u64;
        for &len in &self.codes {
            if len > MAX_STRING_ARGUMENT_BYTES as u64 {
                let max = MAX_STRING_ARGUMENT_BYTES as u64;
                return Err(Damage::Limit { what: "bytes of a string", len, max });
            }
            end = end.saturating_add(len);
            if end > MAX_BLOCK_STRING_BYTES as u64 {
                let max = MAX_BLOCK_STRING_BYTES as u64;
                return Err(Damage::Limit { what: "string bytes", len: end, max });
            }
            out.string_start.push(end as u32);
        }
        out.string_bytes.resize(end as usize, 0);
        self.codec.take_plane(cursor, &mut out.string_bytes)
    }
}
