//! The events of one block, column by column: how events live from the file to the analysis.

use super::{Definitions, Event, SiteId, ThreadId};

/// The events of one block, column by column, in time order.
///
/// Row `i` is event `i`; the first five columns have one value a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// CLOCK_MONOTONIC, ns; ascending.
    pub time_ns: Vec<u64>,
    /// Its thread.
    pub thread: Vec<ThreadId>,
    /// Its site.
    pub site: Vec<SiteId>,
    /// Processor that the event fired on.
    pub cpu: Vec<u16>,
    /// Where the row's values begin in `values`; one more than there are rows.
    pub value_start: Vec<u32>,
    /// Argument values of all rows: bits as [`ArgKind`](super::ArgKind) says.
    pub values: Vec<u64>,
    /// Rows with unreadable arguments, ascending, each with a bit an argument.
    pub unreadable: Vec<(u32, u16)>,
    /// Where string `k` begins in `string_bytes`; one more than there are strings, or empty.
    pub string_start: Vec<u32>,
    /// The strings of the block, end to end.
    pub string_bytes: Vec<u8>,
    /// Numbers of the strings of which only the beginning is there, ascending.
    pub cut_strings: Vec<u32>,
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
        self.cut_strings.clear();
    }

    /// String `index` of the block.
    #[must_use]
    pub fn string(&self, index: u64) -> Option<&[u8]> {
        let index = usize::try_from(index).ok()?;
        let start = *self.string_start.get(index)? as usize;
        let end = *self.string_start.get(index.checked_add(1)?)? as usize;
        self.string_bytes.get(start..end)
    }

    /// Whether only the beginning of string `index` is there: the recorder did not see its end.
    #[must_use]
    pub fn is_cut(&self, index: u64) -> bool {
        !self.cut_strings.is_empty()
            && u32::try_from(index).is_ok_and(|index| self.cut_strings.binary_search(&index).is_ok())
    }

    /// Argument values of row `row`: bits as the site's [`ArgKind`](super::ArgKind)s say.
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
        let site = definitions.site(*self.site.get(row)?)?;
        let arg = site.key_index().filter(|arg| self.row_unreadable(row) >> arg & 1 == 0)?;
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
