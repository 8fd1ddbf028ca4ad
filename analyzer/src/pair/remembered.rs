//! What is known of keys, in bounded memory: the latest keys whole, older ones while something may still come.

use std::hint::black_box;

use super::slots::Slots;

/// Keys that are remembered whole, at most; fewer if there are very many stages, to bound memory.
pub const RECENT_KEYS: usize = 4096;
/// Keys that wait from which on a look ahead pays: fewer are in the processor's cache.
const MANY: usize = 1 << 14;

/// How many keys there is room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Keys that are remembered whole.
    pub(super) recent: usize,
    /// Keys that wait.
    pub(super) waiting: usize,
}

/// Slots of keys, each a head and entries: all of the latest, and of older ones those that wait.
#[derive(Debug)]
pub(super) struct Remembered<H, E> {
    recent: Slots<H, E>,
    waiting: Slots<H, E>,
}

/// What happens to a slot that makes place for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It is not among the latest any more.
    Recent,
    /// It is given up.
    Waiting,
}

impl<H: Copy + Default, E: Copy + Default> Remembered<H, E> {
    /// For keys of `parts` numbers with a head and `width` entries each.
    pub(super) fn new(parts: usize, width: usize, room: Room) -> Self {
        let slots = |capacity| Slots::new(parts, width, capacity);
        Self { recent: slots(room.recent), waiting: slots(room.waiting) }
    }

    /// The slot of `key`, made if there is none. `leave` decides what becomes of the slot that makes place for it: whether
    /// it goes on waiting, and, if that makes another one leave for good, what is said of it.
    #[inline]
    pub(super) fn slot<X>(
        &mut self,
        key: &[i64],
        leave: impl FnMut(Leaving, &[i64], &mut H, &mut [E]) -> Result<bool, X>,
    ) -> Result<(&mut H, &mut [E]), X> {
        let (slots, position) = match self.recent.find(key) {
            Some(position) => (&mut self.recent, position),
            None => self.older_or_new(key, leave)?,
        };
        let (_, head, entries) = slots.slot(position);
        Ok((head, entries))
    }

    /// Whether a look ahead pays.
    pub(super) fn is_large(&self) -> bool {
        self.waiting.len() > MANY
    }

    /// Looks where `key` may wait: so memory is on its way for many keys at once, instead of waited for with each. Gives the
    /// position of a slot, to be looked at later.
    #[inline]
    pub(super) fn glance(&self, key: &[i64]) -> Option<usize> {
        self.waiting.glance(key)
    }

    /// Looks at slots that [`glance`](Self::glance) gave, and where so many of the latest keys go that make place next.
    pub(super) fn look(&mut self, places: &[(usize, usize)], next: usize) {
        let mut sum = 0;
        for &(position, entry) in places {
            let (key, _, entries) = self.waiting.slot(position);
            sum ^= key[0];
            black_box(&entries[entry]);
        }
        for slots in [&self.recent, &self.waiting].into_iter().filter(|slots| slots.is_full()) {
            let oldest = (0..next).map(|next| (slots.oldest() + next) % slots.len());
            for position in oldest {
                sum ^= i64::from(self.waiting.glance(slots.key(position)).is_some());
            }
        }
        black_box(sum);
    }

    /// The slot of a key that is not among the latest.
    fn older_or_new<X>(
        &mut self,
        key: &[i64],
        mut leave: impl FnMut(Leaving, &[i64], &mut H, &mut [E]) -> Result<bool, X>,
    ) -> Result<(&mut Slots<H, E>, usize), X> {
        if let Some(position) = self.waiting.find(key) {
            return Ok((&mut self.waiting, position));
        }
        if self.recent.is_full() {
            self.retire(&mut leave)?;
        }
        let position = self.recent.insert(key);
        Ok((&mut self.recent, position))
    }

    fn retire<X>(
        &mut self,
        leave: &mut impl FnMut(Leaving, &[i64], &mut H, &mut [E]) -> Result<bool, X>,
    ) -> Result<(), X> {
        let position = self.recent.oldest();
        let (key, head, entries) = self.recent.slot(position);
        if !leave(Leaving::Recent, key, head, entries)? {
            return Ok(());
        }
        if self.waiting.is_full() {
            let oldest = self.waiting.oldest();
            let (key, head, entries) = self.waiting.slot(oldest);
            leave(Leaving::Waiting, key, head, entries)?;
        }
        self.recent.copy_to(position, &mut self.waiting);
        Ok(())
    }

    /// Calls `found` with the latest slots, the newest first, and with `most` of the older ones; tells whether there are more.
    pub(super) fn latest(&self, most: usize, mut found: impl FnMut(&H, &[E])) -> bool {
        for (slots, most) in [(&self.recent, usize::MAX), (&self.waiting, most)] {
            let newest_first = (0..slots.oldest()).rev().chain((slots.oldest()..slots.len()).rev());
            newest_first.take(most).for_each(|position| {
                let (head, entries) = slots.look(position);
                found(head, entries);
            });
        }
        self.waiting.len() > most
    }

    /// Calls `found` with all slots, oldest first.
    pub(super) fn for_each<X>(
        &mut self,
        mut found: impl FnMut(&[i64], &mut H, &mut [E]) -> Result<(), X>,
    ) -> Result<(), X> {
        for slots in [&mut self.waiting, &mut self.recent] {
            for position in (slots.oldest()..slots.len()).chain(0..slots.oldest()) {
                let (key, head, entries) = slots.slot(position);
                found(key, head, entries)?;
            }
        }
        Ok(())
    }
}
