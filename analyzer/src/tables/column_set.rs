//! Columns of a Parquet file, encoded on several threads: each has some of the columns, for the whole file.
//!
//! What goes to a thread and what comes from it is owned, through queues that are bounded. The bytes are those that one thread
//! makes: a column needs to know nothing of the others.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use ::parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use ::parquet::errors::{ParquetError, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

/// Batches that may wait for a thread.
const QUEUE: usize = 4;

/// Columns that are encoded on one thread.
pub(super) enum ColumnSet {
    /// On this one.
    Here(Encoding),
    /// On another one.
    There { queue: SyncSender<Task>, done: Receiver<Result<Encoded>> },
}

/// The chunks of some columns of a row group, each with its position.
type Encoded = Vec<(usize, ArrowColumnChunk)>;

/// What a thread is to do.
pub(super) enum Task {
    /// Begin a row group with these columns.
    Begin(Vec<(usize, ArrowColumnWriter)>),
    /// Encode these rows.
    Write(RecordBatch),
    /// End the row group, and hand its chunks back.
    End,
}

/// Columns of a row group.
pub(super) struct Encoding {
    schema: SchemaRef,
    columns: Vec<(usize, ArrowColumnWriter)>,
    failure: Option<ParquetError>,
}

impl ColumnSet {
    pub(super) fn here(schema: SchemaRef) -> Self {
        Self::Here(Encoding { schema, columns: Vec::new(), failure: None })
    }

    /// The thread ends when this is dropped.
    pub(super) fn there(schema: SchemaRef) -> Self {
        let (queue, tasks) = sync_channel(QUEUE);
        let (hand_back, done) = sync_channel(1);
        thread::spawn(move || {
            let mut encoding = Encoding { schema, columns: Vec::new(), failure: None };
            for task in tasks {
                if let Some(encoded) = encoding.work(task)
                    && hand_back.send(encoded).is_err()
                {
                    return;
                }
            }
        });
        Self::There { queue, done }
    }

    /// Gives a task. What fails is told by [`encoded`](Self::encoded).
    pub(super) fn give(&mut self, task: Task) {
        match self {
            Self::Here(encoding) => {
                encoding.work(task);
            }
            // A thread that panicked takes nothing.
            Self::There { queue, .. } => drop(queue.send(task)),
        }
    }

    /// Ends the row group. Threads work on while the chunks of others are waited for, so all are told before.
    pub(super) fn end(&mut self) {
        if let Self::There { queue, .. } = self {
            let _ = queue.send(Task::End);
        }
    }

    /// The chunks of the row group that was ended.
    pub(super) fn encoded(&mut self) -> Result<Encoded> {
        match self {
            Self::Here(encoding) => encoding.work(Task::End).unwrap_or_else(|| Ok(Vec::new())),
            Self::There { done, .. } => done.recv().unwrap_or_else(|_| {
                Err(ParquetError::General("a thread that encodes columns has ended".to_owned()))
            }),
        }
    }
}

impl Encoding {
    fn work(&mut self, task: Task) -> Option<Result<Encoded>> {
        match task {
            Task::Begin(columns) => self.columns = columns,
            Task::Write(batch) => {
                if self.failure.is_none() {
                    self.failure = self.write(&batch).err();
                }
            }
            Task::End => return Some(self.end()),
        }
        None
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for (position, column) in &mut self.columns {
            for leaf in compute_leaves(self.schema.field(*position), batch.column(*position))? {
                column.write(&leaf)?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Encoded> {
        let columns = std::mem::take(&mut self.columns).into_iter();
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => columns.map(|(position, column)| Ok((position, column.close()?))).collect(),
        }
    }
}
