//! What was asked for and is not in the trace, or not all of it: what a reader must know before it says "never".

use super::{Definitions, HostId, Placed, Site};

/// Something that was not recorded: which, when and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Skipped {
    /// Host.
    pub host: HostId,
    /// What was not recorded.
    pub kind: SkippedKind,
    /// How many of that kind; 0 if unknown.
    pub count: u64,
    /// Process id, if it is about one process; else 0.
    pub pid: u32,
    /// File name of the program; empty if it is about none or several.
    pub program: String,
    /// Path of the file with the probes; empty if unknown.
    pub path: String,
    /// Provider of the probe; empty if it is about none or several.
    pub provider: String,
    /// Name of the probe, without the provider; empty likewise.
    pub probe: String,
    /// File offset of the site, bytes; 0 if it is about none or several.
    pub offset: u64,
    /// From when on, CLOCK_MONOTONIC ns; 0: from the start of the recording.
    pub from_ns: u64,
    /// Until when, CLOCK_MONOTONIC ns; 0: to its end.
    pub until_ns: u64,
    /// Why, in words, without a full stop. Never empty.
    pub reason: String,
}

/// Kind of what was not recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkippedKind {
    /// Sites: what fired there is not in the trace.
    #[default]
    Sites,
    /// Files whose probes are not known.
    Files,
    /// Processes that could not be looked into or followed.
    Processes,
    /// Events that came but could not be written.
    Events,
    /// A kind of a later version, by its number on disk.
    Unknown(u8),
}

/// What the reason of a fact says that stands for all that are not listed, before and behind the number of those that are.
const REST: [&str; 2] = ["more than the ", " facts that are listed"];

impl Skipped {
    /// A fact that stands for `count` of a kind, which are not listed beside the first `listed` facts.
    #[must_use]
    pub fn rest(kind: SkippedKind, count: u64, listed: usize) -> Self {
        let [before, behind] = REST;
        Self { kind, count, reason: format!("{before}{listed}{behind}"), ..Self::default() }
    }

    /// Whether it stands for all that are not listed.
    #[must_use]
    pub fn is_rest(&self) -> bool {
        self.reason.starts_with(REST[0]) && self.reason.ends_with(REST[1])
    }

    /// Bytes of its texts.
    pub(crate) fn text_bytes(&self) -> usize {
        [&self.program, &self.path, &self.provider, &self.probe, &self.reason]
            .iter()
            .map(|text| text.len())
            .sum()
    }

    /// Whether it is about `site`, for a part of the recording at least.
    #[must_use]
    pub fn covers(&self, site: &Site) -> bool {
        let named = [(&self.path, &site.path), (&self.provider, &site.provider), (&self.probe, &site.probe)];
        self.kind == SkippedKind::Sites
            && named.iter().all(|(said, found)| said.is_empty() || **said == ***found)
            && (self.program.is_empty() || *self.program == *site.program)
            && (self.offset == 0 || self.offset == site.offset)
    }
}

/// Facts that are listed: as many as four recorders list, which keep 4096 each.
const MAX_FACTS: usize = 1 << 14;
/// Bytes of their texts: five hundred for each fact of one recorder.
const MAX_TEXT_BYTES: usize = 2 << 20;

/// How far the facts of a file are listed one by one; beyond that they are counted by kind. Facts that are alike take a byte of a
/// file each, and hundreds in memory.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Listed {
    /// The lowest id that none has, among those of the whole file.
    pub(crate) next: u32,
    text_bytes: usize,
    /// Where the list ends, once there is one that it has no room for. Behind it stands one fact of each kind, for all of the rest.
    end: Option<usize>,
}

impl Listed {
    /// Puts a fact in its place, or counts it, as [`Definitions::place`] does.
    pub(crate) fn place(&mut self, all: &mut Definitions, id: u32, skipped: Skipped, max: usize) -> Placed {
        let (at, is_new) = (id as usize, id >= self.next);
        if at >= max {
            return Placed::TooMany;
        }
        self.next = self.next.max(id.saturating_add(1));
        let is_inside = at < self.end.unwrap_or(MAX_FACTS);
        if is_inside && all.skipped.get(at) == Some(&skipped) {
            return Placed::Known;
        }
        let text_bytes = self.text_bytes + skipped.text_bytes();
        if is_inside && text_bytes <= MAX_TEXT_BYTES {
            self.text_bytes = text_bytes;
            if at >= all.skipped.len() {
                all.skipped.resize_with(at + 1, Skipped::default);
            }
            all.skipped[at] = skipped;
            return Placed::New;
        }
        if !is_new {
            // It was counted when it stood in the file for the first time.
            return Placed::Known;
        }
        let end = *self.end.get_or_insert_with(|| {
            let end = all.skipped.len().max(at.min(MAX_FACTS));
            all.skipped.resize_with(end, Skipped::default);
            end
        });
        let count = skipped.count.max(1);
        match all.skipped[end..].iter_mut().find(|rest| rest.kind == skipped.kind) {
            Some(rest) => rest.count = rest.count.saturating_add(count),
            None => all.skipped.push(Skipped::rest(skipped.kind, count, end)),
        }
        Placed::New
    }
}
