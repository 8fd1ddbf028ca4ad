//! A trace in the Common Trace Format 1.8 (<https://diamon.org/ctf/v1.8.3>), for babeltrace2 and Trace Compass: a folder with a file `metadata`,
//! which describes the rest, and a stream of packets for each processor.
//!
//! | in the trace | in CTF |
//! |---|---|
//! | event | an event of a class named as the log prints the probe; time in ns of the clock `monotonic` |
//! | processor | `cpu_id` of the packet; with several hosts also `host` |
//! | process, thread, program | `vpid`, `vtid`, `procname` of the event, named as LTTng names them |
//! | arguments | fields `seq` (the key) and `argN`; one that was unreadable is no field of that event |
//! | lost events | the counter `events_discarded`, from one packet to the next, in the time of the gap |
//! | wall time | the clock's offset, of the first clock anchor |
//! | boot | the clock's `uuid`, as LTTng has it: Trace Compass takes traces of one boot together |

mod class;
mod metadata;
mod packet;
mod stream;

use std::io;
use std::ops::Range;

use tracer_format::{Batch, Columns, Known, Trace};

use crate::select::{Outcome, Selection};
use crate::{Error, Result};

use class::{EventClasses, push_fields};
use metadata::push_head;
use stream::Streams;

/// Where the files of a trace go.
pub trait Folder {
    /// Adds bytes at the end of the file of this name, which begins empty.
    ///
    /// # Errors
    /// If they cannot be written.
    fn append(&mut self, file: &str, bytes: &[u8]) -> io::Result<()>;
}

/// Name of the file that describes the others.
const METADATA: &str = "metadata";
/// Bytes of metadata that are collected before they are written.
const METADATA_BYTES: usize = 1 << 18;

/// Whether a file of this name is one of those that [`export`] makes.
#[must_use]
pub fn is_file(name: &str) -> bool {
    name == METADATA || name.starts_with("cpu_") || name.starts_with("host_")
}

/// Writes the selected events of `trace` to `folder`.
///
/// # Errors
/// [`Error::Io`] if `folder` fails. Damage is no error: it is in the outcome.
pub fn export(trace: &Trace<'_>, selection: &Selection, folder: &mut impl Folder) -> Result<Outcome> {
    let mut outcome = Outcome::of(trace, selection);
    let mut writer = CtfWriter::new(trace, folder);
    trace.walk(
        |block| selection.wants(block),
        trace.threads(),
        |batch| -> Result<()> {
            match batch {
                Batch::Events { columns, rows } => {
                    selection.rows(trace, columns, rows, |rows| -> io::Result<()> {
                        outcome.events += rows.len() as u64;
                        writer.events(trace, columns, rows)
                    })?;
                }
                Batch::Gap(gap) if selection.wants_gap(&gap) => writer.streams.gap(&gap, writer.folder)?,
                Batch::Gap(_) => {}
                Batch::Damaged(range) => outcome.damage.push(range),
            }
            Ok::<(), Error>(())
        },
    )?;
    writer.finish()?;
    Ok(outcome)
}

/// A trace on its way.
struct CtfWriter<'f, F> {
    folder: &'f mut F,
    metadata: Vec<u8>,
    classes: EventClasses,
    streams: Streams,
    /// Those of an event.
    fields: Vec<u8>,
}

impl<'f, F: Folder> CtfWriter<'f, F> {
    fn new(trace: &Known, folder: &'f mut F) -> Self {
        let uuid = uuid(trace.trace_ids.first().copied().unwrap_or_default());
        let mut metadata = Vec::new();
        push_head(&mut metadata, trace, uuid);
        let definitions = &trace.definitions;
        let (classes, streams) = (EventClasses::new(definitions), Streams::new(definitions, uuid));
        Self { folder, metadata, classes, streams, fields: Vec::new() }
    }

    fn events(&mut self, trace: &Known, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        for row in rows {
            let event = columns.event(row);
            let Some(site) = trace.definitions.site(event.site) else { continue };
            self.fields.clear();
            let form = push_fields(site, &event, &mut self.fields);
            let form = form.of_nameless(self.streams.is_nameless(event.thread));
            let class = self.classes.id(site, event.site, form, &mut self.metadata);
            self.streams.event(&event, class, &self.fields, self.folder)?;
            if self.metadata.len() >= METADATA_BYTES {
                self.write_metadata()?;
            }
        }
        Ok(())
    }

    fn write_metadata(&mut self) -> io::Result<()> {
        self.folder.append(METADATA, &self.metadata)?;
        self.metadata.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.streams.seal_all(self.folder)?;
        self.write_metadata()
    }
}

/// A UUID that is the same for the same trace.
fn uuid(trace_id: u64) -> [u8; 16] {
    let mut uuid = (u128::from(trace_id) << 64 | u128::from(trace_id.rotate_left(32))).to_be_bytes();
    // Version 8: of bits that its maker chooses.
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}
