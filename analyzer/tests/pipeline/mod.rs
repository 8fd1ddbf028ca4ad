//! A simulated pipeline that writes the documented log: a source, a processor with a queue before it, and a sink.

use std::fmt::Write as _;

/// What the pipeline is like. Times are ns.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) seed: u64,
    pub(crate) buffers: usize,
    /// Buffers a second that the source makes.
    pub(crate) rate: f64,
    /// Buffers that the source makes at a time.
    pub(crate) batch: usize,
    /// Mean times of work.
    pub(crate) awe_ns: f64,
    pub(crate) writing_ns: f64,
    pub(crate) sink_ns: f64,
    pub(crate) workers: usize,
    /// Whether only one worker can write at a time.
    pub(crate) lock: bool,
    /// Buffers that wait before the processor, before the source has to wait.
    pub(crate) room: usize,
    /// A program that stands still, from when and how long.
    pub(crate) stall: Option<(&'static str, u64, u64)>,
    pub(crate) lost_after_awe: &'static [usize],
    pub(crate) lost_after_writing: &'static [usize],
    pub(crate) skipped: &'static [usize],
    pub(crate) ended_twice: &'static [usize],
    /// Every so many buffers, awe takes six times as long.
    pub(crate) spike_every: Option<usize>,
    /// From this buffer on, awe takes half as long again.
    pub(crate) slower_from: Option<usize>,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self {
            seed: 1,
            buffers: 100,
            rate: 200.0,
            batch: 1,
            awe_ns: 1.5e6,
            writing_ns: 4e5,
            sink_ns: 5e3,
            workers: 1,
            lock: false,
            room: 16,
            stall: None,
            lost_after_awe: &[],
            lost_after_writing: &[],
            skipped: &[],
            ended_twice: &[],
            spike_every: None,
            slower_from: None,
        }
    }
}

const START_NS: u64 = 1_000_000_000;
/// Spread of the logarithm of the times of work.
const SPREAD: f64 = 0.15;

/// Numbers that look random, the same ones for each seed.
struct Dice(u64);

impl Dice {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1_u32 << 31)
    }

    /// About `mean_ns`, as times of work are spread.
    fn work_ns(&mut self, mean_ns: f64) -> f64 {
        let normal = (0..12).map(|_| self.share()).sum::<f64>() - 6.0;
        mean_ns * (SPREAD * normal - SPREAD * SPREAD / 2.0).exp()
    }
}

impl Pipeline {
    /// The log of a run.
    pub(crate) fn log(&self) -> String {
        let mut events = self.events();
        events.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut log = String::from("\nTrace started. Ctrl-C to stop.\n\n");
        for (time_ns, pid, program, probe, number) in events {
            writeln!(log, "[{time_ns:>16.0}] [PID:{pid:>7}] {program:<12} demo:{probe:<25} | Seq: {number}")
                .unwrap();
        }
        log
    }

    /// When `program`, ready at `from_ns`, has done `work_ns` of work.
    fn done_ns(&self, program: &str, from_ns: f64, work_ns: f64) -> f64 {
        match self.stall.filter(|stall| stall.0 == program) {
            Some((_, at_ns, len_ns)) => {
                let (stop_ns, len_ns) = ((START_NS + at_ns) as f64, len_ns as f64);
                let waits = from_ns < stop_ns + len_ns && from_ns + work_ns > stop_ns;
                if !waits {
                    from_ns + work_ns
                } else if from_ns < stop_ns {
                    from_ns + work_ns + len_ns
                } else {
                    stop_ns + len_ns + work_ns
                }
            }
            None => from_ns + work_ns,
        }
    }

    /// When the source makes a buffer, if nothing holds it, 20 us after the one before at the earliest.
    fn due_ns(&self, at: usize, before_ns: f64) -> f64 {
        let due_ns = START_NS as f64 + (at - at % self.batch) as f64 * 1e9 / self.rate;
        let due_ns = due_ns.max(before_ns + 20_000.0);
        match self.stall {
            Some(("source", from_ns, len_ns)) => {
                let (from_ns, until_ns) = ((START_NS + from_ns) as f64, (START_NS + from_ns + len_ns) as f64);
                if (from_ns..until_ns).contains(&due_ns) { until_ns } else { due_ns }
            }
            _ => due_ns,
        }
    }

    fn awe_ns(&self, number: usize, dice: &mut Dice) -> f64 {
        let usual_ns = dice.work_ns(self.awe_ns);
        let spike = self.spike_every.is_some_and(|every| number.is_multiple_of(every));
        let slower = self.slower_from.is_some_and(|from| number >= from);
        usual_ns * if spike { 6.0 } else { 1.0 } * if slower { 1.5 } else { 1.0 }
    }

    fn events(&self) -> Vec<(f64, usize, &'static str, &'static str, usize)> {
        let (mut events, mut dice) = (Vec::new(), Dice(self.seed));
        let mut free_ns = vec![0.0_f64; self.workers];
        let (mut lock_ns, mut sink_ns) = (0.0_f64, 0.0_f64);
        let (mut taken_ns, mut before_ns): (Vec<f64>, f64) = (Vec::new(), 0.0);
        for at in 0..self.buffers {
            let number = at + 1;
            let mut made_ns = self.due_ns(at, before_ns);
            if let Some(before) = at.checked_sub(self.room) {
                made_ns = made_ns.max(taken_ns[before]);
            }
            before_ns = made_ns;
            if self.skipped.contains(&number) {
                taken_ns.push(made_ns);
                continue;
            }
            events.push((made_ns, 100, "source", "beg_global", number));
            let worker = (0..self.workers).min_by(|&a, &b| free_ns[a].total_cmp(&free_ns[b])).unwrap();
            let ready_ns = (made_ns + 15_000.0 + 8000.0 * dice.share()).max(free_ns[worker]);
            let begin_ns = self.done_ns("processor", ready_ns, 0.0);
            taken_ns.push(begin_ns);
            let (pid, awe_ns) = (200 + worker, self.awe_ns(number, &mut dice));
            let end_ns = self.done_ns("processor", begin_ns, awe_ns);
            events.push((begin_ns, pid, "processor", "beg_awe", number));
            events.push((end_ns, pid, "processor", "end_awe", number));
            free_ns[worker] = end_ns;
            if self.lost_after_awe.contains(&number) {
                continue;
            }
            let lock = if self.lock { lock_ns } else { 0.0 };
            let write_ns = (end_ns + 600.0 + 500.0 * dice.share()).max(lock + 500.0);
            let written_ns = self.done_ns("processor", write_ns, dice.work_ns(self.writing_ns));
            lock_ns = written_ns;
            events.push((write_ns, pid, "processor", "beg_writing", number));
            events.push((written_ns, pid, "processor", "end_writing", number));
            free_ns[worker] = written_ns + 3000.0;
            if self.lost_after_writing.contains(&number) {
                continue;
            }
            let arrives_ns = (written_ns + 9000.0 + 6000.0 * dice.share()).max(sink_ns);
            let ends_ns = self.done_ns("sink", arrives_ns, 0.0);
            sink_ns = self.done_ns("sink", ends_ns, self.sink_ns);
            events.push((ends_ns, 300, "sink", "end_global", number));
            if self.ended_twice.contains(&number) {
                events.push((ends_ns + 2000.0, 300, "sink", "end_global", number));
            }
        }
        events
    }
}
