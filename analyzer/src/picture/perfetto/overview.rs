//! What to look at first: slices and counters on tracks of no process.

use std::io::Write;

use super::Perfetto;
use super::event::{Category, Name, push_key_value, push_named, push_number, push_string, push_track};
use super::packet::push_event;
use super::track::{ChildOrder, push_group, push_ranked};
use crate::picture::canvas::Scene;
use crate::picture::count::Counter;
use crate::picture::overview::{NAME, Note, NoteKind};
use crate::picture::tracks::OVERVIEW_RANK;

impl<W: Write> Perfetto<'_, W> {
    /// Its tracks; none if there is nothing to look at.
    pub(super) fn begin_overview(&mut self, scene: Scene<'_, '_>) {
        if !scene.has_overview() {
            return;
        }
        let group = self.uuids.overview;
        push_group(&mut self.packets, group, (NAME, OVERVIEW_RANK), ChildOrder::Rank);
        for (rank, name) in scene.lanes.iter().enumerate() {
            let lane = self.uuids.take();
            push_ranked(&mut self.packets, (lane, group), (name, rank), false);
            self.note_lanes.push(lane);
        }
    }

    pub(super) fn push_note(&mut self, note: &Note) {
        let category = match note.kind {
            NoteKind::Verdict => Category::Verdict,
            NoteKind::Finding => Category::Finding,
            NoteKind::Slowest => Category::Slowest,
        };
        let track = self.note_lanes[note.lane];
        push_event(&mut self.packets, note.from_ns, |out| {
            push_named(out, category, &note.text);
            push_track(out, track);
            if let Some(key) = &note.key {
                push_key_value(out, key);
            }
        });
        for step in &note.steps {
            push_event(&mut self.packets, step.from_ns, |out| {
                push_named(out, Category::Step, &step.text);
                push_track(out, track);
                if !step.why.is_empty() {
                    push_string(out, Name::Why, &step.why);
                }
            });
            self.slice_end(step.to_ns, track);
        }
        self.slice_end(note.to_ns, track);
    }

    pub(super) fn push_counter(&mut self, counter: &Counter) {
        let track = self.uuids.take();
        // Behind the lanes, whose ids are smaller.
        let rank = usize::try_from(track - self.uuids.overview).unwrap_or_default();
        push_ranked(&mut self.packets, (track, self.uuids.overview), (&counter.name, rank), true);
        for &(time_ns, number) in &counter.points {
            push_event(&mut self.packets, time_ns, |out| {
                push_number(out, number);
                push_track(out, track);
            });
        }
    }
}
