//! What viewers are told of processes and threads before any event: names, an order. Written as it is made, as there may be many.

use std::io::{self, Write};

use serde_json::{Value, json};
use tracer_format::{Definitions, Trace};

use super::text::push_json;
use super::{SEPARATOR, WRITE_BYTES, write};
use crate::picture::thread_name;
use crate::picture::tracks::{FIRST_RANK, LOSS_RANK, Tracks};

/// Appends to `text` what is to be said, and writes to `out` whenever it is much.
pub(super) struct ViewerNames<'m, W> {
    pub(super) text: &'m mut Vec<u8>,
    pub(super) out: &'m mut W,
}

impl<W: Write> ViewerNames<'_, W> {
    pub(super) fn push(&mut self, trace: &Trace<'_>, (tracks, ranks): (&Tracks, &[usize])) -> io::Result<()> {
        self.processes(&trace.definitions, (tracks, ranks))?;
        self.threads(&trace.definitions, tracks)?;
        if !trace.gaps.is_empty() || !trace.damage.is_empty() {
            let pid = tracks.loss_pid;
            self.say("process_name", (pid, pid), &json!({ "name": "lost events" }))?;
            self.say("process_sort_index", (pid, pid), &json!({ "sort_index": LOSS_RANK }))?;
        }
        Ok(())
    }

    fn processes(
        &mut self,
        definitions: &Definitions,
        (tracks, ranks): (&Tracks, &[usize]),
    ) -> io::Result<()> {
        for ((process, &pid), &rank) in definitions.processes.iter().zip(&tracks.pids).zip(ranks) {
            self.say("process_name", (pid, pid), &json!({ "name": process.program }))?;
            self.say("process_sort_index", (pid, pid), &json!({ "sort_index": FIRST_RANK + rank }))?;
            if !process.command.is_empty() || pid != process.pid {
                let labels = format!("pid {} {}", process.pid, process.command.join(" "));
                self.say("process_labels", (pid, pid), &json!({ "labels": labels.trim_end() }))?;
            }
        }
        Ok(())
    }

    fn threads(&mut self, definitions: &Definitions, tracks: &Tracks) -> io::Result<()> {
        for (thread, &place) in definitions.threads.iter().zip(&tracks.threads) {
            let process = definitions.process(thread.process);
            let program = process.map_or("?", |process| thread_name(&process.program));
            self.say("thread_name", place, &json!({ "name": program }))?;
            self.say("thread_sort_index", place, &json!({ "sort_index": 2 * u64::from(place.1) }))?;
        }
        let probes = definitions.threads.iter().zip(&tracks.threads).zip(&tracks.probes);
        for ((thread, &(pid, tid)), &track) in probes {
            let name = format!("probes of thread {}", thread.tid);
            self.say("thread_name", (pid, track), &json!({ "name": name }))?;
            let sort_index = 2 * u64::from(tid) + 1;
            self.say("thread_sort_index", (pid, track), &json!({ "sort_index": sort_index }))?;
        }
        Ok(())
    }

    pub(super) fn say(&mut self, kind: &str, (pid, tid): (u32, u32), args: &Value) -> io::Result<()> {
        let event = json!({ "ph": "M", "name": kind, "pid": pid, "tid": tid, "ts": 0, "args": args });
        push_json(self.text, &event);
        self.text.extend_from_slice(SEPARATOR);
        if self.text.len() >= WRITE_BYTES { write(self.text, self.out) } else { Ok(()) }
    }
}
