//! The writing thread's work: raw events become events of the trace, in time order, sealed in time.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracer_format::log::LogWriter;
use tracer_format::{ClockAnchor, Definition, Firing, Gap, Process, Thread, Writer};

use crate::drain::Batch;
use crate::loss::Loss;
use crate::merge::Merge;
use crate::plan::{Plan, Values};
use crate::process;
use crate::raw::Raw;
use crate::record::Notice;

/// What the writing thread tells the others while it works.
#[derive(Debug, Default)]
pub struct Totals {
    /// Events written or waiting to be.
    pub events: AtomicU64,
    /// Events lost.
    pub lost: AtomicU64,
    /// Bytes of the trace so far.
    pub bytes: AtomicU64,
}

impl Totals {
    /// What to tell the user.
    #[must_use]
    pub fn progress(&self) -> Notice<'static> {
        Notice::Progress {
            events: self.events.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// A site as the writing thread knows it.
#[derive(Debug, Clone)]
pub struct WrittenSite {
    /// How its values are made.
    pub plan: Plan,
    /// File name of its binary: the program of a process that was gone before anybody looked.
    pub program: String,
    /// Events written.
    pub recorded: u64,
    /// Events lost.
    pub lost: u64,
}

/// Turns batches into a trace.
pub struct TraceWriter<'a, W: Write> {
    /// The trace.
    pub writer: Writer<W>,
    /// All sites, by the index that their events carry, which is also their id in the trace.
    pub sites: Vec<WrittenSite>,
    flush: Duration,
    merge: Merge,
    processes: HashMap<u32, u32>,
    threads: HashMap<(u32, u32), u32>,
    last_thread: Option<(u32, u32, u32)>,
    log: Option<(LogWriter, Box<dyn Write + Send + 'a>)>,
    lines: Vec<u8>,
    values: Values,
    losses: Vec<Loss>,
    clock_ns: u64,
    totals: &'a Totals,
}

/// Clock anchors are written this often, ns.
const CLOCK_INTERVAL_NS: u64 = 10_000_000_000;

impl<'a, W: Write> TraceWriter<'a, W> {
    /// Goes on with a trace whose host and sites are defined; `print` gets the log.
    pub fn new(
        writer: Writer<W>,
        sites: Vec<WrittenSite>,
        flush: Duration,
        print: Option<Box<dyn Write + Send + 'a>>,
        totals: &'a Totals,
    ) -> Self {
        Self {
            writer,
            sites,
            flush,
            merge: Merge::default(),
            processes: HashMap::new(),
            threads: HashMap::new(),
            last_thread: None,
            log: print.map(|sink| (LogWriter::new(), sink)),
            lines: Vec::new(),
            values: Values::default(),
            losses: Vec::new(),
            clock_ns: 0,
            totals,
        }
    }

    /// Writes what must stand before the first event: the log's header, the first clock anchor.
    ///
    /// # Errors
    /// When the trace or the log cannot be written.
    pub fn begin(&mut self, anchor: ClockAnchor) -> tracer_format::Result<()> {
        if let Some((log, _)) = &mut self.log {
            log.header(self.writer.definitions(), &mut self.lines);
        }
        self.clock(anchor)?;
        self.seal()
    }

    /// Adds a clock anchor.
    ///
    /// # Errors
    /// When the trace cannot be written.
    pub fn clock(&mut self, anchor: ClockAnchor) -> tracer_format::Result<()> {
        self.clock_ns = anchor.monotonic_ns;
        self.writer.clock(anchor)
    }

    /// Takes a batch; seals what has waited for half the flush interval at `now_ns`.
    ///
    /// # Errors
    /// When the trace or the log cannot be written.
    pub fn take(&mut self, batch: &Batch, now_ns: u64) -> tracer_format::Result<()> {
        self.merge.push(batch);
        self.losses.extend_from_slice(&batch.losses);
        self.release(batch.complete_ns)?;
        if now_ns.saturating_sub(self.clock_ns) > CLOCK_INTERVAL_NS {
            self.clock(crate::host::clocks())?;
        }
        // Draining and handing over take up to the other half.
        let waiting_ns = u64::try_from(self.flush.as_nanos()).unwrap_or(u64::MAX) / 2;
        let oldest = self.writer.oldest_ns();
        if oldest.is_some_and(|oldest| now_ns.saturating_sub(oldest) >= waiting_ns) {
            self.seal()?;
        }
        Ok(())
    }

    /// Releases what waits, and seals it.
    ///
    /// # Errors
    /// When the trace or the log cannot be written.
    pub fn end(&mut self, anchor: ClockAnchor) -> tracer_format::Result<()> {
        self.release(u64::MAX)?;
        self.clock(anchor)?;
        self.seal()?;
        if let Some((log, sink)) = &mut self.log {
            log.finish(self.writer.definitions(), &mut self.lines);
            print(sink, &mut self.lines)?;
        }
        Ok(())
    }

    /// Raw events that contradicted themselves: 0 unless the kernel is broken.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.merge.malformed
    }

    fn release(&mut self, until_ns: u64) -> tracer_format::Result<()> {
        let mut gaps: Vec<Gap> = Vec::new();
        self.losses.retain(|loss| {
            let due = loss.last_ns <= until_ns;
            if due {
                gaps.push(gap(loss));
            }
            !due
        });
        gaps.sort_by_key(|gap| (gap.to_ns, gap.from_ns, gap.cpu, gap.site));
        for gap in gaps {
            if let Some(site) = self.sites.get_mut(gap.site as usize) {
                site.lost += gap.count;
            }
            self.totals.lost.fetch_add(gap.count, Ordering::Relaxed);
            if let Some((log, _)) = &mut self.log {
                log.gap(&gap);
            }
            self.writer.gap(gap)?;
        }
        let mut merge = std::mem::take(&mut self.merge);
        let mut result = Ok(());
        let mut events = 0;
        merge.release(until_ns, |raw| {
            if result.is_ok() {
                result = self.event(&raw);
                events += 1;
            }
        });
        self.merge = merge;
        self.totals.events.fetch_add(events, Ordering::Relaxed);
        result
    }

    fn event(&mut self, raw: &Raw<'_>) -> tracer_format::Result<()> {
        let thread = self.thread(raw)?;
        let Some(site) = self.sites.get_mut(raw.site as usize) else { return Ok(()) };
        site.recorded += 1;
        site.plan.values(raw, &mut self.values, |text| self.writer.intern(text));
        let Values { values, unreadable, .. } = &self.values;
        let firing = Firing {
            time_ns: raw.time_ns,
            thread,
            site: raw.site,
            cpu: raw.cpu,
            unreadable: *unreadable,
            values,
        };
        self.writer.push_unsealed(&firing)?;
        if self.writer.is_full() { self.seal() } else { Ok(()) }
    }

    /// Prints and seals what waits.
    fn seal(&mut self) -> tracer_format::Result<()> {
        if let Some((log, sink)) = &mut self.log {
            let (columns, definitions) = self.writer.pending();
            log.events(definitions, columns, 0..columns.len(), &mut self.lines);
            print(sink, &mut self.lines)?;
        }
        self.writer.flush()?;
        self.totals.bytes.store(self.writer.written_bytes(), Ordering::Relaxed);
        Ok(())
    }

    /// Id of the thread that fired.
    fn thread(&mut self, raw: &Raw<'_>) -> tracer_format::Result<u32> {
        if let Some((pid, tid, id)) = self.last_thread
            && (pid, tid) == (raw.pid, raw.tid)
        {
            return Ok(id);
        }
        let id = match self.threads.get(&(raw.pid, raw.tid)) {
            Some(&id) => id,
            None => {
                let process = self.process(raw)?;
                let id = self.writer.define(Definition::Thread(Thread { process, tid: raw.tid }))?;
                self.threads.insert((raw.pid, raw.tid), id);
                id
            }
        };
        self.last_thread = Some((raw.pid, raw.tid, id));
        Ok(id)
    }

    /// Id of the process that fired.
    fn process(&mut self, raw: &Raw<'_>) -> tracer_format::Result<u32> {
        if let Some(&id) = self.processes.get(&raw.pid) {
            return Ok(id);
        }
        let process = process::read(raw.pid).unwrap_or_else(|| {
            let program = self.sites.get(raw.site as usize).map_or("", |site| &site.program);
            Process { pid: raw.pid, program: program.to_owned(), ..Process::default() }
        });
        let id = self.writer.define(Definition::Process(process))?;
        self.processes.insert(raw.pid, id);
        Ok(id)
    }
}

fn gap(loss: &Loss) -> Gap {
    Gap {
        host: 0,
        cpu: loss.cpu,
        site: loss.site,
        from_ns: loss.first_ns,
        to_ns: loss.last_ns,
        count: loss.count,
    }
}

/// Prints lines and forgets them. A reader that has gone away is no error: the recording goes on.
fn print(sink: &mut impl Write, lines: &mut Vec<u8>) -> io::Result<()> {
    let printed = sink.write_all(lines).and_then(|()| sink.flush());
    lines.clear();
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
