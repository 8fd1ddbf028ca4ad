//! Buffers on their way: the probes that each has passed, collected from the spans of its stages.

use std::collections::{HashMap, VecDeque};

use crate::pair::{Class, Edge, Point, Side, SpanRow};
use crate::stage::key_index::KeyWindow;

/// Buffers that are remembered while they are under way.
const UNDER_WAY: usize = 1 << 16;
/// The same for those of very many stages: entries, a buffer and a stage each.
const UNDER_WAY_ENTRIES: usize = 1 << 17;
/// Stages of a path, at most: a bit stands for each of their probes.
pub(crate) const MAX_STAGES: usize = 32;

/// The bit of a probe of the stage at position `stage`.
pub(crate) fn bit(stage: usize, side: Side) -> u64 {
    1 << (2 * stage + usize::from(side == Side::End))
}

/// The probes that a buffer has passed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passage {
    pub(crate) points: Vec<Point>,
    pub(crate) passed: u64,
    /// Repeated begins and ends of each stage; empty if there are none.
    repeated: Vec<[u32; 2]>,
}

impl Passage {
    /// When it passed a probe of the stage at position `stage`.
    pub(crate) fn at(&self, stage: usize, side: Side) -> Option<Point> {
        let has_passed = self.passed & bit(stage, side) != 0;
        has_passed.then(|| self.points[2 * stage + usize::from(side == Side::End)])
    }

    /// The probes passed, in the order of time; `stages` are the stages' numbers.
    pub(crate) fn order(&self, stages: &[u32]) -> Vec<Edge> {
        let mut passed: Vec<(u64, usize, Edge)> = Vec::new();
        for (local, &stage) in stages.iter().enumerate() {
            for side in [Side::Begin, Side::End] {
                if let Some(point) = self.at(local, side) {
                    passed.push((point.time_ns, passed.len(), Edge { stage, side }));
                }
            }
        }
        passed.sort_unstable();
        passed.into_iter().map(|(.., edge)| edge).collect()
    }

    /// Whether an event of a stage came more often than once.
    pub(crate) fn is_repeated(&self, stage: usize, side: Side) -> bool {
        let [begins, ends] = self.repeated.get(stage).copied().unwrap_or_default();
        match side {
            Side::Begin => begins > 1,
            // Of several begins' ends, the first is none too many.
            Side::End => ends > u32::from(begins > 1),
        }
    }
}

/// The buffers that are under way, each in a slot.
#[derive(Debug, Clone)]
pub(crate) struct Passages {
    stages: usize,
    /// Numbers of a key.
    parts: usize,
    under_way: usize,
    index: KeyWindow,
    keys: Vec<i64>,
    points: Vec<Point>,
    passed: Vec<u64>,
    /// How often a slot was given back.
    uses: Vec<u32>,
    free: Vec<usize>,
    repeated: HashMap<usize, Vec<[u32; 2]>>,
    /// Slots and their uses in the order in which the buffers came.
    order: VecDeque<(usize, u32)>,
}

impl Passages {
    /// Of so many stages, whose keys have `parts` numbers.
    pub(crate) fn new(stages: usize, parts: usize) -> Self {
        Self {
            stages,
            parts,
            under_way: (UNDER_WAY_ENTRIES / stages.max(1)).min(UNDER_WAY),
            index: KeyWindow::default(),
            keys: Vec::new(),
            points: Vec::new(),
            passed: Vec::new(),
            uses: Vec::new(),
            free: Vec::new(),
            repeated: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    #[inline(always)]
    pub(crate) fn find(&self, key: &[i64]) -> Option<usize> {
        if let ([one], 1) = (key, self.parts) {
            return self.index.find(key, |slot| self.keys[slot] == *one);
        }
        let is = |slot: usize| self.key(slot).iter().zip(key).all(|(ours, theirs)| ours == theirs);
        self.index.find(key, is)
    }

    /// The key of the buffer in `slot`.
    #[inline]
    pub(crate) fn key(&self, slot: usize) -> &[i64] {
        &self.keys[slot * self.parts..][..self.parts]
    }

    /// The slot of a buffer that has none.
    pub(crate) fn new_slot(&mut self, key: &[i64]) -> usize {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.points.resize(self.points.len() + 2 * self.stages, Point::default());
            self.keys.resize(self.keys.len() + self.parts, 0);
            self.passed.push(0);
            self.uses.push(0);
            self.passed.len() - 1
        });
        self.keys[slot * self.parts..][..self.parts].copy_from_slice(key);
        self.passed[slot] = 0;
        let (keys, parts) = (&self.keys, self.parts);
        self.index.enter(slot, |slot| &keys[slot * parts..][..parts]);
        // What is no longer under way needs no place in the order: so that stays short.
        while self.order.front().is_some_and(|&(slot, used)| self.uses[slot] != used) {
            self.order.pop_front();
        }
        self.order.push_back((slot, self.uses[slot]));
        slot
    }

    /// Whether `span` begins another lap: its stage was complete already.
    pub(crate) fn is_again(&self, slot: usize, stage: usize, span: &SpanRow) -> bool {
        span.class == Class::Complete && self.passed[slot] & bit(stage, Side::Begin) != 0
    }

    /// Notes what `span`, of the stage at position `stage`, tells.
    #[inline]
    pub(crate) fn add(&mut self, slot: usize, stage: usize, span: &SpanRow) {
        let both = bit(stage, Side::Begin) | bit(stage, Side::End);
        let passed = &mut self.passed[slot];
        if span.class == Class::Complete && *passed & both == 0 {
            *passed |= both;
            self.points[2 * (slot * self.stages + stage)..][..2].copy_from_slice(&span.both());
        } else {
            self.add_other(slot, stage, span);
        }
    }

    #[inline(never)]
    fn add_other(&mut self, slot: usize, stage: usize, span: &SpanRow) {
        let before = self.passed[slot];
        let points = &mut self.points[2 * (slot * self.stages + stage)..][..2];
        let mut passed = before;
        for (side, point) in [(Side::Begin, span.begin()), (Side::End, span.end())] {
            if let Some(point) = point.filter(|_| before & bit(stage, side) == 0) {
                passed |= bit(stage, side);
                points[usize::from(side == Side::End)] = point;
            }
        }
        self.passed[slot] = passed;
        let side = match span.class {
            Class::RepeatedBegin => 0,
            Class::RepeatedEnd => 1,
            _ => return,
        };
        self.repeated.entry(slot).or_insert_with(|| vec![[0; 2]; self.stages])[stage][side] += 1;
    }

    /// The probes that the buffer in `slot` has passed, a bit each.
    pub(crate) fn passed(&self, slot: usize) -> u64 {
        self.passed[slot]
    }

    /// When the buffer in `slot` passed each probe; what it has not passed is of some other buffer.
    #[inline]
    pub(crate) fn points(&self, slot: usize) -> &[Point] {
        &self.points[2 * slot * self.stages..][..2 * self.stages]
    }

    /// Whether an event of the buffer in `slot` was repeated.
    pub(crate) fn has_repeated(&self, slot: usize) -> bool {
        !self.repeated.is_empty() && self.repeated.contains_key(&slot)
    }

    /// What is known of the buffer in `slot`.
    pub(crate) fn get(&self, slot: usize) -> Passage {
        Passage {
            points: self.points(slot).to_vec(),
            passed: self.passed[slot],
            repeated: self.repeated.get(&slot).cloned().unwrap_or_default(),
        }
    }

    /// Gives the slot of a buffer back.
    pub(crate) fn remove(&mut self, slot: usize) {
        let (keys, parts) = (&self.keys, self.parts);
        self.index.forget(slot, |slot| &keys[slot * parts..][..parts]);
        self.uses[slot] = self.uses[slot].wrapping_add(1);
        self.free.push(slot);
        if !self.repeated.is_empty() {
            self.repeated.remove(&slot);
        }
    }

    /// The oldest, if there are too many.
    #[inline]
    pub(crate) fn too_many(&mut self) -> Option<usize> {
        let is_many = self.index.len() > self.under_way || self.order.len() > 2 * self.under_way;
        if is_many { self.oldest_of_too_many() } else { None }
    }

    #[cold]
    fn oldest_of_too_many(&mut self) -> Option<usize> {
        while self.index.len() > self.under_way || self.order.len() > 2 * self.under_way {
            let (slot, used) = self.order.pop_front()?;
            if self.uses[slot] != used {
                continue;
            }
            if self.index.len() > self.under_way {
                return Some(slot);
            }
            // It is old, but there is room.
            self.order.push_back((slot, used));
            if self.index.len() >= self.order.len() {
                break;
            }
        }
        None
    }

    /// All that are under way, the oldest first.
    pub(crate) fn all(&self) -> Vec<usize> {
        let live = |(slot, used): &&(usize, u32)| self.uses[*slot] == *used;
        self.order.iter().filter(live).map(|&(slot, _)| slot).collect()
    }
}
