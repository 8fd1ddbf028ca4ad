//! One line of the log as values, and the line that they make.
//!
//! [`LogWriter`](super::LogWriter) writes events from columns and keeps parts of lines ready; it puts them together from
//! the functions of this file, as [`Line::push`] does.

use super::digits::{push_signed, push_unsigned};
use super::escape::{escape, escape_also, push_cut, push_quoted};
use crate::model::Arg;

/// A line of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// Nothing.
    Blank,
    /// An announced probe.
    Found(FoundLine),
    /// The end of the header.
    Started,
    /// An event.
    Event(EventLine),
    /// Events that were dropped.
    Lost(LostLine),
}

/// A probe that the recorder attached to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundLine {
    /// Running number, from 0.
    pub index: u64,
    /// Name of the probe, without the provider.
    pub probe: String,
    /// File name of the binary.
    pub program: String,
}

/// An event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventLine {
    /// CLOCK_MONOTONIC, ns.
    pub time_ns: u64,
    /// Process id.
    pub pid: u32,
    /// Program of the process.
    pub program: String,
    /// Provider of the probe.
    pub provider: String,
    /// Name of the probe.
    pub probe: String,
    /// What stands after `Seq:`.
    pub key: Key,
    /// The arguments but the key, each with its index.
    pub args: Vec<(u8, Value)>,
}

/// The key of an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Key {
    /// `-`: there is no argument, or the key argument is not an integer and stands among the others.
    #[default]
    Absent,
    /// `?`: the recorder could not read it.
    Unreadable,
    /// A number.
    Signed(i64),
    /// A number above `i64::MAX`, where it was read from a line.
    Unsigned(u64),
}

/// An argument of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Signed(i64),
    /// A number above `i64::MAX`, where it was read from a line.
    Unsigned(u64),
    /// A number with a point, an exponent, `inf` or `NaN`.
    Float(f64),
    /// A string in quotes.
    Str(Vec<u8>),
    /// The same, of which only the beginning is there.
    CutStr(Vec<u8>),
    /// `?`: the recorder could not read it.
    Unreadable,
}

/// Events that were dropped while recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LostLine {
    /// First drop at the earliest, CLOCK_MONOTONIC ns.
    pub from_ns: u64,
    /// Last drop at the latest, CLOCK_MONOTONIC ns.
    pub to_ns: u64,
    /// Events dropped.
    pub count: u64,
    /// Processor, if it is known.
    pub cpu: Option<u16>,
    /// Provider and name of the probe, if they are known.
    pub probe: Option<(String, String)>,
}

impl Line {
    /// Appends the line, with its end.
    pub fn push(&self, out: &mut Vec<u8>) {
        match self {
            Self::Blank => {}
            Self::Found(found) => {
                let (probe, program) = (probe_text(&found.probe), program_text(&found.program));
                let line = format!("[{:>4}] Found probe {probe:<35} in '{program}'", found.index);
                out.extend_from_slice(line.as_bytes());
            }
            Self::Started => out.extend_from_slice(super::STARTED.as_bytes()),
            Self::Event(event) => event.push(out),
            Self::Lost(lost) => lost.push(out),
        }
        out.push(b'\n');
    }
}

impl EventLine {
    fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("[{:>16}", self.time_ns).as_bytes());
        out.extend_from_slice(thread_part(self.pid, &self.program).as_bytes());
        out.extend_from_slice(site_part(&self.provider, &self.probe).as_bytes());
        match self.key {
            Key::Absent => out.push(b'-'),
            Key::Unreadable => out.push(b'?'),
            Key::Signed(key) => push_signed(out, key),
            Key::Unsigned(key) => push_unsigned(out, key),
        }
        for (index, value) in &self.args {
            let value = match value {
                Value::Signed(number) => Arg::Signed(*number),
                Value::Unsigned(number) => Arg::Unsigned(*number),
                Value::Float(number) => Arg::Float(*number),
                Value::Str(bytes) => Arg::Str(bytes),
                Value::CutStr(bytes) => Arg::CutStr(bytes),
                Value::Unreadable => Arg::Unreadable,
            };
            push_arg(out, *index, value);
        }
    }
}

impl LostLine {
    fn push(&self, out: &mut Vec<u8>) {
        let of = self.probe.as_ref().map(|(provider, probe)| format!(" of {}", name_text(provider, probe)));
        let on = self.cpu.map(|cpu| format!(" on CPU {cpu}"));
        let (of, on) = (of.unwrap_or_default(), on.unwrap_or_default());
        let line = format!("[{:>16}] Lost {} events{of}{on} since {}", self.to_ns, self.count, self.from_ns);
        out.extend_from_slice(line.as_bytes());
    }
}

/// What stands between time and probe: the end of the time's bracket, the process, a space.
pub(super) fn thread_part(pid: u32, program: &str) -> String {
    format!("] [PID:{pid:>7}] {:<12} ", program_text(program))
}

/// What stands between process and key.
pub(super) fn site_part(provider: &str, probe: &str) -> String {
    format!("{:<30} | Seq: ", name_text(provider, probe))
}

/// Appends an argument with its separator.
pub(super) fn push_arg(out: &mut Vec<u8>, index: u8, value: Arg<'_>) {
    out.extend_from_slice(b" | arg");
    push_unsigned(out, index.into());
    out.extend_from_slice(b": ");
    match value {
        Arg::Signed(number) => push_signed(out, number),
        Arg::Unsigned(number) => push_unsigned(out, number),
        Arg::Float(number) => out.extend_from_slice(format!("{number:?}").as_bytes()),
        Arg::Str(bytes) => push_string(out, bytes, push_quoted),
        Arg::CutStr(bytes) => push_string(out, bytes, push_cut),
        Arg::Unreadable => out.push(b'?'),
    }
}

fn push_string(out: &mut Vec<u8>, bytes: &[u8], push: fn(&mut String, &[u8])) {
    let mut text = String::with_capacity(bytes.len() + 2);
    push(&mut text, bytes);
    out.extend_from_slice(text.as_bytes());
}

/// A provider or probe name: it ends at the first space or, the provider, at the first colon.
fn probe_text(name: &str) -> String {
    escape_also(name, &[' ', ':', '|'])
}

/// A probe as the log prints it: `provider:probe`, escaped.
#[must_use]
pub fn name_text(provider: &str, probe: &str) -> String {
    format!("{}:{}", probe_text(provider), probe_text(probe))
}

/// A program: it may hold spaces, and ends at the column's padding or at a quote.
fn program_text(name: &str) -> String {
    let kept = name.trim_end_matches(' ');
    if kept.len() == name.len() && !name.contains('|') {
        return escape(name).into_owned();
    }
    escape_also(kept, &['|']) + &escape_also(&name[kept.len()..], &[' '])
}
