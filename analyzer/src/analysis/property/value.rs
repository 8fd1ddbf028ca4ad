//! Properties of a span, and their values.

use std::collections::HashMap;
use std::fmt;

use tracer_format::{ArgKind, Columns};

use crate::analysis::group::shape;

/// Arguments that are looked at.
pub(super) const ARGS: usize = 6;
/// Texts that are kept as they are, and all: of the others the shape is kept, as of SQL; later ones have no value.
const MAX_AS_THEY_ARE: usize = 1 << 11;
const MAX_TEXTS: usize = 1 << 12;
/// Letters of a text that are kept.
const MAX_LETTERS: usize = 200;

/// What spans may have in common. If several tell the same spans, the first is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Property {
    /// The program where they begin.
    Program,
    /// The process.
    Pid,
    /// The thread.
    Tid,
    /// An argument of the event that begins them, or, if that has no such argument, of the one that ends them.
    Arg(u8),
    /// The processor where they begin.
    Cpu,
    /// For how long the thread had fired nothing before.
    Pause,
}

/// As `--group-by` takes it, where it does.
impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program => f.write_str("program"),
            Self::Pid => f.write_str("pid"),
            Self::Tid => f.write_str("tid"),
            Self::Arg(arg) => write!(f, "arg{arg}"),
            Self::Cpu => f.write_str("cpu"),
            Self::Pause => f.write_str("pause_ns"),
        }
    }
}

/// The value of a property.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum PropertyValue {
    /// It has none: it was unreadable, or is no integer and no string.
    #[default]
    Missing,
    /// An integer.
    Number(i64),
    /// A string, by its number in [`Texts`].
    Text(u32),
}

/// The strings among the values.
#[derive(Debug, Default)]
pub(super) struct Texts {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
}

impl Texts {
    /// The text of a number.
    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", String::as_str)
    }

    /// The same without what tells one text of a kind from another.
    pub(super) fn shape_of(&mut self, value: PropertyValue) -> PropertyValue {
        match value {
            PropertyValue::Text(number) => self.number(&shape(self.text(number))),
            value => value,
        }
    }

    fn number(&mut self, text: &str) -> PropertyValue {
        if let Some(&number) = self.numbers.get(text) {
            return PropertyValue::Text(number);
        }
        if self.texts.len() >= MAX_TEXTS {
            return PropertyValue::Missing;
        }
        if self.texts.len() >= MAX_AS_THEY_ARE && shape(text) != text {
            return self.number(&shape(text));
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.numbers.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        PropertyValue::Text(number)
    }

    /// Argument `arg` of row `row`, whose site's is of kind `kind`.
    pub(super) fn argument(
        &mut self,
        columns: &Columns,
        row: usize,
        (arg, kind): (usize, ArgKind),
    ) -> PropertyValue {
        let readable = columns.row_unreadable(row) >> arg & 1 == 0;
        match (columns.row_values(row).get(arg), kind) {
            (Some(&bits), kind) if readable && kind.is_integer() => PropertyValue::Number(bits.cast_signed()),
            (Some(&bits), ArgKind::Str) if readable => match columns.string(bits) {
                Some(bytes) => {
                    let text = String::from_utf8_lossy(bytes);
                    self.number(&text.chars().take(MAX_LETTERS).collect::<String>())
                }
                None => PropertyValue::Missing,
            },
            _ => PropertyValue::Missing,
        }
    }
}
