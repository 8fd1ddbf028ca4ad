//! Where the values of keys come from: arguments of an event, and numbers of its thread.

use tracer_format::{ArgKind, Columns, Site};

use super::identity::Identities;
use super::span::Side;
use crate::stage::{Key, KeyPart, MAX_WORDS, Scope, number_of};

/// How the events of one site give the value of a stage's key.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeySource {
    words: [Source; MAX_WORDS],
    len: usize,
    /// The argument that is all of it, as with most keys.
    alone: Option<usize>,
}

/// Where one number of a key's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Number(usize),
    Text(usize),
    Scope(Scope),
    Nowhere,
}

impl KeySource {
    /// How the events of `site` give `key` where they stand at `side` of a stage.
    pub(super) fn new(key: &Key, side: Side, site: &Site) -> Self {
        let mut words = [Source::Nowhere; MAX_WORDS];
        let scope = (key.scope != Scope::Trace).then_some(Source::Scope(key.scope));
        let parts = key.parts.iter().map(|&part| source(part, side, site));
        for (to, from) in words.iter_mut().zip(parts.chain(scope)) {
            *to = from;
        }
        let len = key.words().min(MAX_WORDS);
        let alone = match words[..len] {
            [Source::Number(arg)] => Some(arg),
            _ => None,
        };
        Self { words, len, alone }
    }

    /// The argument that is all of it, if it is a number.
    pub(super) fn alone(&self) -> Option<usize> {
        self.alone
    }

    /// Reads the value of row `row` into `words`, as far as it goes; `None` if a part is missing, unreadable, or neither
    /// integer nor string.
    #[inline(always)]
    pub(super) fn read<'w>(
        &self,
        columns: &Columns,
        row: usize,
        identities: &Identities,
        words: &'w mut [i64; MAX_WORDS],
    ) -> Option<&'w [i64]> {
        if let Some(arg) = self.alone {
            words[0] = number(columns, row, arg)?;
            return Some(&words[..1]);
        }
        self.read_all(columns, row, identities, words)
    }

    fn read_all<'w>(
        &self,
        columns: &Columns,
        row: usize,
        identities: &Identities,
        words: &'w mut [i64; MAX_WORDS],
    ) -> Option<&'w [i64]> {
        for (word, &source) in words[..self.len].iter_mut().zip(&self.words) {
            *word = match source {
                Source::Number(arg) => number(columns, row, arg)?,
                Source::Text(arg) => text(columns, row, arg)?,
                Source::Scope(scope) => identities.of(columns.thread[row], scope)?,
                Source::Nowhere => return None,
            };
        }
        Some(&words[..self.len])
    }
}

/// The parts of `key` that are strings in the events of `site`, by their positions.
pub(super) fn text_parts(key: &Key, side: Side, site: &Site) -> impl Iterator<Item = (usize, Argument)> {
    let sources = key.parts.iter().map(move |&part| source(part, side, site)).enumerate();
    sources.filter(|(_, source)| matches!(source, Source::Text(_))).map(|(at, source)| (at, Argument(source)))
}

/// An argument of one site's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Argument(Source);

impl Argument {
    /// Argument `arg` of the events of `site`; `None` if they have none, or it is neither integer nor string.
    pub(super) fn new(arg: u8, site: &Site) -> Option<Self> {
        let source = source(KeyPart::Arg(arg), Side::Begin, site);
        (source != Source::Nowhere).then_some(Self(source))
    }

    /// The same, if it is an integer.
    pub(super) fn integer(arg: u8, site: &Site) -> Option<Self> {
        Self::new(arg, site).filter(|argument| matches!(argument.0, Source::Number(_)))
    }

    /// Its number in row `row`; `None` if it was unreadable.
    pub(super) fn read(self, columns: &Columns, row: usize) -> Option<i64> {
        match self.0 {
            Source::Number(arg) => number(columns, row, arg),
            Source::Text(arg) => text(columns, row, arg),
            Source::Scope(_) | Source::Nowhere => None,
        }
    }

    /// Its text in row `row`; `None` if it is no string, or was unreadable.
    pub(super) fn text(self, columns: &Columns, row: usize) -> Option<&[u8]> {
        let Source::Text(arg) = self.0 else { return None };
        columns.string(number(columns, row, arg)?.cast_unsigned())
    }
}

#[inline(always)]
fn number(columns: &Columns, row: usize, arg: usize) -> Option<i64> {
    if !columns.unreadable.is_empty() && columns.row_unreadable(row) >> arg & 1 != 0 {
        return None;
    }
    columns.row_values(row).get(arg).map(|&bits| bits.cast_signed())
}

/// A number that stands for a string.
fn text(columns: &Columns, row: usize, arg: usize) -> Option<i64> {
    let index = number(columns, row, arg)?;
    columns.string(index.cast_unsigned()).map(number_of)
}

fn source(part: KeyPart, side: Side, site: &Site) -> Source {
    let arg = match part {
        KeyPart::Seq => site.key_arg,
        KeyPart::Arg(arg) => arg,
        KeyPart::Crossed { begin, .. } if side == Side::Begin => begin,
        KeyPart::Crossed { end, .. } => end,
        KeyPart::Str => {
            let first = site.args.iter().position(|&kind| kind == ArgKind::Str);
            return first.map_or(Source::Nowhere, Source::Text);
        }
    };
    match (part, site.args.get(usize::from(arg))) {
        (_, Some(kind)) if kind.is_integer() => Source::Number(arg.into()),
        (KeyPart::Arg(_) | KeyPart::Crossed { .. }, Some(ArgKind::Str)) => Source::Text(arg.into()),
        _ => Source::Nowhere,
    }
}
