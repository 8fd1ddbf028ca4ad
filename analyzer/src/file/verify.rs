//! Checks a trace whole: every checksum, every event, and whether index and footer say what the blocks say.
//!
//! Loss while recording is no damage: a trace that tells of it is sound.

use std::thread;

use serde_json::json;
use tracer_format::block::{BlockHeader, flag, kind};
use tracer_format::index::{FOOTER_BLOCK_BYTES, Footer};
use tracer_format::{BlockDecoder, BlockRef, Columns, Damage, DamagedRange, Found, Scanner, Trace};

use super::info::{FileState, damaged};
use crate::Result;
use crate::report::{PlainJson, counted, lost};
use crate::select::{Outcome, Selection};

/// What became of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Events that could be decoded, and all that is missing; the damage by its place in the file.
    pub outcome: Outcome,
    /// Events that the footers promise; `None` if a footer is missing.
    pub promised_events: Option<u64>,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes at the end that begin a block but do not finish it.
    pub tail_bytes: u64,
    /// Blocks found.
    pub blocks: u64,
    /// Whether other readers open it by its index; if not, they walk its blocks.
    pub by_index: bool,
}

impl Verification {
    /// Whether all that was written is there and right.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.state() == FileState::Complete
    }

    /// The state of the file.
    #[must_use]
    pub fn state(&self) -> FileState {
        match (self.outcome.damage.is_empty(), self.outcome.incomplete) {
            (false, _) => FileState::Damaged,
            (true, true) => FileState::Incomplete,
            (true, false) => FileState::Complete,
        }
    }

    /// Events that the damage costs: as the footers tell, else at least so many as sound block headers tell.
    #[must_use]
    pub fn damaged_events(&self) -> u64 {
        let known = self.outcome.damage.iter().map(|range| u64::from(range.events)).sum();
        self.promised_events.map_or(known, |promised| promised.saturating_sub(self.outcome.events).max(known))
    }

    /// The result as text: a line for the state, one for each damaged place, one for what was lost while recording.
    #[must_use]
    pub fn text(&self) -> String {
        let sound = format!("{} in {}", counted(self.outcome.events, "event"), counted(self.blocks, "block"));
        let places = counted(self.outcome.damage.len() as u64, "place");
        let mut lines = vec![match self.state() {
            FileState::Complete => format!("sound: {sound}, {}", counted(self.bytes, "byte")),
            FileState::Incomplete => format!(
                "incomplete: {sound} are sound, then the file ends without a footer ({} of an unfinished block); the \
                 recorder died or is still at work",
                counted(self.tail_bytes, "byte")
            ),
            FileState::Damaged => format!(
                "damaged: {} in {places}, which cost {}{}; {} are sound{}",
                counted(self.outcome.damaged_bytes(), "byte"),
                if self.promised_events.is_none() { "at least " } else { "" },
                counted(self.damaged_events(), "event"),
                counted(self.outcome.events, "event"),
                if self.outcome.incomplete { "; the file has no footer" } else { "" },
            ),
        }];
        for range in &self.outcome.damage {
            let events = (range.events > 0).then(|| format!(" ({})", counted(range.events.into(), "event")));
            let events = events.unwrap_or_default();
            lines.push(format!(
                "at byte {}, {} bytes: {}{events}",
                range.offset, range.len_bytes, range.damage
            ));
        }
        if self.outcome.gaps > 0 {
            lines.push(lost(self.outcome.lost, self.outcome.gaps));
        }
        lines.push(
            if self.by_index { "opens by its index" } else { "opens by walking its blocks" }.to_owned(),
        );
        lines.push(String::new());
        lines.join("\n")
    }

    /// The result as JSON, with a line end.
    #[must_use]
    pub fn json(&self) -> String {
        let document = json!({
            "version": 1,
            "state": self.state().name(),
            "sound": self.is_sound(),
            "complete": !self.outcome.incomplete,
            "events": self.outcome.events,
            "promised_events": self.promised_events,
            "damaged_events": self.damaged_events(),
            "bytes": self.bytes,
            "damaged_bytes": self.outcome.damaged_bytes(),
            "tail_bytes": self.tail_bytes,
            "blocks": self.blocks,
            "by_index": self.by_index,
            "damage": self.outcome.damage.iter().map(damaged).collect::<Vec<_>>(),
            "lost": self.outcome.lost,
            "gaps": self.outcome.gaps,
        });
        let mut json = PlainJson(Vec::new());
        serde_json::to_writer_pretty(&mut json, &document).expect("the document has string keys only");
        json.0.push(b'\n');
        String::from_utf8(json.0).expect("texts are written as a whole")
    }
}

/// Checks the trace in `bytes`. Damage is no error: it is in the result.
///
/// # Errors
/// [`Error::Format`](crate::Error::Format) if `bytes` are no trace that can be read at all.
pub fn verify(bytes: &[u8]) -> Result<Verification> {
    let trace = Trace::scan(bytes)?;
    let mut outcome = Outcome::of(&trace, &Selection::all());
    let checked = check_blocks(&trace);
    outcome.events = checked.events;
    outcome.damage.extend(checked.damage);
    let parts = parts(bytes)?;
    let promised_events = parts.iter().map(|part| Some(part.footer?.events.get())).sum();
    if outcome.damage.is_empty() {
        // After damage the sums cannot fit.
        outcome.damage.extend(parts.iter().filter_map(FilePart::contradiction));
        outcome.damage.extend(index_contradiction(&trace, &parts));
    }
    outcome.damage.sort_by_key(|range| range.offset);
    Ok(Verification {
        outcome,
        promised_events,
        bytes: bytes.len() as u64,
        tail_bytes: trace.tail_bytes,
        blocks: trace.block_count,
        by_index: Trace::open(bytes)?.by_index,
    })
}

/// What decoding some blocks gave.
#[derive(Default)]
struct Checked {
    events: u64,
    damage: Vec<DamagedRange>,
}

/// Decodes all events blocks, on all processors.
fn check_blocks(trace: &Trace<'_>) -> Checked {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = trace.blocks.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let shares = trace.blocks.chunks(share);
        let running: Vec<_> = shares.map(|blocks| scope.spawn(move || check_share(trace, blocks))).collect();
        let mut all = Checked::default();
        for share in running {
            let checked = share.join().expect("decoding does not panic");
            all.events += checked.events;
            all.damage.extend(checked.damage);
        }
        all
    })
}

fn check_share(trace: &Trace<'_>, blocks: &[BlockRef]) -> Checked {
    let (mut decoder, mut columns) = (BlockDecoder::default(), Columns::default());
    let mut checked = Checked::default();
    for block in blocks {
        let decoded = trace.decode(block, &mut decoder, &mut columns);
        match decoded.and_then(|()| check_keys(trace, block, &columns)) {
            Ok(()) => checked.events += columns.len() as u64,
            Err(damage) => checked.damage.push(DamagedRange {
                offset: block.offset,
                len_bytes: block_bytes(block.stored_bytes),
                damage,
                events: block.events,
            }),
        }
    }
    checked
}

fn block_bytes(stored_bytes: u32) -> u64 {
    tracer_format::block::BLOCK_HEADER_BYTES as u64 + u64::from(stored_bytes)
}

/// A search by key goes by the block headers, so they must be right.
fn check_keys(trace: &Trace<'_>, block: &BlockRef, columns: &Columns) -> std::result::Result<(), Damage> {
    let keys = (0..columns.len()).filter_map(|row| columns.key(row, &trace.definitions));
    let (mut min, mut max) = (i64::MAX, i64::MIN);
    keys.for_each(|key| (min, max) = (min.min(key), max.max(key)));
    let (min, max) = if min <= max { (min, max) } else { (0, -1) };
    if (min, max) == (block.key_min, block.key_max) {
        Ok(())
    } else {
        Err(Damage::Content("the keys are not those in the block header"))
    }
}

/// What the blocks of one part say, to be compared with its footer.
#[derive(Debug, Clone, Default)]
struct FilePart {
    start: usize,
    end: usize,
    events: u64,
    /// Blocks but index and footer.
    blocks: u32,
    /// Positions of the restated blocks that nothing but the index and the footer follows, each with the blocks before it.
    restated: Vec<(usize, u32)>,
    index: Option<(usize, BlockHeader)>,
    footer: Option<Footer>,
}

fn parts(bytes: &[u8]) -> Result<Vec<FilePart>> {
    let mut scanner = Scanner::default();
    let mut parts: Vec<FilePart> = Vec::new();
    let mut position = 0;
    let mut blocks = 0;
    while let Some(found) = scanner.next(bytes)? {
        match found {
            Found::Header(_) => {
                parts.push(FilePart { start: position, ..FilePart::default() });
                blocks = 0;
            }
            Found::Block { offset, header } => {
                if let Some(part) = parts.last_mut() {
                    part.block(offset, &header, blocks, bytes);
                }
                blocks += 1;
            }
            Found::Damaged(_) => {}
        }
        position = scanner.offset();
        if let Some(part) = parts.last_mut() {
            part.end = position;
        }
    }
    Ok(parts)
}

impl FilePart {
    /// Takes in a block with `blocks` before it.
    fn block(&mut self, offset: usize, header: &BlockHeader, blocks: u32, bytes: &[u8]) {
        match header.kind {
            kind::EVENTS => self.events += u64::from(header.count.get()),
            kind::INDEX => self.index = Some((offset, *header)),
            kind::FOOTER => self.footer = Footer::at_end(&bytes[..offset + header.block_bytes()]),
            _ => {}
        }
        match header.kind {
            kind::INDEX | kind::FOOTER => {}
            _ if header.flags & flag::RESTATED != 0 => self.restated.push((offset, blocks)),
            _ => self.restated.clear(),
        }
        if !matches!(header.kind, kind::INDEX | kind::FOOTER) {
            self.blocks = blocks + 1;
        }
    }

    /// Where the blocks begin that are restated at the end, and how many there are before it, if the footer is right.
    fn restated_at(&self, footer: &Footer) -> Option<(usize, u32)> {
        let index_at = self.index.map_or(self.end - FOOTER_BLOCK_BYTES, |(offset, _)| offset);
        let mut places = self.restated.iter().copied().chain([(index_at, self.blocks)]);
        places.find(|&(at, _)| (at - self.start) as u64 == footer.restated_offset.get())
    }

    /// What the footer says that is not so.
    fn contradiction(&self) -> Option<DamagedRange> {
        let footer = self.footer?;
        let position = |at: Option<usize>| at.map_or(0, |at| (at - self.start) as u64);
        let index_at = self.index.map(|(offset, _)| offset);
        let restated_at = self.restated_at(&footer);
        let checks = [
            (
                footer.trace_bytes.get() == (self.end - self.start) as u64,
                "the footer has the wrong length of the trace",
            ),
            (footer.events.get() == self.events, "the footer has the wrong number of events"),
            (
                footer.index_offset.get() == position(index_at),
                "the footer has the wrong position of the index",
            ),
            (restated_at.is_some(), "the footer has the wrong position of the restated blocks"),
            (
                self.index.is_none_or(|(_, header)| {
                    restated_at.is_none_or(|(_, blocks)| header.count.get() == blocks)
                }),
                "the index has the wrong number of blocks",
            ),
        ];
        let (_, wrong) = checks.into_iter().find(|(is_right, _)| !is_right)?;
        Some(self.at_footer(wrong))
    }

    fn at_footer(&self, wrong: &'static str) -> DamagedRange {
        DamagedRange {
            offset: self.end.saturating_sub(FOOTER_BLOCK_BYTES) as u64,
            len_bytes: FOOTER_BLOCK_BYTES as u64,
            damage: Damage::Content(wrong),
            events: 0,
        }
    }
}

/// Whether a trace opened by its index is another than the one that walking the blocks gives.
fn index_contradiction(walked: &Trace<'_>, parts: &[FilePart]) -> Option<DamagedRange> {
    let last = parts.last().filter(|part| part.footer.is_some())?;
    let dropped = parts.iter().map(|part| Some(part.footer?.dropped.get())).sum::<Option<u64>>();
    if dropped.is_some_and(|dropped| dropped != walked.dropped()) {
        return Some(last.at_footer("the footer has the wrong number of dropped events"));
    }
    let opened = Trace::open(walked.bytes()).ok()?;
    let same = opened.blocks == walked.blocks
        && opened.gaps == walked.gaps
        && opened.clocks == walked.clocks
        && opened.definitions == walked.definitions;
    (!same).then(|| last.at_footer("the index does not list what the blocks are"))
}
