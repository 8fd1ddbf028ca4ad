//! A track for each buffer, where that is asked for.

use std::collections::HashSet;
use std::io;

use crate::pair::{Sink, Span};
use crate::stage::{Key, KeyValue, Scope, Stage};
use crate::{Error, Result};

/// Buffers that may have tracks: viewers stand still with many more.
const MOST: usize = 1000;
const TOO_MANY: &str = "more than 1000 buffers are selected, and each would have a track; pick some with --seq, or --from and --to";
const NONE: &str = "no stage has a key of its buffers, so they have no tracks; --stage gives one";

/// The stages whose keys are those of buffers: for each, a number that stages with the same key share.
pub(super) fn key_groups(stages: &[Stage]) -> Vec<Option<u32>> {
    let mut known: Vec<&Key> = Vec::new();
    let mut groups = Vec::with_capacity(stages.len());
    for stage in stages {
        if stage.key.scope == Scope::Tid || stage.key.parts.is_empty() {
            groups.push(None);
            continue;
        }
        let at = known.iter().position(|key| **key == stage.key).unwrap_or_else(|| {
            known.push(&stage.key);
            known.len() - 1
        });
        groups.push(u32::try_from(at).ok());
    }
    groups
}

/// Counts buffers, as far as they may have tracks.
#[derive(Debug)]
pub(super) struct BufferCount {
    groups: Vec<Option<u32>>,
    found: HashSet<(u32, KeyValue)>,
}

impl BufferCount {
    pub(super) fn new(stages: &[Stage]) -> Self {
        Self { groups: key_groups(stages), found: HashSet::new() }
    }

    /// Refuses if there are too many for tracks, or none.
    pub(super) fn check(&self) -> Result<()> {
        match self.found.len() {
            _ if self.groups.iter().all(Option::is_none) => Err(Error::Missing(NONE)),
            count if count > MOST => Err(Error::Missing(TOO_MANY)),
            _ => Ok(()),
        }
    }
}

impl Sink for BufferCount {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        if let Some(group) = self.groups[span.stage as usize]
            && self.found.len() <= MOST
        {
            self.found.insert((group, span.key));
        }
        Ok(())
    }
}
