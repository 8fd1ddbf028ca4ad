//! The shape `loop`: threads of one process that fire one probe as fast as they can.

use super::agenda::Agenda;
use super::recording::{Recording, Shot};
use super::spread::{Spread, whole};
use super::{Plan, scene};
use crate::random::Random;
use std::io;
use tracer_format::{Result, SiteId, ThreadId};

/// One of so many hits is followed by an interruption: the timer, another thread.
const INTERRUPTED: u64 = 2048;
/// Mean time of an interruption, ns.
const INTERRUPTION_NS: u64 = 6_000;
/// One of so many interruptions moves the thread to another processor.
const MOVED: u64 = 64;

/// Fires until the recording is over. As with the real `hammer`, every thread counts a range of its own.
pub(super) fn run<W: io::Write>(plan: &Plan, recording: &mut Recording<W>) -> Result<()> {
    let mut random = Random::for_buffer(plan.seed, 0);
    let spread = Spread::new(plan.jitter);
    let threads = usize::from(plan.workers);
    let (hit_ns, each) = (whole(1e9 / plan.rate), plan.events.div_ceil(threads as u64));
    let mut agenda = Agenda::new(threads);
    let mut shots = Vec::new();
    for thread in 0..plan.workers {
        agenda.set(thread.into(), scene::START_NS + spread.draw(hit_ns, &mut random));
        let seq = plan.first_seq + u64::from(thread) * each;
        shots.push(Shot {
            time_ns: 0,
            thread: ThreadId(thread.into()),
            site: SiteId(0),
            cpu: thread % plan.cpus,
            seq,
        });
    }
    let mut now_ns = scene::START_NS;
    while !recording.is_over() {
        let (thread, time_ns) = agenda.first();
        now_ns = time_ns.max(now_ns + 1);
        let shot = &mut shots[thread];
        shot.time_ns = now_ns;
        recording.fire(shot)?;
        shot.seq += 1;
        let mut next_ns = now_ns + spread.draw(hit_ns, &mut random);
        if plan.jitter > 0.0 {
            let bits = random.next_u64();
            if bits.is_multiple_of(INTERRUPTED) {
                next_ns += spread.draw(INTERRUPTION_NS, &mut random);
                if (bits / INTERRUPTED).is_multiple_of(MOVED) {
                    shot.cpu = any_cpu(plan, &mut random);
                }
            }
        }
        agenda.set(thread, next_ns);
    }
    Ok(())
}

/// One of the host's processors.
pub(super) fn any_cpu(plan: &Plan, random: &mut Random) -> u16 {
    u16::try_from(random.next_u64() % u64::from(plan.cpus)).unwrap_or(0)
}
