//! Track events and their annotations: fields of Perfetto's `track_event.proto` and `debug_annotation.proto`.

use tracer_format::limits::MAX_ARGUMENTS;
use tracer_format::{Arg, Columns, Site};

use super::wire::{push_fixed, push_int, push_message, push_text, push_uint};
use crate::picture::canvas::ShownKey;
use crate::stage::KeyValue;

/// `TrackEvent.type`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type {
    SliceBegin = 1,
    SliceEnd = 2,
    Instant = 3,
    Counter = 4,
}

/// Categories; their interned ids are their numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Category {
    Probe = 1,
    Stage = 2,
    Irregular = 3,
    HandOff = 4,
    Loss = 5,
    Verdict = 6,
    Finding = 7,
    Slowest = 8,
    Step = 9,
}

impl Category {
    pub(super) const NAMES: [&str; 9] =
        ["probe", "stage", "irregular", "hand-off", "loss", "verdict", "finding", "slowest", "step"];
}

/// NameUse of annotations; their interned ids are their numbers, and `argN` comes after them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name {
    Key = 1,
    Reordered = 2,
    LatencyNs = 3,
    Seq = 4,
    Count = 5,
    Probe = 6,
    Offset = 7,
    LenBytes = 8,
    Why = 9,
}

impl Name {
    const NAMES: [&str; 9] =
        ["key", "reordered", "latency_ns", "seq", "count", "probe", "offset", "len_bytes", "why"];

    /// All names, in the order of their ids from 1 on.
    pub(super) fn all() -> impl Iterator<Item = String> {
        let arguments = (0..MAX_ARGUMENTS).map(|arg| format!("arg{arg}"));
        Self::NAMES.into_iter().map(str::to_owned).chain(arguments)
    }

    fn of_argument(arg: usize) -> u64 {
        (Self::NAMES.len() + 1 + arg) as u64
    }
}

/// Appends what an event is: its type, and for all but the end of a slice its category and its name's interned id.
pub(super) fn push_head(out: &mut Vec<u8>, kind: Type, what: Option<(Category, u64)>) {
    push_uint(out, 9, kind as u64);
    if let Some((category, name)) = what {
        push_uint(out, 3, category as u64);
        push_uint(out, 10, name);
    }
}

/// Appends what an event is whose name stands in it.
pub(super) fn push_named(out: &mut Vec<u8>, category: Category, name: &str) {
    push_uint(out, 9, Type::SliceBegin as u64);
    push_uint(out, 3, category as u64);
    push_text(out, 23, name);
}

/// Appends that an event is a number.
pub(super) fn push_number(out: &mut Vec<u8>, number: i64) {
    push_uint(out, 9, Type::Counter as u64);
    push_int(out, 30, number);
}

pub(super) fn push_track(out: &mut Vec<u8>, track: u64) {
    push_uint(out, 11, track);
}

pub(super) fn push_flow(out: &mut Vec<u8>, id: u64) {
    push_fixed(out, 47, id);
}

/// Appends an annotation, with the value that `fill` appends.
fn push_annotation(out: &mut Vec<u8>, name: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    push_message(out, 4, |out| {
        push_uint(out, 1, name);
        fill(out);
    });
}

pub(super) fn push_true(out: &mut Vec<u8>, name: Name) {
    push_annotation(out, name as u64, |out| push_uint(out, 2, 1));
}

pub(super) fn push_unsigned(out: &mut Vec<u8>, name: Name, value: u64) {
    push_annotation(out, name as u64, |out| push_uint(out, 3, value));
}

pub(super) fn push_signed(out: &mut Vec<u8>, name: Name, value: i64) {
    push_annotation(out, name as u64, |out| push_int(out, 4, value));
}

pub(super) fn push_string(out: &mut Vec<u8>, name: Name, value: &str) {
    push_annotation(out, name as u64, |out| push_text(out, 6, value));
}

/// Appends a key: a number, or a text.
pub(super) fn push_key(out: &mut Vec<u8>, key: &ShownKey) {
    match &key.text {
        Some(text) => push_string(out, Name::Key, text),
        None => push_key_value(out, &key.value),
    }
}

pub(super) fn push_key_value(out: &mut Vec<u8>, key: &KeyValue) {
    match *key.words() {
        [part] => push_signed(out, Name::Key, part),
        ref parts => {
            let parts: Vec<String> = parts.iter().map(i64::to_string).collect();
            push_string(out, Name::Key, &parts.join(","));
        }
    }
}

/// Appends the event of row `row` at a site, up to its track; `name`: the interned id of the probe's name.
pub(super) fn push_probe(out: &mut Vec<u8>, (site, name): (&Site, u64), columns: &Columns, row: usize) {
    push_head(out, Type::Instant, Some((Category::Probe, name)));
    let key = site.key_index();
    let event = columns.event(row);
    for (index, &kind) in site.args.iter().enumerate() {
        let Some(value) = event.arg(index, kind) else { continue };
        let name = if key == Some(index) { Name::Seq as u64 } else { Name::of_argument(index) };
        push_annotation(out, name, |out| match value {
            Arg::Signed(number) => push_int(out, 4, number),
            Arg::Unsigned(number) => push_uint(out, 3, number),
            Arg::Float(number) => push_fixed(out, 5, number.to_bits()),
            text @ (Arg::Str(_) | Arg::CutStr(_)) => push_text(out, 6, &text.text().unwrap_or_default()),
            Arg::Unreadable => push_text(out, 6, "unreadable"),
        });
    }
}
