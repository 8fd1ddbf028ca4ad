//! Pieces of Chrome JSON: what is the same for every event of a site, thread or stage is made once.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tracer_format::log::{push_signed, push_thousandths, push_unsigned};
use tracer_format::{Arg, ArgKind, Columns, Site};

use crate::analysis::{EdgeMap, hand_off_name};
use crate::pair::{Class, Edge};
use crate::picture::canvas::ShownKey;
use crate::picture::irregular_name;
use crate::picture::tracks::Tracks;
use crate::report::plain_json;
use crate::stage::Stage;

/// JavaScript keeps integers up to here exact.
const MAX_SAFE: u64 = 1 << 53;

/// Text made once.
#[derive(Debug)]
pub(super) struct Pieces {
    /// `,"pid":P,"tid":T,"ts":` of each thread.
    pub(super) threads: TrackTexts,
    /// The same of the track with the thread's probes.
    pub(super) probes: Arc<TrackTexts>,
    pub(super) stages: Vec<StagePiece>,
    hand_offs: EdgeMap<HandOffPiece>,
}

/// What the slices of a stage share.
#[derive(Debug)]
pub(super) struct StagePiece {
    /// Begin and end on a thread: the begin up to the key, the end up to its place.
    pub(super) on_thread: [Vec<u8>; 2],
    /// Begin and end of an asynchronous slice, up to the id.
    pub(super) asynchronous: [Vec<u8>; 2],
    /// Instants of irregular ends, by class, up to the key.
    pub(super) irregular: Vec<Vec<u8>>,
}

/// What the arrows of a hand-off share.
#[derive(Debug, Clone)]
pub(super) struct HandOffPiece {
    /// Start and finish of an arrow, up to the id.
    pub(super) arrow: [Vec<u8>; 2],
    /// Begin and end of a slice that holds the end of an arrow, up to its place.
    pub(super) slice: [Vec<u8>; 2],
}

/// What a site's events share.
#[derive(Debug)]
pub(super) struct SitePiece {
    /// The event up to its first argument; up to the value, if the only argument is the key.
    head: Vec<u8>,
    only_key: bool,
    args: Arc<[ArgKind]>,
    /// Index of the key argument, if it is an integer.
    key: Option<usize>,
}

impl Pieces {
    pub(super) fn new(tracks: &Tracks, probes: Arc<TrackTexts>, stages: &[Stage]) -> Self {
        Self {
            threads: TrackTexts::new(tracks.threads.iter().copied()),
            probes,
            stages: stages.iter().map(StagePiece::new).collect(),
            hand_offs: EdgeMap::default(),
        }
    }

    /// The pieces of a hand-off, and those of the threads.
    pub(super) fn hand_off(
        &mut self,
        from: Edge,
        to: Edge,
        stages: &[Stage],
    ) -> (&HandOffPiece, &TrackTexts) {
        let piece = self.hand_offs.get_or_insert(from, to, || {
            let name = hand_off_name(from, to, stages);
            let piece = |kind: &str, more: &str| piece("hand-off", kind, &name, more);
            HandOffPiece {
                arrow: ["s", "f"].map(|kind| piece(kind, ",\"bp\":\"e\",\"id\":")),
                slice: ["B", "E"].map(|kind| piece(kind, "")),
            }
        });
        (piece, &self.threads)
    }
}

/// `,"pid":P,"tid":T,"ts":` of a track for each thread, one behind the other.
#[derive(Debug, Default)]
pub(super) struct TrackTexts {
    text: Vec<u8>,
    /// Where that of each ends.
    ends: Vec<u32>,
}

impl TrackTexts {
    /// Those of the tracks with the probes of threads.
    pub(super) fn of_probes(tracks: &Tracks) -> Self {
        Self::new(tracks.threads.iter().zip(&tracks.probes).map(|(&(pid, _), &tid)| (pid, tid)))
    }

    fn new(tracks: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut all = Self::default();
        for (pid, tid) in tracks {
            all.text.extend(track(pid, tid));
            all.ends.push(u32::try_from(all.text.len()).unwrap_or(u32::MAX));
        }
        all
    }

    pub(super) fn get(&self, thread: usize) -> Option<&[u8]> {
        let begin = thread.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(begin as usize..*self.ends.get(thread)? as usize)
    }
}

/// What stands before each event of a site.
pub(super) struct SitePieces {
    /// Which of the pieces is that of each site: of those that are alike there is one.
    of_sites: Vec<u32>,
    pieces: Vec<SitePiece>,
}

impl SitePieces {
    pub(super) fn new(sites: &[Arc<Site>]) -> Self {
        let (mut known, mut pieces) = (HashMap::new(), Vec::new());
        let mut of_site = |site: &Arc<Site>| {
            *known.entry(Arc::as_ptr(site)).or_insert_with(|| {
                pieces.push(SitePiece::new(site));
                u32::try_from(pieces.len() - 1).unwrap_or(u32::MAX)
            })
        };
        let of_sites = sites.iter().map(&mut of_site).collect();
        Self { of_sites, pieces }
    }

    pub(super) fn get(&self, site: usize) -> Option<&SitePiece> {
        self.pieces.get(*self.of_sites.get(site)? as usize)
    }
}

fn track(pid: u32, tid: u32) -> Vec<u8> {
    format!(",\"pid\":{pid},\"tid\":{tid},\"ts\":").into_bytes()
}

/// The front of an event, with `more` members after its name.
pub(super) fn piece(category: &str, kind: &str, name: &str, more: &str) -> Vec<u8> {
    let mut piece = format!("{{\"cat\":\"{category}\",\"ph\":\"{kind}\",\"name\":").into_bytes();
    push_json(&mut piece, &Value::from(name));
    piece.extend_from_slice(more.as_bytes());
    piece
}

impl StagePiece {
    fn new(stage: &Stage) -> Self {
        let slice = |kind: &str, more: &str| piece("stage", kind, &stage.name, more);
        let irregular = |class: &Class| {
            let name = irregular_name(&stage.name, *class);
            piece("irregular", "i", &name, ",\"s\":\"t\",\"args\":{\"key\":")
        };
        Self {
            on_thread: [slice("B", ",\"args\":{\"key\":"), slice("E", "")],
            asynchronous: ["b", "e"].map(|kind| slice(kind, ",\"id2\":{\"local\":")),
            irregular: Class::ALL.iter().map(irregular).collect(),
        }
    }
}

impl SitePiece {
    pub(super) fn new(site: &Site) -> Self {
        let only_key = site.key_index() == Some(0) && matches!(site.args[..], [ArgKind::Signed(_)]);
        let args = if only_key { ",\"s\":\"t\",\"args\":{\"seq\":" } else { ",\"s\":\"t\",\"args\":{" };
        let head = piece("probe", "i", &site.probe, args);
        Self { head, only_key, args: site.args.clone(), key: site.key_index() }
    }

    /// Appends the event of row `row` up to the end of its arguments.
    pub(super) fn push(&self, out: &mut Vec<u8>, columns: &Columns, row: usize) {
        out.extend_from_slice(&self.head);
        if self.only_key && columns.unreadable.is_empty() {
            let bits = columns.row_values(row).first().copied().unwrap_or_default();
            push_integer(out, bits.cast_signed());
        } else {
            self.push_args(out, columns, row);
        }
        out.push(b'}');
    }

    fn push_args(&self, out: &mut Vec<u8>, columns: &Columns, row: usize) {
        let event = columns.event(row);
        if self.only_key {
            // The name of the one argument is part of the head.
            match event.arg(0, self.args[0]) {
                Some(Arg::Signed(number)) => push_integer(out, number),
                _ => out.extend_from_slice(b"\"unreadable\""),
            }
            return;
        }
        for (index, &kind) in self.args.iter().enumerate() {
            let Some(value) = event.arg(index, kind) else { continue };
            if index > 0 {
                out.push(b',');
            }
            let is_key = self.key == Some(index);
            let name = if is_key { "\"seq\":".to_owned() } else { format!("\"arg{index}\":") };
            out.extend_from_slice(name.as_bytes());
            push_arg(out, value);
        }
    }
}

fn push_arg(out: &mut Vec<u8>, value: Arg<'_>) {
    match value {
        Arg::Signed(number) => push_integer(out, number),
        Arg::Unsigned(number) if number <= MAX_SAFE => push_unsigned(out, number),
        Arg::Unsigned(number) => out.extend_from_slice(format!("\"{number}\"").as_bytes()),
        Arg::Float(number) if number.is_finite() => out.extend_from_slice(format!("{number:?}").as_bytes()),
        // JSON has no such numbers.
        Arg::Float(number) => push_json(out, &Value::from(format!("{number:?}"))),
        text @ (Arg::Str(_) | Arg::CutStr(_)) => push_json(out, &Value::from(text.text())),
        Arg::Unreadable => out.extend_from_slice(b"\"unreadable\""),
    }
}

/// Appends `value`, with backslashes in texts written by number: Perfetto up to v52 takes a quotation mark behind any backslash for
/// a part of the text, also behind one that is escaped itself.
pub(super) fn push_json(out: &mut Vec<u8>, value: &Value) {
    let text = value.to_string();
    // A row of backslashes begins with an escape, so the pairs from its begin on are escaped backslashes.
    out.extend_from_slice(plain_json(&text.replace(r"\\", r"\u005c")).as_bytes());
}

/// Appends a time as microseconds with three decimals.
pub(super) fn push_micros(out: &mut Vec<u8>, time_ns: u64) {
    push_thousandths(out, time_ns);
}

/// Appends a number in hexadecimal, in quotes: viewers lose digits of large ids that are numbers.
pub(super) fn push_id(out: &mut Vec<u8>, id: u64) {
    let mut text = *b"\"0x0000000000000000\"";
    let digits = (u64::BITS - id.leading_zeros()).div_ceil(4).max(1) as usize;
    for (at, digit) in text[3..3 + digits].iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(id >> (4 * at) & 0xf) as usize];
    }
    text[3 + digits] = b'"';
    // All that there is room for, as a copy of fixed size is a few instructions.
    let end = out.len() + digits + 4;
    out.extend_from_slice(&text);
    out.truncate(end);
}

/// Appends the parts of a key, in quotes.
pub(super) fn push_key(out: &mut Vec<u8>, key: &ShownKey) {
    if let Some(text) = &key.text {
        return push_json(out, &Value::from(text.as_str()));
    }
    out.push(b'"');
    for (position, &part) in key.value.words().iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        push_signed(out, part);
    }
    out.push(b'"');
}

/// Appends a number, in quotes if JavaScript would lose digits of it.
fn push_integer(out: &mut Vec<u8>, number: i64) {
    if number.unsigned_abs() <= MAX_SAFE {
        push_signed(out, number);
    } else {
        out.extend_from_slice(format!("\"{number}\"").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_keep_all_their_digits() {
        assert_eq!(text(|out| push_micros(out, 1_234_567)), "1234.567");
        assert_eq!(text(|out| push_micros(out, 5)), "0.005");
        assert_eq!(text(|out| push_id(out, 0)), "\"0x0\"");
        assert_eq!(text(|out| push_id(out, 0x1f0)), "\"0x1f0\"");
        assert_eq!(text(|out| push_id(out, u64::MAX)), "\"0xffffffffffffffff\"");
        assert_eq!(text(|out| push_integer(out, -(1 << 53))), "-9007199254740992");
        assert_eq!(text(|out| push_integer(out, i64::MIN)), "\"-9223372036854775808\"");
        let mut key = ShownKey { value: crate::stage::KeyValue::new(&[1, -2]), text: None };
        assert_eq!(text(|out| push_key(out, &key)), "\"1,-2\"");
        key.text = Some("say \"hi\"".into());
        assert_eq!(text(|out| push_key(out, &key)), r#""say \"hi\"""#);
    }

    #[test]
    fn no_quotation_mark_stands_behind_an_escaped_backslash() {
        let written = text(|out| push_json(out, &serde_json::json!({ "a\\": ["C:\\", "\\\"", "\n\u{1}"] })));
        assert_eq!(written, r#"{"a\u005c":["C:\u005c","\u005c\"","\n\u0001"]}"#);
        assert_eq!(piece("c", "B", "x\\", ",1"), br#"{"cat":"c","ph":"B","name":"x\u005c",1"#);
    }
}
