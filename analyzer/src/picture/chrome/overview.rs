//! What the trace has not: the process of what to look at first, and that of the buffers, where they have tracks.

use std::io::{self, Write};

use serde_json::json;

use super::Chrome;
use super::text::{piece, push_json, push_micros};
use crate::picture::canvas::{Scene, Slice};
use crate::picture::count::Counter;
use crate::picture::layout::Shape;
use crate::picture::overview::{NAME, Note};
use crate::picture::tracks::{BUFFERS_RANK, OVERVIEW_RANK};

impl<W: Write> Chrome<'_, W> {
    /// The processes and the lanes of the overview, as far as there is something to show.
    pub(super) fn begin_own(&mut self, scene: Scene<'_, '_>) -> io::Result<()> {
        if scene.shapes.contains(&Shape::OnBuffer) {
            self.own_process(self.tracks.buffers_pid, BUFFERS_RANK, "tracks of buffers")?;
        }
        if scene.has_overview() {
            self.own_process(self.tracks.overview_pid, OVERVIEW_RANK, NAME)?;
        }
        for (rank, name) in scene.lanes.iter().enumerate() {
            let lane = self.own_thread(self.tracks.overview_pid, rank, name)?;
            self.note_lanes.push(lane);
        }
        Ok(())
    }

    fn own_process(&mut self, pid: u32, rank: usize, name: &str) -> io::Result<()> {
        self.say("process_name", (pid, pid), &json!({ "name": name }))?;
        self.say("process_sort_index", (pid, pid), &json!({ "sort_index": rank }))
    }

    /// A thread that the trace has not.
    fn own_thread(&mut self, pid: u32, rank: usize, name: &str) -> io::Result<u32> {
        let tid = self.tracks.take();
        self.say("thread_name", (pid, tid), &json!({ "name": name }))?;
        self.say("thread_sort_index", (pid, tid), &json!({ "sort_index": rank }))?;
        Ok(tid)
    }

    /// Appends `,"pid":P,"tid":T,"ts":TIME` of what the trace has not.
    pub(super) fn put_own_place(&mut self, (pid, tid): (u32, u32), time_ns: u64) {
        self.put(format!(",\"pid\":{pid},\"tid\":{tid},\"ts\":").as_bytes());
        push_micros(&mut self.text, time_ns.saturating_sub(self.start_ns));
    }

    /// A thread that stands for the buffer.
    pub(super) fn buffer_lane(&mut self, slice: &Slice) -> io::Result<(u32, u32)> {
        let key = (self.key_groups[slice.stage as usize], slice.key.value);
        let pid = self.tracks.buffers_pid;
        let lanes = self.buffer_lanes.entry(key).or_default();
        let mut is_new = false;
        let tid = lanes.take(slice.begin.time_ns, slice.end.time_ns, || {
            is_new = true;
            u64::from(self.tracks.take())
        });
        let tid = u32::try_from(tid).unwrap_or(u32::MAX);
        if is_new {
            // The later it begins, the further down.
            let rank = (slice.begin.time_ns.saturating_sub(self.start_ns) / 1000).min(1 << 30);
            self.say("thread_name", (pid, tid), &json!({ "name": slice.key.buffer_name() }))?;
            self.say("thread_sort_index", (pid, tid), &json!({ "sort_index": rank }))?;
        }
        Ok((pid, tid))
    }

    pub(super) fn push_note(&mut self, note: &Note) -> io::Result<()> {
        let place = (self.tracks.overview_pid, self.note_lanes[note.lane]);
        let category = note.kind.name();
        self.put(&piece(category, "B", &note.text, ",\"args\":"));
        let key = note.key.map(|key| key.to_string());
        push_json(&mut self.text, &key.map_or_else(|| json!({}), |key| json!({ "key": key })));
        self.put_own_place(place, note.from_ns);
        self.end_event()?;
        for step in &note.steps {
            self.put(&piece("step", "B", &step.text, ",\"args\":"));
            let why = &step.why;
            push_json(&mut self.text, &if why.is_empty() { json!({}) } else { json!({ "why": why }) });
            self.put_own_place(place, step.from_ns);
            self.end_event()?;
            self.put(&piece("step", "E", &step.text, ""));
            self.put_own_place(place, step.to_ns);
            self.end_event()?;
        }
        self.put(&piece(category, "E", &note.text, ""));
        self.put_own_place(place, note.to_ns);
        self.end_event()
    }

    pub(super) fn push_counter(&mut self, counter: &Counter) -> io::Result<()> {
        let pid = self.tracks.overview_pid;
        let piece = piece("counter", "C", &counter.name, ",\"args\":{\"buffers\":");
        for &(time_ns, number) in &counter.points {
            self.put(&piece);
            self.put(format!("{number}}}").as_bytes());
            self.put_own_place((pid, pid), time_ns);
            self.end_event()?;
        }
        Ok(())
    }
}
