//! A pass over the selected events of a trace: what is paired goes to a sink, in the order of the trace.
//!
//! On one thread, or on several: some decode, one pairs, and this one hands on to the sink; of two sinks, one has a thread of its
//! own. What goes from one to the next goes through queues that are bounded, so memory does not grow with the trace; nobody
//! changes what two look at.

mod ahead;

use std::io;
use std::sync::Arc;

use tracer_format::{Batch, DamagedRange, Maker, Trace, pieces};

use crate::Result;
use crate::pair::{Found, HandOffRow, Pairer, Point, Sink, Span, SpanRow, UsualOrder};
use crate::select::{LossTimes, Outcome, Selection, time_of_damage};
use crate::stage::Stage;

/// Threads that decode; more are quicker than the pairing on one.
const MAX_THREADS: usize = 2;

/// What is looked at, and for what.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'p, 'a> {
    pub(crate) trace: &'p Trace<'a>,
    pub(crate) selection: &'p Selection,
    pub(crate) stages: &'p [Stage],
}

/// What is known at the end of a pass, beside what the sink was told.
#[derive(Debug)]
pub(crate) struct PassEnd {
    pub(crate) pairer: Pairer,
    /// Blocks that could not be used.
    pub(crate) damage: Vec<DamagedRange>,
}

/// A sink that also takes what was made of the events on the threads that decode them.
pub(crate) trait MadeSink<T>: Sink {
    /// Takes what was made of the events that come next.
    fn made(&mut self, made: &T) -> io::Result<()>;
}

/// Nothing is made.
impl<S: Sink> MadeSink<()> for S {
    fn made(&mut self, (): &()) -> io::Result<()> {
        Ok(())
    }
}

impl<'p> Pass<'p, '_> {
    /// Looks at all events once, in pieces: hands on to `sink` the events of a piece, what the makers that `maker` makes
    /// make of it, and what pairing finds with it.
    pub(crate) fn run<M: Maker, S: MadeSink<M::Made>>(
        self,
        maker: impl Fn() -> M + Sync,
        sink: &mut S,
    ) -> Result<PassEnd> {
        let threads = self.trace.threads().min(MAX_THREADS);
        if threads > 1 {
            return Ok(self.run_ahead(threads, maker, sink)?);
        }
        Ok(self.run_here(maker, sink)?)
    }

    /// The same for two sinks: `there` gets all on another thread, if there are several.
    pub(crate) fn run_both(self, there: &mut (impl Sink + Send), here: &mut impl Sink) -> Result<PassEnd> {
        let threads = self.trace.threads().min(MAX_THREADS);
        Ok(match threads {
            0 | 1 => self.run_here(|| (), &mut (there, here))?,
            _ => self.run_both_ahead(threads, there, here)?,
        })
    }

    fn run_here<M: Maker, S: MadeSink<M::Made>>(
        self,
        maker: impl Fn() -> M,
        sink: &mut S,
    ) -> io::Result<PassEnd> {
        let mut pairing = PassPairer::new(self, sink.takes_usual_keys());
        let (mut maker, mut made) = (maker(), M::Made::default());
        let mut batched = Batched { found: Found::default(), sink };
        let mut batches = self.trace.batches_where(|block| self.selection.wants(block));
        while let Some(batch) = batches.next() {
            match batch {
                Batch::Events { columns, rows } => {
                    for rows in pieces(rows) {
                        maker.make(columns, rows.clone(), &mut made);
                        self.look(&Batch::Events { columns, rows: rows.clone() }, &made, batched.sink)?;
                        pairing.pair(&Batch::Events { columns, rows }, &mut batched)?;
                        batched.hand_on()?;
                    }
                }
                batch => {
                    self.look(&batch, &made, batched.sink)?;
                    pairing.pair(&batch, &mut batched)?;
                }
            }
        }
        pairing.passed.pairer.finish(&mut batched)?;
        batched.hand_on()?;
        Ok(pairing.passed)
    }

    /// Hands a piece on to `sink`, and what was made of it.
    fn look<T>(self, piece: &Batch<'_>, made: &T, sink: &mut impl MadeSink<T>) -> io::Result<()> {
        match piece {
            Batch::Events { columns, rows } => {
                sink.made(made)?;
                self.selection.rows(self.trace, columns, rows.clone(), |rows| sink.events(columns, rows))
            }
            Batch::Gap(gap) if self.selection.wants_gap(gap) => sink.gap(gap),
            Batch::Gap(_) | Batch::Damaged(_) => Ok(()),
        }
    }
}

impl PassEnd {
    /// What the pass over `trace` met, with so many events.
    pub(crate) fn outcome(&self, trace: &Trace<'_>, selection: &Selection, events: u64) -> Outcome {
        let mut outcome = Outcome::of(trace, selection);
        outcome.events = events;
        outcome.damage.extend(&self.damage);
        outcome
    }
}

/// Keeps what is found, to hand it on many at a time: what each does with it stays in the processor's cache meanwhile.
struct Batched<'s, S> {
    found: Found,
    sink: &'s mut S,
}

impl<S: Sink> Batched<'_, S> {
    fn hand_on(&mut self) -> io::Result<()> {
        self.sink.found(&self.found)?;
        self.found.clear();
        Ok(())
    }

    fn hand_on_if_full(&mut self) -> io::Result<()> {
        if self.found.is_full() { self.hand_on() } else { Ok(()) }
    }
}

impl<S: Sink> Sink for Batched<'_, S> {
    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        self.hand_on_if_full()?;
        self.found.begun(stage, begin)
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.span_row(SpanRow::new(span), span.key.words())
    }

    #[inline(always)]
    fn span_row(&mut self, row: SpanRow, key: &[i64]) -> io::Result<()> {
        self.hand_on_if_full()?;
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
        self.hand_on_if_full()?;
        self.found.usual_key(order, key, moments)
    }
}

/// Pairs the pieces of a pass.
struct PassPairer<'p, 'a> {
    pass: Pass<'p, 'a>,
    passed: PassEnd,
}

impl<'p, 'a> PassPairer<'p, 'a> {
    /// With `usual`, the sinks get keys that did all that is usual at once.
    fn new(pass: Pass<'p, 'a>, usual: bool) -> Self {
        let mut pairer = Pairer::new(pass.stages);
        pairer.tell_usual_keys(usual);
        pairer.define(&pass.trace.definitions);
        pairer.expect_loss(LossTimes::new(pass.trace, pass.selection));
        Self { pass, passed: PassEnd { pairer, damage: Vec::new() } }
    }

    /// Pairs the events of a piece.
    fn pair(&mut self, piece: &Batch<'_>, sink: &mut impl Sink) -> io::Result<()> {
        let Pass { trace, selection, .. } = self.pass;
        let PassEnd { pairer, damage } = &mut self.passed;
        match piece {
            Batch::Events { columns, rows } => {
                return selection
                    .rows(trace, columns, rows.clone(), |rows| pairer.events(columns, rows, sink));
            }
            Batch::Gap(gap) if selection.wants_gap(gap) => pairer.lost(gap.from_ns, gap.to_ns),
            Batch::Gap(_) => {}
            Batch::Damaged(range) => {
                let (from_ns, to_ns) = time_of_damage(range, trace);
                pairer.lost(from_ns, to_ns);
                damage.push(*range);
            }
        }
        Ok(())
    }
}
