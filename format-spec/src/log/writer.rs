//! Writes the log from columns: the text of each thread and site is kept ready, a line is four copies and two numbers.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use super::digits::{last_eight, push_unsigned};
use super::line::{FoundLine, Line, LostLine, push_arg, site_part, thread_part};
use crate::model::{Arg, ArgKind, Columns, Definitions, Gap, HostId, Site, SiteId};

/// Bytes of a [`Piece`] that are copied whole: a copy of fixed size is a few instructions.
const SHORT_BYTES: usize = 64;
/// Bytes that a line seldom passes, to make room for many lines at once.
const LINE_BYTES: usize = 128;

/// Appends lines of the log to a `Vec<u8>`.
///
/// Losses and probes found while recording wait until the events before them have been written: a line about a [`Gap`]
/// stands before the first event that is later than the gap's end.
#[derive(Debug, Default)]
pub struct LogWriter {
    threads: Vec<Piece>,
    sites: Vec<SiteText>,
    time: TimeText,
    found: HashSet<String>,
    /// "Found probe" lines so far.
    found_count: u64,
    /// Sites looked at for "Found probe" lines.
    announced: usize,
    /// Lines that wait for their place.
    late: BTreeSet<Late>,
    /// Late lines so far: two that are alike are two.
    late_count: u64,
}

/// A line that stands before the first event that is later than `time_ns`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Late {
    time_ns: u64,
    what: What,
    number: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The site was found.
    Found(SiteId),
    /// Events were lost: since when, host, site, processor, how many.
    Lost(u64, HostId, SiteId, u16, u64),
}

impl LogWriter {
    /// A writer that has written nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the header: a line for every announced probe, and that the trace started; nothing if there is no such
    /// probe.
    pub fn header(&mut self, definitions: &Definitions, out: &mut Vec<u8>) {
        self.announce(definitions, out);
        if self.found_count > 0 {
            [Line::Blank, Line::Started, Line::Blank].iter().for_each(|line| line.push(out));
        }
    }

    /// Appends a "Found probe" line for every probe announced since the last call, once for each provider, probe and
    /// program, or for each site whose provider is unknown. Those found while recording are kept, to be written at their place.
    pub fn announce(&mut self, definitions: &Definitions, out: &mut Vec<u8>) {
        let sites = definitions.sites.get(self.announced..).unwrap_or_default();
        for (index, site) in (self.announced..).zip(sites).filter(|(_, site)| site.announced) {
            if site.found_ns == 0 {
                self.found(site, out);
            } else {
                self.wait(site.found_ns, What::Found(SiteId::at(index)));
            }
        }
        self.announced = definitions.sites.len();
    }

    fn found(&mut self, site: &Site, out: &mut Vec<u8>) {
        let mut is_new = || self.found.insert(format!("{}\0{}\0{}", site.provider, site.probe, site.program));
        // Imported sites that have no event have no provider: each was a line of its own.
        if site.provider.is_empty() || is_new() {
            let (probe, program) = (site.probe.clone(), site.program.clone());
            Line::Found(FoundLine { index: self.found_count, probe, program }).push(out);
            self.found_count += 1;
        }
    }

    /// Takes a loss, to be written at its place.
    pub fn gap(&mut self, gap: &Gap) {
        self.wait(gap.to_ns, What::Lost(gap.from_ns, gap.host, gap.site, gap.cpu, gap.count));
    }

    fn wait(&mut self, time_ns: u64, what: What) {
        self.late.insert(Late { time_ns, what, number: self.late_count });
        self.late_count += 1;
    }

    /// Appends the lines of the rows `rows`, which are not earlier than those before, and of the losses before them.
    ///
    /// # Panics
    /// If there are no such rows.
    pub fn events(
        &mut self,
        definitions: &Definitions,
        columns: &Columns,
        rows: Range<usize>,
        out: &mut Vec<u8>,
    ) {
        self.prepare(definitions);
        out.reserve(rows.len() * LINE_BYTES);
        let mut rows = rows;
        while !rows.is_empty() {
            let times = &columns.time_ns[rows.clone()];
            let mut end = rows.end;
            if let Some(late) = self.late.first() {
                end = rows.start + times.partition_point(|&time_ns| time_ns <= late.time_ns);
            }
            for row in rows.start..end {
                self.event(columns, row, out);
            }
            if end < rows.end {
                self.first_late(definitions, out);
            }
            rows.start = end;
        }
    }

    /// Appends the late lines that stand before events at `end_ns`, where no event is to come before it. A writer that
    /// begins in the middle of a trace calls this for its begin and forgets the lines: others write them.
    pub fn late_before(&mut self, end_ns: u64, definitions: &Definitions, out: &mut Vec<u8>) {
        while self.late.first().is_some_and(|late| late.time_ns < end_ns) {
            self.first_late(definitions, out);
        }
    }

    /// Appends the late lines after the last event.
    pub fn finish(&mut self, definitions: &Definitions, out: &mut Vec<u8>) {
        while !self.late.is_empty() {
            self.first_late(definitions, out);
        }
    }

    fn first_late(&mut self, definitions: &Definitions, out: &mut Vec<u8>) {
        let Some(Late { time_ns: to_ns, what, .. }) = self.late.pop_first() else { return };
        match what {
            What::Found(id) => {
                if let Some(site) = definitions.site(id) {
                    self.found(site, out);
                }
            }
            What::Lost(from_ns, _, site, cpu, count) => {
                let site = definitions.site(site);
                let probe = site.map(|site| (site.provider.clone(), site.probe.clone()));
                let cpu = Some(cpu).filter(|&cpu| cpu != Gap::ANY_CPU);
                Line::Lost(LostLine { from_ns, to_ns, count, cpu, probe }).push(out);
            }
        }
    }

    /// Makes the texts of definitions that are new.
    fn prepare(&mut self, definitions: &Definitions) {
        for thread in definitions.threads.get(self.threads.len()..).unwrap_or_default() {
            let process = definitions.process(thread.process);
            let part = process.map_or_else(|| thread_part(0, "?"), |it| thread_part(it.pid, &it.program));
            self.threads.push(Piece::new(&part));
        }
        let new = definitions.sites.get(self.sites.len()..).unwrap_or_default();
        self.sites.extend(new.iter().map(SiteText::new));
    }

    fn event(&mut self, columns: &Columns, row: usize, out: &mut Vec<u8>) {
        self.time.push(columns.time_ns[row], out);
        match self.threads.get(columns.thread[row].index()) {
            Some(piece) => piece.push(out),
            None => out.extend_from_slice(thread_part(0, "?").as_bytes()),
        }
        let Some(site) = self.sites.get(columns.site[row].index()) else {
            out.extend_from_slice(site_part("?", "?").as_bytes());
            out.extend_from_slice(b"-\n");
            return;
        };
        site.piece.push(out);
        if site.only_key != OnlyKey::No && columns.unreadable.is_empty() {
            let bits = columns.row_values(row).first().copied().unwrap_or_default();
            let negative = site.only_key == OnlyKey::Signed && bits.cast_signed() < 0;
            if negative {
                out.push(b'-');
            }
            push_unsigned(out, if negative { bits.wrapping_neg() } else { bits });
        } else {
            site.push_args(columns, row, out);
        }
        out.push(b'\n');
    }
}

/// Text that is copied often.
#[derive(Debug)]
struct Piece {
    short: [u8; SHORT_BYTES],
    len: usize,
    /// The text, if it is too long for `short`.
    long: Option<Box<[u8]>>,
}

impl Piece {
    fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut short = [0; SHORT_BYTES];
        match short.get_mut(..bytes.len()) {
            Some(short) => short.copy_from_slice(bytes),
            None => return Self { short, len: 0, long: Some(bytes.into()) },
        }
        Self { short, len: bytes.len(), long: None }
    }

    fn push(&self, out: &mut Vec<u8>) {
        if let Some(long) = &self.long {
            out.extend_from_slice(long);
            return;
        }
        let end = out.len() + self.len;
        out.extend_from_slice(&self.short);
        out.truncate(end);
    }
}

/// What a site adds to its lines.
#[derive(Debug)]
struct SiteText {
    piece: Piece,
    only_key: OnlyKey,
    args: Vec<ArgKind>,
    /// Index of the key argument, if it is an integer.
    key: Option<usize>,
}

/// Whether a site has one argument and that is an integer key: most have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnlyKey {
    No,
    Signed,
    Unsigned,
}

impl SiteText {
    fn new(site: &Site) -> Self {
        Self {
            piece: Piece::new(&site_part(&site.provider, &site.probe)),
            only_key: match (&site.args[..], site.key_index()) {
                ([ArgKind::Signed(_)], Some(0)) => OnlyKey::Signed,
                ([ArgKind::Unsigned(_)], Some(0)) => OnlyKey::Unsigned,
                _ => OnlyKey::No,
            },
            args: site.args.clone(),
            key: site.key_index(),
        }
    }

    fn push_args(&self, columns: &Columns, row: usize, out: &mut Vec<u8>) {
        let event = columns.event(row);
        let value = |index: usize| event.arg(index, *self.args.get(index)?);
        match self.key.and_then(value) {
            Some(Arg::Signed(key)) => super::digits::push_signed(out, key),
            Some(Arg::Unsigned(key)) => push_unsigned(out, key),
            Some(Arg::Unreadable) => out.push(b'?'),
            Some(Arg::Float(_) | Arg::Str(_) | Arg::CutStr(_)) | None => out.push(b'-'),
        }
        for index in (0..self.args.len()).filter(|&index| Some(index) != self.key) {
            if let (Some(value), Ok(index)) = (value(index), u8::try_from(index)) {
                push_arg(out, index, value);
            }
        }
    }
}

/// The text of the last time, without its last eight digits: those before them change ten times a second.
#[derive(Debug, Default)]
struct TimeText {
    high: u64,
    text: Vec<u8>,
}

impl TimeText {
    fn push(&mut self, time_ns: u64, out: &mut Vec<u8>) {
        const EIGHT_DIGITS: u64 = 100_000_000;
        let (high, low) = (time_ns / EIGHT_DIGITS, time_ns % EIGHT_DIGITS);
        if high == 0 {
            out.extend_from_slice(format!("[{low:>16}").as_bytes());
            return;
        }
        if high != self.high {
            self.high = high;
            self.text = format!("[{high:>8}").into_bytes();
        }
        match <&[u8; 9]>::try_from(&self.text[..]) {
            Ok(text) => out.extend_from_slice(text),
            Err(_) => out.extend_from_slice(&self.text),
        }
        #[expect(clippy::cast_possible_truncation, reason = "less than 10^8")]
        out.extend_from_slice(&last_eight(low as u32));
    }
}
