//! One firing of a probe: a view of a row of [`Columns`], or values on their way into a block.
//!
//! What the ids mean stands in [`Definitions`].

use super::{Arg, ArgKind, Columns, Definitions, SiteId, ThreadId};

/// One decoded firing of a probe: a view of one row of [`Columns`].
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// CLOCK_MONOTONIC, ns.
    pub time_ns: u64,
    /// Its thread.
    pub thread: ThreadId,
    /// Its site.
    pub site: SiteId,
    /// Processor.
    pub cpu: u16,
    pub(super) row: usize,
    pub(super) columns: &'a Columns,
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
            ArgKind::Str => match self.columns.string(bits) {
                None => Arg::Unreadable,
                Some(string) if self.columns.is_cut(bits) => Arg::CutStr(string),
                Some(string) => Arg::Str(string),
            },
            ArgKind::Unknown(_) => Arg::Unreadable,
        })
    }

    /// All arguments, in order.
    pub fn args(&self, definitions: &'a Definitions) -> impl Iterator<Item = Arg<'a>> {
        let event = *self;
        let kinds = definitions.site(self.site).map_or(&[][..], |site| &site.args);
        kinds.iter().enumerate().map_while(move |(arg, &kind)| event.arg(arg, kind))
    }
}

/// One firing on its way into a block: what the recorder and the importers push.
#[derive(Debug, Clone, Copy)]
pub struct Firing<'a> {
    /// CLOCK_MONOTONIC, ns.
    pub time_ns: u64,
    /// Id that [`Writer::define`](crate::Writer) gave the thread.
    pub thread: ThreadId,
    /// Id of the site.
    pub site: SiteId,
    /// Processor.
    pub cpu: u16,
    /// Bit `k` set: argument `k` could not be read.
    pub unreadable: u16,
    /// One value an argument: bits as [`ArgKind`] says; for a string what [`Writer::intern`](crate::Writer) gave.
    pub values: &'a [u64],
}
