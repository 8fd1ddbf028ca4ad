//! One firing of a probe, and the columns that hold the events of one block.
//!
//! Events live in columns ([`Columns`]) from the file to the analysis; [`Event`] is a view of one row. What the ids mean
//! stands in [`Definitions`](crate::Definitions).

use crate::Definitions;

/// How the bits of an argument are to be read; the number is its size in bytes (1, 2, 4 or 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArgKind {
    /// Two's complement, kept sign-extended to 64 bits.
    Signed(u8),
    /// Kept zero-extended to 64 bits.
    Unsigned(u8),
    /// IEEE 754; the bits of its size, zero-extended.
    Float(u8),
    /// Bytes up to a NUL; the value is an index into the block's strings.
    Str,
    /// A kind of a later version, by its number on disk: its values are unreadable.
    Unknown(u8),
}

/// The value of one argument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arg<'a> {
    /// A signed number.
    Signed(i64),
    /// An unsigned number.
    Unsigned(u64),
    /// A floating point number.
    Float(f64),
    /// A string without its NUL, not necessarily UTF-8.
    Str(&'a [u8]),
    /// The recorder could not read it.
    Unreadable,
}

/// The events of one block, column by column, in time order.
///
/// Row `i` is event `i`; all columns but the last three have one value a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// CLOCK_MONOTONIC, ns; ascending.
    pub time_ns: Vec<u64>,
    /// Index into [`Definitions::threads`].
    pub thread: Vec<u32>,
    /// Index into [`Definitions::sites`].
    pub site: Vec<u32>,
    /// Processor that the event fired on.
    pub cpu: Vec<u16>,
    /// Where the row's values begin in `values`; one more than there are rows.
    pub value_start: Vec<u32>,
    /// Argument values of all rows: bits as [`ArgKind`] says.
    pub values: Vec<u64>,
    /// Rows with unreadable arguments, ascending, each with a bit an argument.
    pub unreadable: Vec<(u32, u16)>,
    /// Where string `k` begins in `string_bytes`; one more than there are strings, or empty.
    pub string_start: Vec<u32>,
    /// The strings of the block, end to end.
    pub string_bytes: Vec<u8>,
}

impl Columns {
    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.time_ns.len()
    }

    /// Whether there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.time_ns.is_empty()
    }

    /// Removes all events, keeps the memory.
    pub fn clear(&mut self) {
        self.time_ns.clear();
        self.thread.clear();
        self.site.clear();
        self.cpu.clear();
        self.value_start.clear();
        self.values.clear();
        self.unreadable.clear();
        self.string_start.clear();
        self.string_bytes.clear();
    }

    /// String `index` of the block.
    #[must_use]
    pub fn string(&self, index: u64) -> Option<&[u8]> {
        let index = usize::try_from(index).ok()?;
        let start = *self.string_start.get(index)? as usize;
        let end = *self.string_start.get(index.checked_add(1)?)? as usize;
        self.string_bytes.get(start..end)
    }

    /// Argument values of row `row`: bits as the site's [`ArgKind`]s say.
    #[must_use]
    pub fn row_values(&self, row: usize) -> &[u64] {
        match (self.value_start.get(row), self.value_start.get(row + 1)) {
            (Some(&start), Some(&end)) => self.values.get(start as usize..end as usize).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Unreadable arguments of row `row`, a bit each.
    #[must_use]
    pub fn row_unreadable(&self, row: usize) -> u16 {
        if self.unreadable.is_empty() {
            return 0;
        }
        match self.unreadable.binary_search_by_key(&row, |&(row, _)| row as usize) {
            Ok(found) => self.unreadable[found].1,
            Err(_) => 0,
        }
    }

    /// The key (sequence number) of row `row`: the site's key argument, if it is an integer and was readable.
    ///
    /// An unsigned value above `i64::MAX` keeps its bits.
    #[must_use]
    pub fn key(&self, row: usize, definitions: &Definitions) -> Option<i64> {
        let site = definitions.sites.get(*self.site.get(row)? as usize)?;
        self.integer(row, usize::from(site.key_arg), site.args.get(usize::from(site.key_arg))?)
    }

    fn integer(&self, row: usize, arg: usize, kind: &ArgKind) -> Option<i64> {
        match kind {
            ArgKind::Signed(_) | ArgKind::Unsigned(_) => {}
            ArgKind::Float(_) | ArgKind::Str | ArgKind::Unknown(_) => return None,
        }
        if self.row_unreadable(row) >> arg & 1 != 0 {
            return None;
        }
        self.row_values(row).get(arg).map(|&bits| bits.cast_signed())
    }

    /// A view of row `row`.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn event(&self, row: usize) -> Event<'_> {
        Event {
            time_ns: self.time_ns[row],
            thread: self.thread[row],
            site: self.site[row],
            cpu: self.cpu[row],
            row,
            columns: self,
        }
    }

    /// Views of all rows, in time order.
    pub fn events(&self) -> impl ExactSizeIterator<Item = Event<'_>> {
        (0..self.len()).map(|row| self.event(row))
    }
}

/// One decoded firing of a probe: a view of one row of [`Columns`].
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// CLOCK_MONOTONIC, ns.
    pub time_ns: u64,
    /// Index into [`Definitions::threads`].
    pub thread: u32,
    /// Index into [`Definitions::sites`].
    pub site: u32,
    /// Processor.
    pub cpu: u16,
    row: usize,
    columns: &'a Columns,
}

impl<'a> Event<'a> {
    /// The key (sequence number); see [`Columns::key`].
    #[must_use]
    pub fn key(&self, definitions: &Definitions) -> Option<i64> {
        self.columns.key(self.row, definitions)
    }

    /// Argument `arg`, if the event has so many; `kind` as the site says.
    #[must_use]
    pub fn arg(&self, arg: usize, kind: ArgKind) -> Option<Arg<'a>> {
        let bits = *self.columns.row_values(self.row).get(arg)?;
        if self.columns.row_unreadable(self.row) >> arg & 1 != 0 {
            return Some(Arg::Unreadable);
        }
        Some(match kind {
            ArgKind::Signed(_) => Arg::Signed(bits.cast_signed()),
            ArgKind::Unsigned(_) => Arg::Unsigned(bits),
            #[expect(clippy::cast_possible_truncation, reason = "the bits of a 4-byte float are the low 32")]
            ArgKind::Float(4) => Arg::Float(f32::from_bits(bits as u32).into()),
            ArgKind::Float(_) => Arg::Float(f64::from_bits(bits)),
            ArgKind::Str => self.columns.string(bits).map_or(Arg::Unreadable, Arg::Str),
            ArgKind::Unknown(_) => Arg::Unreadable,
        })
    }

    /// All arguments, in order.
    pub fn args(&self, definitions: &'a Definitions) -> impl Iterator<Item = Arg<'a>> {
        let event = *self;
        let kinds = definitions.sites.get(self.site as usize).map_or(&[][..], |site| &site.args);
        kinds.iter().enumerate().map_while(move |(arg, &kind)| event.arg(arg, kind))
    }
}

/// One firing on its way into a block: what the recorder and the importers push.
#[derive(Debug, Clone, Copy)]
pub struct Firing<'a> {
    /// CLOCK_MONOTONIC, ns.
    pub time_ns: u64,
    /// Id that [`Writer::define`](crate::Writer) gave the thread.
    pub thread: u32,
    /// Id of the site.
    pub site: u32,
    /// Processor.
    pub cpu: u16,
    /// Bit `k` set: argument `k` could not be read.
    pub unreadable: u16,
    /// One value an argument: bits as [`ArgKind`] says; for a string what [`Writer::intern`](crate::Writer) gave.
    pub values: &'a [u64],
}
