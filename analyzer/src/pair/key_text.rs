//! The texts of keys: where a part of a key is a string, the key has a number that stands for it, and readers want the text.

use std::collections::HashMap;
use std::ops::Range;

use tracer_format::{Columns, Definitions};

use super::source::{Argument, text_parts};
use super::span::Side;
use crate::stage::{KeyValue, Roles, SiteUses, Stage};

/// Bytes of texts that are kept; where there are more, the keys that come later are shown as their numbers.
const MAX_BYTES: usize = 16 << 20;
/// What a text takes beside its bytes, about.
const OVERHEAD: usize = 64;

/// The texts that the keys of some stages are made of, collected from the events.
#[derive(Debug)]
pub(crate) struct KeyTexts {
    /// Arguments of each site that are strings and part of a key.
    sites: SiteUses<Argument>,
    /// For each stage, a bit for each number of its key that may stand for a text.
    parts: Vec<u8>,
    known: HashMap<i64, Box<str>>,
    bytes: usize,
}

impl KeyTexts {
    /// No texts yet.
    pub(crate) fn new(stages: &[Stage], definitions: &Definitions) -> Self {
        let mut parts = vec![0; stages.len()];
        let sites = SiteUses::new(&definitions.sites, &Roles::new(stages), |site, roles| {
            let mut arguments = Vec::new();
            for role in roles {
                let sides = [(Side::Begin, role.begins), (Side::End, role.ends)];
                for (side, _) in sides.into_iter().filter(|(_, position)| position.is_some()) {
                    for (part, argument) in text_parts(&stages[role.stage].key, side, site) {
                        parts[role.stage] |= 1 << part;
                        if !arguments.contains(&argument) {
                            arguments.push(argument);
                        }
                    }
                }
            }
            arguments
        });
        Self { sites, parts, known: HashMap::new(), bytes: 0 }
    }

    /// Takes the texts of the rows `rows`, before their spans are asked for.
    pub(crate) fn events(&mut self, columns: &Columns, rows: Range<usize>) {
        if self.parts.iter().all(|&parts| parts == 0) {
            return;
        }
        for row in rows {
            for argument in self.sites.of(columns.site[row]) {
                let (Some(number), Some(text)) = (argument.read(columns, row), argument.text(columns, row))
                else {
                    continue;
                };
                if self.bytes < MAX_BYTES && !self.known.contains_key(&number) {
                    self.bytes += text.len() + OVERHEAD;
                    self.known.insert(number, String::from_utf8_lossy(text).into());
                }
            }
        }
    }

    /// The key of a span of `stage`, its parts with commas between; `None` if it has no text.
    pub(crate) fn text(&self, stage: u32, key: &KeyValue) -> Option<String> {
        let parts = self.parts.get(stage as usize).copied().filter(|&parts| parts != 0)?;
        let mut has_text = false;
        let part = |(at, number): (usize, &i64)| {
            let text = self.known.get(number).filter(|_| parts >> at & 1 != 0);
            has_text |= text.is_some();
            text.map_or_else(|| number.to_string(), |text| text.to_string())
        };
        let shown: Vec<String> = key.words().iter().enumerate().map(part).collect();
        has_text.then(|| shown.join(","))
    }
}
