//! What is known of keys, in bounded memory: the latest keys whole, older ones while something may still come.

mod slots;
mod waiting;

use std::hint::black_box;

use slots::Slots;
use waiting::WaitingKeys;

pub(super) use waiting::Packed;

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

/// Slots of keys, each a head and entries: all of the latest, and of older ones those that wait, packed.
#[derive(Debug)]
pub(super) struct Remembered<H: Packed> {
    width: usize,
    recent: Slots<H, H::Entry>,
    waiting: WaitingKeys,
    /// What was packed of the key that an event has come for.
    woken: Vec<u64>,
    entries: Vec<H::Entry>,
}

/// What happens to a slot that makes place for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It is not among the latest any more.
    Recent,
    /// It is given up.
    Waiting,
}

impl<H: Packed> Remembered<H> {
    /// For keys of `parts` numbers with a head and `width` entries each.
    pub(super) fn new(parts: usize, width: usize, room: Room) -> Self {
        let words = H::words(width);
        Self {
            width,
            recent: Slots::new(parts, width, room.recent),
            waiting: WaitingKeys::new(parts, words, room.waiting),
            woken: vec![0; words],
            entries: vec![H::Entry::default(); width],
        }
    }

    /// Position of the slot of `key`, if that is one of the latest.
    #[inline(always)]
    pub(super) fn find(&self, key: &[i64]) -> Option<usize> {
        self.recent.find(key)
    }

    /// Whether keys are one number.
    pub(super) fn is_of_one_number(&self) -> bool {
        self.recent.is_of_one_number()
    }

    /// As [`find`](Self::find), of a key of one number.
    #[inline(always)]
    pub(super) fn find_one(&self, key: i64) -> Option<usize> {
        self.recent.find_one(key)
    }

    /// The slot at a position that was given for the event at hand.
    #[inline(always)]
    pub(super) fn at(&mut self, position: usize) -> (&mut H, &mut [H::Entry]) {
        self.recent.look_mut(position)
    }

    /// The slot of `key`, made if there is none; `leave` as in [`older_or_new`](Self::older_or_new).
    #[inline]
    pub(super) fn slot<X>(
        &mut self,
        key: &[i64],
        leave: impl FnMut(Leaving, &[i64], &mut H, &mut [H::Entry]) -> Result<bool, X>,
    ) -> Result<(&mut H, &mut [H::Entry]), X> {
        let position = match self.recent.find(key) {
            Some(position) => position,
            None => self.older_or_new(key, leave)?,
        };
        Ok(self.recent.look_mut(position))
    }

    /// Whether a look ahead pays.
    pub(super) fn is_large(&self) -> bool {
        self.waiting.len() > MANY
    }

    /// Looks where `key` may wait: so memory is on its way for many keys at once, instead of waited for with each. Gives the
    /// place, to be looked at later.
    #[inline]
    pub(super) fn glance(&self, key: &[i64]) -> Option<usize> {
        self.waiting.glance(key)
    }

    /// Looks at places that [`glance`](Self::glance) gave, and where so many of the latest keys go that make place next.
    pub(super) fn look(&self, places: &[usize], next: usize) {
        let mut sum = 0;
        for &place in places {
            sum ^= self.waiting.key(place)[0] ^ self.waiting.words(place)[0].cast_signed();
        }
        if self.recent.is_full() {
            for next in 0..next {
                let position = (self.recent.oldest() + next) % self.recent.len();
                sum ^= i64::from(self.waiting.glance(self.recent.key(position)).is_some());
            }
        }
        black_box(sum);
    }

    /// Position of the slot of a key that is not among the latest: it is now, whether it has waited or is new. `leave` decides
    /// what becomes of the slot that makes place for it: whether it goes on waiting, and, if that makes another one leave
    /// for good, what is said of it.
    pub(super) fn older_or_new<X>(
        &mut self,
        key: &[i64],
        mut leave: impl FnMut(Leaving, &[i64], &mut H, &mut [H::Entry]) -> Result<bool, X>,
    ) -> Result<usize, X> {
        let place = self.waiting.find(key);
        if let Some(place) = place {
            self.woken.copy_from_slice(self.waiting.words(place));
            self.waiting.remove(place);
        }
        if self.recent.is_full() {
            self.retire(&mut leave)?;
        }
        let position = self.recent.insert(key);
        if place.is_some() {
            let (_, head, entries) = self.recent.slot(position);
            *head = H::unpack(&self.woken, entries);
        }
        Ok(position)
    }

    fn retire<X>(
        &mut self,
        leave: &mut impl FnMut(Leaving, &[i64], &mut H, &mut [H::Entry]) -> Result<bool, X>,
    ) -> Result<(), X> {
        let position = self.recent.oldest();
        let (key, head, entries) = self.recent.slot(position);
        if !leave(Leaving::Recent, key, head, entries)? {
            return Ok(());
        }
        if self.waiting.is_full()
            && let Some(oldest) = self.waiting.oldest()
        {
            let mut head = H::unpack(self.waiting.words(oldest), &mut self.entries);
            leave(Leaving::Waiting, self.waiting.key(oldest), &mut head, &mut self.entries)?;
            self.waiting.remove(oldest);
        }
        let (key, head, entries) = self.recent.slot(position);
        head.pack(entries, self.waiting.add(key));
        Ok(())
    }

    /// Calls `found` with the latest slots, the newest first, and with `most` of the older ones; tells whether there are more.
    pub(super) fn latest(&self, most: usize, mut found: impl FnMut(&H, &[H::Entry])) -> bool {
        let recent = &self.recent;
        let newest_first = (0..recent.oldest()).rev().chain((recent.oldest()..recent.len()).rev());
        newest_first.for_each(|position| {
            let (head, entries) = recent.look(position);
            found(head, entries);
        });
        let mut entries = vec![H::Entry::default(); self.width];
        for place in self.waiting.in_use().rev().take(most) {
            let head = H::unpack(self.waiting.words(place), &mut entries);
            found(&head, &entries);
        }
        self.waiting.len() > most
    }

    /// Calls `found` with all slots, oldest first.
    pub(super) fn for_each<X>(
        &mut self,
        mut found: impl FnMut(&[i64], &mut H, &mut [H::Entry]) -> Result<(), X>,
    ) -> Result<(), X> {
        for place in self.waiting.in_use() {
            let mut head = H::unpack(self.waiting.words(place), &mut self.entries);
            found(self.waiting.key(place), &mut head, &mut self.entries)?;
        }
        let recent = &mut self.recent;
        for position in (recent.oldest()..recent.len()).chain(0..recent.oldest()) {
            let (key, head, entries) = recent.slot(position);
            found(key, head, entries)?;
        }
        Ok(())
    }
}
