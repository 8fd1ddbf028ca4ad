//! Writes the log from columns: the text of each thread and site is kept ready, a line is four copies and two numbers.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use super::digits::{last_eight, push_unsigned};
use super::line::{FoundLine, Line, LostLine, push_arg, site_part, thread_part};
use crate::model::{Arg, ArgKind, Columns, Definitions, Gap, HostId, Process, Site, SiteId};

/// Bytes of a [`Piece`] that are copied whole: a copy of fixed size is a few instructions.
const SHORT_BYTES: usize = 64;
/// Bytes of the longest text that is kept ready; longer ones are made for each line, so that very many long names take no room.
const KEPT_BYTES: usize = 128;
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
    /// The sites of "Found probe" lines, by a hash of what such a line says.
    found: HashMap<u64, Vec<SiteId>>,
    /// "Found probe" lines so far.
    found_count: u64,
    /// Sites looked at for "Found probe" lines.
    announced: usize,
    /// Lines that wait for their place.
    late: BTreeSet<Late>,
    /// Late lines so far: two that are alike are two.
    late_count: u64,
    /// Bytes of lines that are made at once, if there is a limit.
    most_bytes: Option<usize>,
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

    /// A writer that has written nothing, whose [`events`](Self::events) end soon after `out` has so many bytes: lines may be long.
    #[must_use]
    pub fn in_pieces(most_bytes: usize) -> Self {
        Self { most_bytes: Some(most_bytes), ..Self::default() }
    }

    /// Appends the header: a line for every announced probe, and that the trace started; nothing if there is no such
    /// probe.
    pub fn header(&mut self, definitions: &Definitions, out: &mut Vec<u8>) {
        self.header_lines(definitions, |line| line.push(out));
    }

    /// The same line by line.
    pub fn header_lines(&mut self, definitions: &Definitions, mut each: impl FnMut(&Line)) {
        self.announce_lines(definitions, &mut each);
        if self.found_count > 0 {
            [Line::Blank, Line::Started, Line::Blank].iter().for_each(each);
        }
    }

    /// Appends a "Found probe" line for every probe announced since the last call, once for each provider, probe and
    /// program, or for each site whose provider is unknown. Those found while recording are kept, to be written at their place.
    pub fn announce(&mut self, definitions: &Definitions, out: &mut Vec<u8>) {
        self.announce_lines(definitions, |line| line.push(out));
    }

    fn announce_lines(&mut self, definitions: &Definitions, mut each: impl FnMut(&Line)) {
        let sites = definitions.sites.get(self.announced..).unwrap_or_default();
        for (index, site) in (self.announced..).zip(sites).filter(|(_, site)| site.announced) {
            if site.found_ns == 0 {
                self.found(SiteId::at(index), definitions, &mut each);
            } else {
                self.wait(site.found_ns, What::Found(SiteId::at(index)));
            }
        }
        self.announced = definitions.sites.len();
    }

    fn found(&mut self, id: SiteId, definitions: &Definitions, each: impl FnOnce(&Line)) {
        let Some(site) = definitions.site(id) else { return };
        // Imported sites that have no event have no provider: each was a line of its own.
        if site.provider.is_empty() || self.is_new(id, site, definitions) {
            let (probe, program) = (site.probe.to_string(), site.program.to_string());
            each(&Line::Found(FoundLine { index: self.found_count, probe, program }));
            self.found_count += 1;
        }
    }

    /// Whether no site before said the same.
    fn is_new(&mut self, id: SiteId, site: &Site, definitions: &Definitions) -> bool {
        let said = (&site.provider, &site.probe, &site.program);
        let is_same = |other: &Site| (&other.provider, &other.probe, &other.program) == said;
        let hash = self.found.hasher().hash_one(said);
        let known = self.found.entry(hash).or_default();
        let is_new = !known.iter().any(|&other| definitions.site(other).is_some_and(is_same));
        if is_new {
            known.push(id);
        }
        is_new
    }

    /// Takes a loss, to be written at its place.
    pub fn gap(&mut self, gap: &Gap) {
        self.wait(gap.to_ns, What::Lost(gap.from_ns, gap.host, gap.site, gap.cpu, gap.count));
    }

    fn wait(&mut self, time_ns: u64, what: What) {
        self.late.insert(Late { time_ns, what, number: self.late_count });
        self.late_count += 1;
    }

    /// Appends the lines of the rows `rows`, which are not earlier than those before, and of the losses before them. Gives the rows
    /// that are left, if it was made to end [in pieces](Self::in_pieces).
    ///
    /// # Panics
    /// If there are no such rows.
    pub fn events(
        &mut self,
        definitions: &Definitions,
        columns: &Columns,
        rows: Range<usize>,
        out: &mut Vec<u8>,
    ) -> Range<usize> {
        self.prepare(definitions);
        let most_bytes = self.most_bytes.unwrap_or(usize::MAX);
        out.reserve((rows.len() * LINE_BYTES).min(most_bytes));
        let mut rows = rows;
        while !rows.is_empty() && out.len() < most_bytes {
            let times = &columns.time_ns[rows.clone()];
            let mut end = rows.end;
            if let Some(late) = self.late.first() {
                end = rows.start + times.partition_point(|&time_ns| time_ns <= late.time_ns);
            }
            while rows.start < end && out.len() < most_bytes {
                self.event(definitions, columns, rows.start, out);
                rows.start += 1;
            }
            if rows.start == end && end < rows.end {
                self.first_late(definitions, |line| line.push(out));
            }
        }
        rows
    }

    /// Appends the late lines that stand before events at `end_ns`, where no event is to come before it; tells whether these are
    /// all: not if it was made to end [in pieces](Self::in_pieces), and did.
    pub fn late_before(&mut self, end_ns: u64, definitions: &Definitions, out: &mut Vec<u8>) -> bool {
        self.late_lines(|time_ns| time_ns < end_ns, definitions, out)
    }

    /// Appends the late lines after the last event; tells whether these are all, as [`late_before`](Self::late_before) does.
    pub fn finish(&mut self, definitions: &Definitions, out: &mut Vec<u8>) -> bool {
        self.late_lines(|_| true, definitions, out)
    }

    fn late_lines(
        &mut self,
        wanted: impl Fn(u64) -> bool,
        definitions: &Definitions,
        out: &mut Vec<u8>,
    ) -> bool {
        while self.late.first().is_some_and(|late| wanted(late.time_ns)) {
            if out.len() >= self.most_bytes.unwrap_or(usize::MAX) {
                return false;
            }
            self.first_late(definitions, |line| line.push(out));
        }
        true
    }

    /// Forgets the late lines that stand before events at `end_ns`: for a writer that begins in the middle of a trace, where others
    /// write them.
    pub fn forget_before(&mut self, end_ns: u64, definitions: &Definitions) {
        while self.late.first().is_some_and(|late| late.time_ns < end_ns) {
            self.first_late(definitions, |_| {});
        }
    }

    fn first_late(&mut self, definitions: &Definitions, each: impl FnOnce(&Line)) {
        let Some(Late { time_ns: to_ns, what, .. }) = self.late.pop_first() else { return };
        match what {
            What::Found(id) => self.found(id, definitions, each),
            What::Lost(from_ns, _, site, cpu, count) => {
                let site = definitions.site(site);
                let probe = site.map(|site| (site.provider.to_string(), site.probe.to_string()));
                let cpu = Some(cpu).filter(|&cpu| cpu != Gap::ANY_CPU);
                each(&Line::Lost(LostLine { from_ns, to_ns, count, cpu, probe }));
            }
        }
    }

    /// Makes the texts of definitions that are new.
    fn prepare(&mut self, definitions: &Definitions) {
        for thread in definitions.threads.get(self.threads.len()..).unwrap_or_default() {
            let process = definitions.process(thread.process);
            let name_bytes = process.map_or(0, |process| process.program.len());
            self.threads.push(Piece::of(name_bytes, || thread_text(process)));
        }
        let new = definitions.sites.get(self.sites.len()..).unwrap_or_default();
        self.sites.extend(new.iter().map(|site| SiteText::new(site)));
    }

    fn event(&mut self, definitions: &Definitions, columns: &Columns, row: usize, out: &mut Vec<u8>) {
        self.time.push(columns.time_ns[row], out);
        let thread = columns.thread[row];
        match self.threads.get(thread.index()) {
            Some(piece) if piece.is_kept() => piece.push(out),
            _ => out.extend_from_slice(thread_text(definitions.process_of(thread)).as_bytes()),
        }
        let Some(site) = self.sites.get(columns.site[row].index()) else {
            out.extend_from_slice(site_part("?", "?").as_bytes());
            out.extend_from_slice(b"-\n");
            return;
        };
        if site.piece.is_kept() {
            site.piece.push(out);
        } else if let Some(site) = definitions.site(columns.site[row]) {
            out.extend_from_slice(site_part(&site.provider, &site.probe).as_bytes());
        }
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

/// What stands between time and probe for the threads of a process.
fn thread_text(process: Option<&Process>) -> String {
    process.map_or_else(|| thread_part(0, "?"), |process| thread_part(process.pid, &process.program))
}

/// Text that is copied often.
#[derive(Debug)]
struct Piece {
    short: [u8; SHORT_BYTES],
    len: usize,
    /// The text, if it is too long for `short`; empty if it is too long to be kept.
    long: Option<Box<[u8]>>,
}

impl Piece {
    /// Of a text with names of so many bytes, which is at least as long. One that is too long is not made: its escapes are most of
    /// the time of a trace whose threads all have the longest name.
    fn of(names_bytes: usize, text: impl FnOnce() -> String) -> Self {
        if names_bytes > KEPT_BYTES { Self::too_long() } else { Self::new(&text()) }
    }

    fn too_long() -> Self {
        Self { short: [0; SHORT_BYTES], len: 0, long: Some(Box::default()) }
    }

    fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut short = [0; SHORT_BYTES];
        match short.get_mut(..bytes.len()) {
            Some(short) => short.copy_from_slice(bytes),
            None if bytes.len() > KEPT_BYTES => return Self::too_long(),
            None => return Self { short, len: 0, long: Some(bytes.into()) },
        }
        Self { short, len: bytes.len(), long: None }
    }

    fn is_kept(&self) -> bool {
        self.long.as_ref().is_none_or(|long| !long.is_empty())
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
    args: Arc<[ArgKind]>,
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
            piece: Piece::of(site.provider.len() + site.probe.len(), || {
                site_part(&site.provider, &site.probe)
            }),
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
