//! Tables as comma-separated values (RFC 4180): a head, lines that end in CR LF, quotes where they are needed.
//!
//! Null is an empty field, a list is a JSON array, a time is RFC 3339 in UTC.

use std::io::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Int32Type, Int64Type, Schema, TimestampMicrosecondType};
use jiff::Timestamp;
use parquet::errors::ParquetError;
use tracer_format::log::push_signed;

use crate::{Error, Result};

/// Encodes one table.
pub(super) struct CsvEncoder {
    second: Second,
    guard: Guard,
}

/// Bytes that are collected before they are written; strings may be long.
const WRITE_BYTES: usize = 1 << 18;

/// Whether texts are kept from being formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Guard(bool);

impl CsvEncoder {
    /// Appends the head to `out`; `is_safe` for texts that no spreadsheet takes for formulas.
    pub(super) fn new(schema: &Schema, is_safe: bool, out: &mut Vec<u8>) -> Self {
        for (position, field) in schema.fields().iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            push_field(out, Guard(false), field.name());
        }
        out.extend_from_slice(b"\r\n");
        Self { second: Second::default(), guard: Guard(is_safe) }
    }

    /// Appends a line for each row to `lines`, and writes them to `out` whenever there are many.
    pub(super) fn write(
        &mut self,
        batch: &RecordBatch,
        lines: &mut Vec<u8>,
        out: &mut impl Write,
    ) -> Result<()> {
        let columns: Vec<Cells<'_>> =
            batch.columns().iter().map(|column| Cells::new(column, self.guard)).collect::<Result<_>>()?;
        for row in 0..batch.num_rows() {
            for (position, cells) in columns.iter().enumerate() {
                if position > 0 {
                    lines.push(b',');
                }
                cells.push(row, &mut self.second, lines);
            }
            lines.extend_from_slice(b"\r\n");
            if lines.len() >= WRITE_BYTES {
                out.write_all(lines)?;
                lines.clear();
            }
        }
        Ok(())
    }
}

/// A column of a batch.
enum Cells<'b> {
    Small(&'b [i32], Option<&'b NullBuffer>),
    Number(&'b [i64], Option<&'b NullBuffer>),
    Time(&'b [i64], Option<&'b NullBuffer>),
    /// Numbers of names, and the names as fields.
    Name(&'b [i32], Vec<Vec<u8>>, Option<&'b NullBuffer>),
    Text(&'b arrow::array::StringArray, Guard),
    Truth(&'b arrow::array::BooleanArray),
    Numbers {
        ends: &'b [i32],
        numbers: &'b [i64],
        known: Option<&'b NullBuffer>,
    },
    Strings {
        ends: &'b [i32],
        strings: &'b arrow::array::StringArray,
    },
}

impl<'b> Cells<'b> {
    fn new(column: &'b dyn Array, guard: Guard) -> Result<Self> {
        let nulls = column.nulls();
        Ok(match column.data_type() {
            DataType::Int32 => Self::Small(column.as_primitive::<Int32Type>().values(), nulls),
            DataType::Int64 => Self::Number(column.as_primitive::<Int64Type>().values(), nulls),
            DataType::Timestamp(..) => {
                Self::Time(column.as_primitive::<TimestampMicrosecondType>().values(), nulls)
            }
            DataType::Utf8 => Self::Text(column.as_string::<i32>(), guard),
            DataType::Boolean => Self::Truth(column.as_boolean()),
            DataType::Dictionary(..) => {
                let names = column.as_dictionary::<Int32Type>();
                let field = |name: Option<&str>| {
                    let mut field = Vec::new();
                    push_field(&mut field, guard, name.unwrap_or_default());
                    field
                };
                let fields = names.values().as_string::<i32>().iter().map(field).collect();
                Self::Name(names.keys().values(), fields, nulls)
            }
            DataType::List(elements) if *elements.data_type() == DataType::Int64 => {
                let lists = column.as_list::<i32>();
                let numbers = lists.values().as_primitive::<Int64Type>();
                Self::Numbers {
                    ends: lists.value_offsets(),
                    numbers: numbers.values(),
                    known: numbers.nulls(),
                }
            }
            DataType::List(elements) if *elements.data_type() == DataType::Utf8 => {
                let lists = column.as_list::<i32>();
                Self::Strings { ends: lists.value_offsets(), strings: lists.values().as_string::<i32>() }
            }
            other => return Err(Error::Table(ParquetError::NYI(format!("columns of {other} in CSV")))),
        })
    }

    fn push(&self, row: usize, second: &mut Second, out: &mut Vec<u8>) {
        let is_known = |known: &Option<&NullBuffer>| known.is_none_or(|known| known.is_valid(row));
        match self {
            Self::Small(numbers, known) if is_known(known) => push_signed(out, numbers[row].into()),
            Self::Number(numbers, known) if is_known(known) => push_signed(out, numbers[row]),
            Self::Time(micros, known) if is_known(known) => second.push(micros[row], out),
            Self::Text(texts, guard) if texts.is_valid(row) => push_field(out, *guard, texts.value(row)),
            Self::Small(..) | Self::Number(..) | Self::Time(..) | Self::Text(..) => {}
            Self::Truth(truths) => out.extend_from_slice(if truths.value(row) { b"true" } else { b"false" }),
            Self::Name(_, _, known) if !is_known(known) => {}
            Self::Name(keys, fields, _) => {
                let field = usize::try_from(keys[row]).ok().and_then(|key| fields.get(key));
                out.extend_from_slice(field.map_or(&[], |field| field));
            }
            Self::Numbers { ends, numbers, known } => push_numbers(out, list(ends, row), numbers, *known),
            Self::Strings { ends, strings } => push_strings(out, list(ends, row), strings),
        }
    }
}

/// Elements of the list of a row.
fn list(ends: &[i32], row: usize) -> std::ops::Range<usize> {
    let end = |at: usize| usize::try_from(ends[at]).unwrap_or_default();
    end(row)..end(row + 1)
}

fn push_numbers(
    out: &mut Vec<u8>,
    elements: std::ops::Range<usize>,
    numbers: &[i64],
    known: Option<&NullBuffer>,
) {
    // A comma in the list needs quotes around the field.
    let quote: &[u8] = if elements.len() > 1 { b"\"" } else { b"" };
    out.extend_from_slice(quote);
    out.push(b'[');
    for at in elements.clone() {
        if at > elements.start {
            out.push(b',');
        }
        match known {
            Some(known) if known.is_null(at) => out.extend_from_slice(b"null"),
            _ => push_signed(out, numbers[at]),
        }
    }
    out.push(b']');
    out.extend_from_slice(quote);
}

fn push_strings(out: &mut Vec<u8>, elements: std::ops::Range<usize>, strings: &arrow::array::StringArray) {
    if elements.is_empty() {
        return out.extend_from_slice(b"[]");
    }
    let list: Vec<Option<&str>> =
        elements.map(|at| strings.is_valid(at).then(|| strings.value(at))).collect();
    // It begins with a bracket.
    push_field(out, Guard(false), &serde_json::json!(list).to_string());
}

/// Appends a field, in quotes if it needs them.
fn push_field(out: &mut Vec<u8>, guard: Guard, text: &str) {
    let guarded;
    let text = if guard.0 && text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%']) {
        guarded = format!("'{text}");
        &guarded
    } else {
        text
    };
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for (position, part) in text.split('"').enumerate() {
        if position > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

/// The second that the last time was in: most events share theirs with the one before.
#[derive(Default)]
struct Second {
    second: Option<i64>,
    /// `2026-05-01T12:00:00.`
    text: Vec<u8>,
}

impl Second {
    /// Appends a time, given in microseconds since 1970-01-01 UTC.
    fn push(&mut self, micros: i64, out: &mut Vec<u8>) {
        let (second, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        if self.second != Some(second) {
            self.second = Some(second);
            self.text.clear();
            // Beyond the year 9999 there is no such text; an empty field says so.
            if let Ok(time) = Timestamp::from_second(second) {
                self.text.extend_from_slice(time.to_string().trim_end_matches('Z').as_bytes());
                self.text.push(b'.');
            }
        }
        if self.text.is_empty() {
            return;
        }
        out.extend_from_slice(&self.text);
        let digit = |unit: i64| b'0' + u8::try_from(rest / unit % 10).unwrap_or_default();
        out.extend([100_000, 10_000, 1_000, 100, 10, 1].map(digit));
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        let mut second = Second::default();
        let mut text = |micros| {
            let mut out = Vec::new();
            second.push(micros, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(1_500_000), "1970-01-01T00:00:01.500000Z");
        assert_eq!(text(1_999_999), "1970-01-01T00:00:01.999999Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(text(1_777_636_800_000_007), "2026-05-01T12:00:00.000007Z");
        assert_eq!(text(i64::MAX), "");
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let cases =
            [("plain 'x'", "plain 'x'"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a\nb", "\"a\nb\"")];
        for (text, expected) in cases {
            let mut out = Vec::new();
            push_field(&mut out, Guard(false), text);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_guarded_text_is_no_formula() {
        for (text, expected) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-x,y", "\"'-x,y\""),
            ("@SUM(1)", "'@SUM(1)"),
            ("a=b", "a=b"),
            ("'x", "'x"),
        ] {
            let mut out = Vec::new();
            push_field(&mut out, Guard(true), text);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
