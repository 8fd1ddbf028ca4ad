//! Walks a trace on several threads: each decodes shares of it ahead of the reader, which gets all in the order of a walk
//! on one thread.
//!
//! Thread `t` of `n` does the shares `t`, `t + n`, `t + 2n` and so on, and hands on what it makes through a queue of its own,
//! which is bounded: memory does not grow with the trace. What was read goes back to be used again.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::block_ref::BlockRef;
use super::ordered::{Batch, Batches};
use super::share::{Plan, Share};
use super::steps::{Decoding, Maker, Steps};
use super::trace::Trace;
use crate::limits::MAX_BLOCK_EVENTS;

/// Events of a share at least: as many as a large block has.
const SHARE_EVENTS: u64 = MAX_BLOCK_EVENTS as u64;
/// A trace with less events is not worth a thread.
const SMALL_EVENTS: u64 = 4 * SHARE_EVENTS;
/// More threads than these wait for the reader.
const MAX_THREADS: usize = 8;

/// What a thread makes of its shares.
pub trait Worker {
    /// What it hands to the reader; memory goes to and fro in it.
    type Output: Default + Send;
    /// Outputs that may wait for the reader: about those of one share, or the threads wait for each other.
    const QUEUE: usize;

    /// Walks a share to its end, or until `out` takes nothing any more.
    fn share(&mut self, share: &Share, batches: &mut Batches<'_, '_>, out: &mut Outbox<'_, Self::Output>);
}

/// Where a [`Worker`] puts what it makes.
pub struct Outbox<'o, T>(Way<'o, T>);

enum Way<'o, T> {
    /// The reader is on the same thread.
    Here { spare: T, each: &'o mut dyn FnMut(&mut T) -> bool },
    /// It is on another one. `None` ends a share.
    There { queue: SyncSender<Option<T>>, used: Receiver<T> },
}

/// The reader's ends of a thread's queues: outputs, and the way back of those that were read.
type Lane<T> = (Receiver<Option<T>>, Sender<T>);

impl<T: Default> Outbox<'_, T> {
    /// An output that was read, to be cleared and used again; or a new one.
    pub fn spare(&mut self) -> T {
        match &mut self.0 {
            Way::Here { spare, .. } => std::mem::take(spare),
            Way::There { used, .. } => used.try_recv().unwrap_or_default(),
        }
    }

    /// Hands on an output; `false` if nothing more is wanted.
    #[must_use]
    pub fn send(&mut self, mut output: T) -> bool {
        match &mut self.0 {
            Way::Here { spare, each } => {
                let goes_on = each(&mut output);
                *spare = output;
                goes_on
            }
            Way::There { queue, .. } => queue.send(Some(output)).is_ok(),
        }
    }
}

impl Trace<'_> {
    /// Threads that a walk is worth: one for a small trace.
    #[must_use]
    pub fn threads(&self) -> usize {
        if let Some((threads, _)) = self.walking {
            return threads;
        }
        if self.events() < SMALL_EVENTS {
            return 1;
        }
        thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS)
    }

    /// The same trace, whose walks are worth `threads` threads, each for shares of so many events or more: to see that these
    /// numbers change nothing but the time.
    #[must_use]
    pub fn walked_on(mut self, threads: usize, share_events: u64) -> Self {
        self.walking = Some((threads, share_events));
        self
    }

    /// Walks the events of the blocks that `wanted` picks, in time order, on `threads` threads besides this one; on this one if
    /// that is 1. `each` gets the batches that [`batches_where`](Self::batches_where) gives.
    ///
    /// # Errors
    /// The first error of `each`.
    pub fn walk<E>(
        &self,
        wanted: impl Fn(&BlockRef) -> bool,
        threads: usize,
        mut each: impl FnMut(Batch<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if threads <= 1 {
            let mut batches = self.batches_where(wanted);
            while let Some(batch) = batches.next() {
                each(batch)?;
            }
            return Ok(());
        }
        self.walk_steps(wanted, threads, || (), |steps: &mut Steps| steps.batches().try_for_each(&mut each))
    }

    /// As [`walk`](Self::walk) on other threads, with what the [`Maker`]s that `maker` makes make of the events there; `each` may
    /// take the steps, and leave others to be used again.
    ///
    /// # Errors
    /// The first error of `each`.
    pub fn walk_steps<M: Maker, E>(
        &self,
        wanted: impl Fn(&BlockRef) -> bool,
        threads: usize,
        maker: impl Fn() -> M + Sync,
        each: impl FnMut(&mut Steps<M::Made>) -> Result<(), E>,
    ) -> Result<(), E> {
        let worker = || Decoding::new(&self.definitions, maker());
        self.walk_with(wanted, threads, worker, each)
    }

    /// As [`walk`](Self::walk), with more of the work on the threads: `each` gets what the workers make, in the order of
    /// the shares. With one thread there is one share.
    ///
    /// # Errors
    /// The first error of `each`.
    pub fn walk_with<W: Worker, E>(
        &self,
        wanted: impl Fn(&BlockRef) -> bool,
        threads: usize,
        worker: impl Fn() -> W + Sync,
        each: impl FnMut(&mut W::Output) -> Result<(), E>,
    ) -> Result<(), E> {
        let plan = Plan::whole(self, wanted);
        if threads <= 1 {
            return self.walk_here(plan, worker(), each);
        }
        let share_events = self.walking.map_or(SHARE_EVENTS, |(_, share_events)| share_events);
        self.walk_there(plan.cut(share_events), threads, worker, each)
    }

    fn walk_there<W: Worker, E>(
        &self,
        plan: Plan,
        threads: usize,
        worker: impl Fn() -> W + Sync,
        mut each: impl FnMut(&mut W::Output) -> Result<(), E>,
    ) -> Result<(), E> {
        let plan = Arc::new(plan);
        let threads = threads.min(plan.shares.len());
        thread::scope(|scope| {
            let lane = |first: usize| {
                let (queue, outputs) = sync_channel(W::QUEUE);
                let (back, used) = channel();
                let (plan, worker) = (Arc::clone(&plan), &worker);
                scope.spawn(move || {
                    let mut worker = worker();
                    let mut batches = Batches::new(self, Arc::clone(&plan));
                    let mut out = Outbox(Way::There { queue: queue.clone(), used });
                    for share in plan.shares.iter().skip(first).step_by(threads) {
                        batches.begin(share);
                        worker.share(share, &mut batches, &mut out);
                        if queue.send(None).is_err() {
                            return;
                        }
                    }
                });
                (outputs, back)
            };
            let lanes: Vec<Lane<W::Output>> = (0..threads).map(lane).collect();
            for (outputs, back) in lanes.iter().cycle().take(plan.shares.len()) {
                // A thread that panicked sends nothing any more; the scope passes that on.
                while let Ok(Some(mut output)) = outputs.recv() {
                    each(&mut output)?;
                    let _ = back.send(output);
                }
            }
            Ok(())
        })
    }

    fn walk_here<W: Worker, E>(
        &self,
        plan: Plan,
        mut worker: W,
        mut each: impl FnMut(&mut W::Output) -> Result<(), E>,
    ) -> Result<(), E> {
        let share = plan.shares[0].clone();
        let mut batches = Batches::new(self, Arc::new(plan));
        batches.begin(&share);
        let mut result = Ok(());
        let mut each = |output: &mut W::Output| {
            result = each(output);
            result.is_ok()
        };
        let spare = W::Output::default();
        worker.share(&share, &mut batches, &mut Outbox(Way::Here { spare, each: &mut each }));
        result
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        ArgKind, Damage, Definition, Firing, Gap, Process, Site, SiteId, Thread, ThreadId, Writer,
        WriterOptions,
    };

    /// What a walk gave: an event with its string, a gap, or damage.
    #[derive(Debug, Clone, PartialEq)]
    enum Met {
        Event(u64, u16, u32, Vec<u8>),
        Gap(u64),
        Damaged(u64, Damage),
    }

    fn met(batch: Batch<'_>, all: &mut Vec<Met>) {
        match batch {
            Batch::Events { columns, rows } => all.extend(rows.map(|row| {
                let text = columns.row_values(row).get(1).and_then(|&value| columns.string(value));
                let text = text.unwrap_or_default().to_vec();
                Met::Event(columns.time_ns[row], columns.cpu[row], columns.site[row].0, text)
            })),
            Batch::Gap(gap) => all.push(Met::Gap(gap.count)),
            Batch::Damaged(range) => all.push(Met::Damaged(range.offset, range.damage)),
        }
    }

    /// A part with events at `times`, flushed every so many; after a flush a gap, where there is one.
    fn part(times: &[u64], flush: usize, gaps: &[(u64, u64)]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("a Vec takes all");
        writer.define(Definition::Process(Process::default().into())).expect("defined");
        writer.define(Definition::Thread(Thread::default())).expect("defined");
        for args in [vec![ArgKind::Signed(8)], vec![ArgKind::Signed(8), ArgKind::Str]] {
            let site = Site { probe: "p".into(), args: args.into(), ..Site::default() };
            writer.define(Definition::Site(site.into())).expect("defined");
        }
        let mut gaps = gaps.iter();
        for (count, &time_ns) in (1..).zip(times) {
            let text = writer.intern(format!("text {time_ns}").as_bytes());
            let site = u32::from(time_ns % 3 == 0);
            let (cpu, values) = ((time_ns % 2) as u16, &[time_ns, text][..1 + site as usize]);
            writer
                .push(&Firing {
                    time_ns,
                    thread: ThreadId(0),
                    site: SiteId(site),
                    cpu,
                    unreadable: 0,
                    values,
                })
                .expect("pushed");
            if count % flush == 0 {
                if let Some(&(to_ns, len_ns)) = gaps.next() {
                    let from_ns = to_ns.saturating_sub(len_ns);
                    writer.gap(Gap { from_ns, to_ns, count: count as u64, ..Gap::default() }).expect("taken");
                }
                writer.flush().expect("written");
            }
        }
        writer.finish().expect("finished")
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Parts that overlap in time, with gaps anywhere and blocks that are damaged: all threads together give what one
        /// gives.
        #[test]
        fn any_number_of_threads_meets_the_same(
            parts in proptest::collection::vec(
                (0..300_u64, proptest::collection::vec(0..40_u64, 1..60), 1..9_usize,
                 proptest::collection::vec((0..900_u64, 0..50_u64), 0..6)),
                1..4,
            ),
            flips in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
            share_events in 1..40_u64,
            threads in 2..5_usize,
        ) {
            let mut bytes = Vec::new();
            for (start_ns, steps, flush, gaps) in parts {
                let mut time_ns = start_ns;
                let times: Vec<u64> = steps.iter().map(|step| { time_ns += step / 4; time_ns }).collect();
                bytes.extend(part(&times, flush, &gaps));
            }
            let sound = Trace::open(&bytes).expect("a trace");
            // Contents of events blocks, so that the index still lists them.
            let offsets: Vec<usize> =
                sound.blocks.iter().map(|block| usize::try_from(block.offset).expect("small")).collect();
            for flip in flips {
                let at = offsets[flip.index(offsets.len())] + crate::block::BLOCK_HEADER_BYTES;
                bytes[at] ^= 0x55;
            }
            let trace = Trace::open(&bytes).expect("a trace");
            let (mut here, mut there) = (Vec::new(), Vec::new());
            let Ok(()) = trace.walk(|_| true, 1, |batch| { met(batch, &mut here); Ok::<(), Infallible>(()) });
            let plan = Plan::whole(&trace, |_| true).cut(share_events);
            let worker = || Decoding::new(&trace.definitions, ());
            let Ok(()) = trace.walk_there(plan, threads, worker, |steps: &mut Steps| {
                (0..steps.len()).for_each(|piece| met(steps.piece(piece).0, &mut there));
                Ok::<(), Infallible>(())
            });
            // A gap and a damaged block that have no event between them may change places.
            let without = |all: &[Met], gap: bool| -> Vec<Met> {
                all.iter().filter(|met| matches!(met, Met::Event(..)) || matches!(met, Met::Gap(_)) != gap).cloned().collect()
            };
            prop_assert_eq!(without(&here, true), without(&there, true));
            prop_assert_eq!(without(&here, false), without(&there, false));
        }
    }

    #[test]
    fn an_error_of_the_reader_ends_all_threads() {
        let bytes = part(&(0..100_000).collect::<Vec<u64>>(), 10, &[]);
        let trace = Trace::open(&bytes).expect("a trace");
        let plan = Plan::whole(&trace, |_| true).cut(1);
        let worker = || Decoding::new(&trace.definitions, ());
        let mut outputs = 0;
        let result = trace.walk_there(plan, 3, worker, |_: &mut Steps| {
            outputs += 1;
            if outputs == 5 { Err("enough") } else { Ok(()) }
        });
        assert_eq!((result, outputs), (Err("enough"), 5));
    }
}
