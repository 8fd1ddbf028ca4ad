//! What a reader should look at first, as slices apart from those of the trace: the verdict, the findings, the slowest buffers.

use super::lanes::Lanes;
use crate::analysis::diagnosis::{Diagnosis, Finding, LimitKind, Slow};
use crate::report::latency;
use crate::stage::KeyValue;

/// The name of what holds them.
pub(super) const NAME: &str = "overview: look here first";
/// The slowest buffers of a path that are shown.
pub(super) const SLOWEST: usize = 10;
/// Paths of which there is a verdict.
const MOST_PATHS: usize = 4;
/// Findings that are shown.
const MOST_FINDINGS: usize = 24;
/// Letters of a text; names of a trace may be very long.
const MOST_LETTERS: usize = 200;

/// What there is to look at first.
#[derive(Debug, Default)]
pub(super) struct Overview {
    /// Names of the lanes; those of one name stand side by side as one track.
    pub(super) lanes: Vec<&'static str>,
    /// By lane and time; in a lane, none overlaps another.
    pub(super) notes: Vec<Note>,
}

/// What a note tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoteKind {
    /// What limits the buffers.
    Verdict,
    /// What is wrong.
    Finding,
    /// A buffer that took long.
    Slowest,
}

impl NoteKind {
    /// The category of its slice.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Finding => "finding",
            Self::Slowest => "slowest",
        }
    }

    fn lane(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Finding => "findings",
            Self::Slowest => "slowest buffers, and why",
        }
    }
}

/// A slice of the overview.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) kind: NoteKind,
    /// Index into the lanes.
    pub(super) lane: usize,
    pub(super) text: String,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    /// The buffer that it is about.
    pub(super) key: Option<KeyValue>,
    /// What that buffer did one after the other, without a break.
    pub(super) steps: Vec<NoteStep>,
}

/// A slice inside of that of a slow buffer.
#[derive(Debug)]
pub(super) struct NoteStep {
    pub(super) text: String,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    /// What went on meanwhile; empty if that is nothing special.
    pub(super) why: String,
}

/// What `diagnosis` says of a trace from the first event to the last.
pub(super) fn overview(diagnosis: &Diagnosis, time_ns: (u64, u64)) -> Overview {
    let mut notes = Vec::new();
    let paths = std::iter::once(diagnosis).chain(&diagnosis.others).take(MOST_PATHS);
    for path in paths {
        if path.limit.kind != LimitKind::None {
            notes.push(whole(NoteKind::Verdict, &path.limit.text, time_ns));
        }
        notes.extend(path.findings.iter().take(MOST_FINDINGS).map(|finding| found(finding, time_ns)));
        notes.extend(path.slowest.iter().map(|slow| slowest(slow, path)));
    }
    in_lanes(notes)
}

/// Gives each note a lane where it overlaps none.
fn in_lanes(mut notes: Vec<Note>) -> Overview {
    let mut names = Vec::new();
    for kind in [NoteKind::Verdict, NoteKind::Finding, NoteKind::Slowest] {
        let mut lanes = Lanes::default();
        let mut of_kind: Vec<&mut Note> = notes.iter_mut().filter(|note| note.kind == kind).collect();
        of_kind.sort_by_key(|note| note.to_ns);
        for note in of_kind {
            let lane = lanes.take(note.from_ns, note.to_ns, || {
                names.push(kind.lane());
                names.len() as u64 - 1
            });
            note.lane = usize::try_from(lane).unwrap_or_default();
        }
    }
    notes.sort_by_key(|note| (note.lane, note.from_ns));
    Overview { lanes: names, notes }
}

fn whole(kind: NoteKind, text: &str, (from_ns, to_ns): (u64, u64)) -> Note {
    Note { kind, lane: 0, text: cut(text), from_ns, to_ns, key: None, steps: Vec::new() }
}

/// Where it was, if it has a time and a length; else it is about the whole time.
fn found(finding: &Finding, (from_ns, to_ns): (u64, u64)) -> Note {
    let len_ns = finding.len_ns.and_then(|len_ns| u64::try_from(len_ns).ok()).filter(|&len_ns| len_ns > 0);
    let place = finding.at_ns.zip(len_ns);
    let place = place.map(|(at_ns, len_ns)| (at_ns, at_ns.saturating_add(len_ns).min(to_ns)));
    let place = place.filter(|&(at_ns, end_ns)| from_ns <= at_ns && at_ns < end_ns);
    whole(NoteKind::Finding, &finding.text, place.unwrap_or((from_ns, to_ns)))
}

fn slowest(slow: &Slow, path: &Diagnosis) -> Note {
    let text = format!("{}: {}, {}", slow.key, latency(slow.total_ns), slow.reason);
    let total_ns = u64::try_from(slow.total_ns).unwrap_or_default();
    let place = (slow.entered_ns, slow.entered_ns.saturating_add(total_ns));
    // Of one that passed the probes in another order, steps are no slices.
    let steps_ns: Option<Vec<u64>> =
        slow.steps_ns.iter().map(|&step_ns| u64::try_from(step_ns).ok()).collect();
    let mut from_ns = slow.entered_ns;
    let steps = steps_ns.unwrap_or_default().into_iter().enumerate().map(|(step, step_ns)| {
        let to_ns = from_ns.saturating_add(step_ns);
        let took = latency(slow.steps_ns[step]);
        NoteStep {
            text: format!("{} {took}", cut(&path.route.steps[step].name)),
            from_ns: std::mem::replace(&mut from_ns, to_ns),
            to_ns,
            why: slow.waits.get(step).map_or_else(String::new, |why| cut(why)),
        }
    });
    let steps = steps.filter(|step| step.from_ns < step.to_ns).collect();
    Note { key: Some(slow.key), steps, ..whole(NoteKind::Slowest, &text, place) }
}

/// The text, or its begin and an ellipsis.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
