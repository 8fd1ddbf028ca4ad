//! A pass on several threads: one pairs what others decode, ahead of those that hand on to the sinks.

use std::io;
use std::mem;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use tracer_format::{Maker, Steps};

use super::{MadeSink, Pass, PassEnd, PassPairer};
use crate::pair::{Found, HandOffRow, Point, Sink, Span, SpanRow, UsualOrder};

/// Pieces that go to the sink together: to wake a thread takes as long as to look at one.
const TOGETHER: usize = 8;
/// So many times that may wait.
const QUEUE: usize = 4;

/// A piece on its way to the sink: steps, and its position among them.
type Piece<T> = (Arc<Steps<T>>, usize);

/// What was paired: a piece that is new, and what was found with it since.
struct Paired<T> {
    piece: Option<Piece<T>>,
    found: Found,
}

/// What was looked at, to be used again.
struct Used<T> {
    steps: Option<Steps<T>>,
    found: Found,
}

impl Pass<'_, '_> {
    /// As [`run`](Pass::run), with events decoded on `threads` threads and paired on another one.
    pub(super) fn run_ahead<M: Maker, S: MadeSink<M::Made>>(
        self,
        threads: usize,
        maker: impl Fn() -> M + Sync,
        sink: &mut S,
    ) -> io::Result<PassEnd> {
        thread::scope(|scope| {
            let (queue, all) = sync_channel(QUEUE);
            let (back, used) = channel();
            let (maker, usual) = (&maker, sink.takes_usual_keys());
            let pairing =
                scope.spawn(move || self.pair_ahead((threads, usual), maker, Way::new(queue, used)));
            let looked = all.iter().flatten().try_for_each(|paired| self.show(Arc::new(paired), sink, &back));
            // If the sink failed, the other threads are told by the end of the queue.
            drop(all);
            let paired = pairing.join().unwrap_or_else(|panic| resume_unwind(panic));
            looked.and(paired)
        })
    }

    /// As [`run_both`](Pass::run_both), likewise.
    pub(super) fn run_both_ahead(
        self,
        threads: usize,
        there: &mut (impl Sink + Send),
        here: &mut impl Sink,
    ) -> io::Result<PassEnd> {
        thread::scope(|scope| {
            let (queue, all) = sync_channel(QUEUE);
            let (other, of_other) = sync_channel(QUEUE);
            let (back, used) = channel();
            let usual = there.takes_usual_keys() && here.takes_usual_keys();
            let pairing =
                scope.spawn(move || self.pair_ahead((threads, usual), || (), Way::new(queue, used)));
            let other_back = back.clone();
            let beside = scope.spawn(move || {
                let mut all = of_other.iter().flatten();
                all.try_for_each(|paired: Arc<Paired<()>>| self.show(paired, there, &other_back))
            });
            let looked = all.iter().try_for_each(|paired| {
                let paired: Vec<_> = paired.into_iter().map(Arc::new).collect();
                other.send(paired.clone()).map_err(|_| unwanted())?;
                paired.into_iter().try_for_each(|paired| self.show(paired, here, &back))
            });
            // Whoever failed: the other threads are told by the end of their queues.
            drop((all, other));
            let beside = beside.join().unwrap_or_else(|panic| resume_unwind(panic));
            let paired = pairing.join().unwrap_or_else(|panic| resume_unwind(panic));
            beside.and(looked).and(paired)
        })
    }

    /// Hands on to `sink`; whichever thread lets go of it last sends it back, to be used again.
    fn show<T: Default, S: MadeSink<T>>(
        self,
        paired: Arc<Paired<T>>,
        sink: &mut S,
        back: &Sender<Used<T>>,
    ) -> io::Result<()> {
        if let Some((steps, piece)) = &paired.piece {
            let (batch, made) = steps.piece(*piece);
            self.look(&batch, made, sink)?;
        }
        sink.found(&paired.found)?;
        if let Some(Paired { piece, mut found }) = Arc::into_inner(paired) {
            found.clear();
            let steps = piece.and_then(|(steps, _)| Arc::into_inner(steps));
            let _ = back.send(Used { steps, found });
        }
        Ok(())
    }

    fn pair_ahead<M: Maker>(
        self,
        (threads, usual): (usize, bool),
        maker: impl Fn() -> M + Sync,
        mut way: Way<M::Made>,
    ) -> io::Result<PassEnd> {
        let mut pairing = PassPairer::new(self, usual);
        let wanted = |block: &_| self.selection.wants(block);
        self.trace.walk_steps(wanted, threads, maker, |steps: &mut Steps<M::Made>| {
            let shared = Arc::new(mem::take(steps));
            for piece in 0..shared.len() {
                way.piece = Some((Arc::clone(&shared), piece));
                pairing.pair(&shared.piece(piece).0, &mut way)?;
                way.send()?;
            }
            *steps = way.spare_steps(shared);
            Ok::<(), io::Error>(())
        })?;
        pairing.passed.pairer.finish(&mut way)?;
        way.send()?;
        way.hand_on()?;
        Ok(pairing.passed)
    }
}

/// The way to the thread that looks at what was found.
struct Way<T> {
    queue: SyncSender<Vec<Paired<T>>>,
    /// What goes next.
    ready: Vec<Paired<T>>,
    used: Receiver<Used<T>>,
    /// What was used, and is used again.
    steps: Vec<Steps<T>>,
    spares: Vec<Found>,
    piece: Option<Piece<T>>,
    found: Found,
}

impl<T: Default> Way<T> {
    fn new(queue: SyncSender<Vec<Paired<T>>>, used: Receiver<Used<T>>) -> Self {
        let (steps, spares) = (Vec::new(), Vec::new());
        Self { queue, ready: Vec::new(), used, steps, spares, piece: None, found: Found::default() }
    }

    /// Sends what is ready.
    fn hand_on(&mut self) -> io::Result<()> {
        let ready = mem::replace(&mut self.ready, Vec::with_capacity(TOGETHER));
        self.queue.send(ready).map_err(|_| unwanted())
    }

    /// Makes the piece ready, if that was not done, and what was found; sends it with others.
    fn send(&mut self) -> io::Result<()> {
        for Used { steps, found } in self.used.try_iter() {
            self.steps.extend(steps);
            self.spares.push(found);
        }
        let found = mem::replace(&mut self.found, self.spares.pop().unwrap_or_default());
        self.ready.push(Paired { piece: self.piece.take(), found });
        if self.ready.len() < TOGETHER { Ok(()) } else { self.hand_on() }
    }

    /// Steps that were looked at: those that were sent last, if that is done already.
    fn spare_steps(&mut self, sent: Arc<Steps<T>>) -> Steps<T> {
        Arc::into_inner(sent).or_else(|| self.steps.pop()).unwrap_or_default()
    }

    fn send_if_full(&mut self) -> io::Result<()> {
        if self.found.is_full() { self.send() } else { Ok(()) }
    }
}

/// Nobody takes what was found: a sink has failed, and says why.
fn unwanted() -> io::Error {
    io::Error::other("nothing more is wanted")
}

impl<T: Default> Sink for Way<T> {
    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        self.send_if_full()?;
        self.found.begun(stage, begin)
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.span_row(SpanRow::new(span), span.key.words())
    }

    #[inline(always)]
    fn span_row(&mut self, row: SpanRow, key: &[i64]) -> io::Result<()> {
        self.send_if_full()?;
        self.found.span_row(row, key)
    }

    #[inline(always)]
    fn hand_off_row(&mut self, row: HandOffRow, key: &[i64]) -> io::Result<()> {
        self.found.hand_off_row(row, key)
    }

    #[inline(always)]
    fn usual_key(
        &mut self,
        order: &Arc<UsualOrder>,
        key: (&[i64], u32),
        moments: impl Iterator<Item = Point>,
    ) -> io::Result<()> {
        self.send_if_full()?;
        self.found.usual_key(order, key, moments)
    }
}
