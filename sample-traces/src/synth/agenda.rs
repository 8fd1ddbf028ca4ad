//! Which actor of a simulation acts next: a tournament over the times at which they want to act.

/// The next time of every actor, and which is first. Setting a time costs one comparison for each doubling of the actors.
#[derive(Debug)]
pub(super) struct Agenda {
    times_ns: Vec<u64>,
    /// Winner of each match: node `n` plays `2n` against `2n + 1`, node 1 is the final, the leaves are the actors.
    winners: Vec<u32>,
    leaves: usize,
}

/// The actor waits for another one.
pub(super) const NEVER: u64 = u64::MAX;

impl Agenda {
    /// An agenda without any action yet.
    pub(super) fn new(actors: usize) -> Self {
        let leaves = actors.next_power_of_two().max(2);
        let index = |leaf| u32::try_from(leaf).expect("there are at most a few thousand actors");
        let mut winners = vec![0; leaves];
        winners.extend((0..leaves).map(index));
        let mut agenda = Self { times_ns: vec![NEVER; leaves], winners, leaves };
        (0..leaves).for_each(|actor| agenda.set(actor, NEVER));
        agenda
    }

    /// `actor` acts at `time_ns`, and no more at the time set before.
    pub(super) fn set(&mut self, actor: usize, time_ns: u64) {
        self.times_ns[actor] = time_ns;
        let (mut node, mut winner, mut winner_ns) =
            (self.leaves + actor, self.winners[self.leaves + actor], time_ns);
        while node > 1 {
            let rival = self.winners[node ^ 1];
            let rival_ns = self.times_ns[rival as usize];
            // Both choices without a branch: the winner cannot be predicted.
            let rival_is_first = rival_ns < winner_ns;
            winner = if rival_is_first { rival } else { winner };
            winner_ns = winner_ns.min(rival_ns);
            node /= 2;
            self.winners[node] = winner;
        }
    }

    /// The actor that acts first, and when; of several at one time the same one in every run.
    pub(super) fn first(&self) -> (usize, u64) {
        let actor = self.winners[1] as usize;
        (actor, self.times_ns[actor])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_first_is_the_first_of_all_after_every_change() {
        for actors in [1, 2, 3, 5, 64, 100] {
            let (mut agenda, mut random) = (Agenda::new(actors), Random::for_buffer(1, 0));
            let mut times = vec![NEVER; actors];
            for _ in 0..2000 {
                let actor = usize::try_from(random.next_u64() % actors as u64).expect("small");
                let time_ns = if random.next_u64() % 4 == 0 { NEVER } else { random.next_u64() % 50 };
                times[actor] = time_ns;
                agenda.set(actor, time_ns);
                let (first, first_ns) = agenda.first();
                assert_eq!(times.iter().min(), Some(&first_ns), "{times:?}");
                assert_eq!(times.get(first).unwrap_or(&NEVER), &first_ns, "{times:?}");
            }
        }
    }
}
