//! Pairs begins and ends by key, in one pass over the events in time order, and never guesses.
//!
//! # What is paired
//! Each begin and each end is in exactly one span. Keys of one thread pair what was begun last (`nested.rs`); all
//! others are one thing at a time (`keyed.rs`), and what a key does in one stage is handed on to the next
//! (`hand_off.rs`). For every stage: begins = complete + inverted + open + repeated begins, and
//! ends = complete + inverted + orphan ends + repeated ends.
//!
//! # Memory
//! The latest [`RECENT_KEYS`] keys are remembered whole, fewer of more than 32 stages: for so long a second end counts as repeated,
//! and an inverted pair waits for an end that would make it an orphan end and a complete span. Older keys are remembered
//! while a begin or an end waits for the other, or a complete stage for the next, up to [`WAITING_KEYS`]; beyond
//! that the oldest are given up, counted, and become open or orphan ends.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use tracer_format::{Columns, Definitions, Site, SiteId};

use super::identity::Identities;
use super::keyed::{Arriving, Keyed, SimpleEvent, SimpleUse};
use super::nested::{Nested, Stacking};
use super::out::{KeyRef, Out, Seen};
use super::remembered::{RECENT_KEYS, Room};
use super::sink::Sink;
use super::source::{Argument, KeySource};
use super::span::{Census, Class, Point, Side, UnderWay};
use crate::select::LossTimes;
use crate::stage::{Key, Lasting, MAX_WORDS, Role, Roles, Scope, SiteUses, Stage};

/// Keys that may wait for what is missing, over all stages that have keys of their own, about 40 bytes each. Where several have
/// a key together, and for stages that nest, it is half of that: there is more to know. Of more than 64 stages together it is
/// an eighth: of each key all of them have room, and few are begun.
pub const WAITING_KEYS: usize = 5 << 18;
const MANY_STAGES: usize = 64;
/// The same of the latest keys, where the stages are so many that this is less than
/// [`RECENT_KEYS`] for each.
const RECENT_SLOTS: usize = 1 << 17;

/// Rows whose slots are looked at ahead, all at once.
const AHEAD: usize = 64;

/// Keys that are counted, beside the latest, when it is asked what is under way.
const COUNTED_KEYS: usize = 1 << 16;

/// Pairs the events of all stages.
#[derive(Debug)]
pub struct Pairer {
    stages: Vec<Stage>,
    groups: Vec<Group>,
    /// Group of each stage, and its position there.
    places: Vec<(usize, usize)>,
    /// What the events of a site mean; and the same where it is simple: first none, then that of each site.
    uses: SiteUses<Use>,
    simple: Vec<SimpleUse>,
    identities: Identities,
    loss: LossTimes,
    /// Events of each stage that have no key: it is missing, unreadable, or neither integer nor string.
    pub without_key: Vec<u64>,
    /// Begins and ends of each stage that were given up, to bound memory.
    pub given_up: Vec<u64>,
    /// Keys that were given up, to bound memory, before all of their stages were seen: a hand-off may be missing.
    pub keys_given_up: u64,
}

/// Stages whose keys mean the same.
#[derive(Debug)]
enum Group {
    Keyed(Keyed),
    Nested(Nested),
    /// A stage of which one event tells all.
    Lasting(u32, Scope),
}

/// What an event of a site does to a stage.
#[derive(Debug, Clone)]
struct Use {
    group: usize,
    /// Position of the stage in its group.
    local: usize,
    stage: usize,
    side: Side,
    /// Position of the site's probe among those that may end the stage.
    alternative: u16,
    /// Whether the site's events both end and begin the stage.
    is_both: bool,
    source: KeySource,
    unwinding: Option<Argument>,
    /// How long the stage took, if the event tells.
    lasting: Option<(Lasting, Argument)>,
}

impl Use {
    /// An event at `point`.
    #[inline(always)]
    fn arriving(&self, point: Point) -> Arriving {
        let Self { local, side, alternative, is_both, .. } = *self;
        Arriving { local, side, point, alternative, is_both }
    }
}

impl Pairer {
    /// A pairer of `stages` that knows of no thread and no site yet, and of no loss.
    #[must_use]
    pub fn new(stages: &[Stage]) -> Self {
        let members = groups(stages);
        let of_each = |slots: usize| slots / stages.len().max(1);
        let room = |waiting| Room { recent: of_each(RECENT_SLOTS).min(RECENT_KEYS), waiting };
        let (alone, together) = (room(of_each(WAITING_KEYS)), room(of_each(WAITING_KEYS / 2)));
        let group = |members: &Vec<usize>| {
            let first = &stages[members[0]];
            let (key, words) = (&first.key, first.key.words());
            let numbers = || members.iter().map(|&stage| u32::try_from(stage).unwrap_or(u32::MAX));
            if first.lasting.is_some() {
                Group::Lasting(numbers().next().unwrap_or_default(), key.scope)
            } else if key.scope == Scope::Tid {
                Group::Nested(Nested::new(
                    numbers().next().unwrap_or_default(),
                    words,
                    !first.nested,
                    together,
                ))
            } else {
                let room = match members.len() {
                    1 => alone,
                    2..=MANY_STAGES => together,
                    _ => room(of_each(WAITING_KEYS / 8)),
                };
                Group::Keyed(Keyed::new(numbers().collect(), key.scope, words, room))
            }
        };
        let mut places = vec![(0, 0); stages.len()];
        for (group, members) in members.iter().enumerate() {
            members.iter().enumerate().for_each(|(local, &stage)| places[stage] = (group, local));
        }
        Self {
            groups: members.iter().map(group).collect(),
            places,
            uses: SiteUses::default(),
            simple: vec![SimpleUse::NONE],
            identities: Identities::default(),
            loss: LossTimes::default(),
            without_key: vec![0; stages.len()],
            given_up: vec![0; stages.len()],
            keys_given_up: 0,
            stages: stages.to_vec(),
        }
    }

    /// With `wanted`, keys that do all that is usual are told at once, each when all of it is known, and not span by span: once the
    /// first spans of each stage were told as they come.
    pub(crate) fn tell_usual_keys(&mut self, wanted: bool) {
        for group in self.groups.iter_mut().filter(|_| wanted) {
            if let Group::Keyed(keyed) = group {
                keyed.allow_late();
            }
        }
    }

    /// Takes what was added to `definitions`, before the first event that refers to it.
    pub fn define(&mut self, definitions: &Definitions) {
        self.identities.define(definitions);
        let roles = Roles::new(&self.stages);
        let mut uses = std::mem::take(&mut self.uses);
        uses.add(&definitions.sites, &roles, |site, roles| {
            let mut roles = roles.to_vec();
            roles.sort_unstable_by_key(|role| self.places[role.stage]);
            // An event that ends one stage and begins another ends first.
            let sides = [Side::End, Side::Begin].into_iter();
            sides
                .flat_map(|side| roles.iter().map(move |&role| (role, side)))
                .filter_map(|(role, side)| self.use_of(role, side, site))
                .collect()
        });
        let sites = self.simple.len() - 1..definitions.sites.len();
        let simple: Vec<SimpleUse> = sites.map(|site| self.simple_use(uses.of(SiteId::at(site)))).collect();
        self.simple.extend(simple);
        self.uses = uses;
    }

    /// What the events of a site mean, if that is simple.
    fn simple_use(&self, uses: &[Use]) -> SimpleUse {
        let simple = |used: &Use| {
            let Group::Keyed(keyed) = &self.groups[used.group] else { return None };
            let arg = used.source.alone().filter(|_| keyed.is_of_one_number())?;
            let (group, arg) = (u32::try_from(used.group).ok()?, u32::try_from(arg).ok()?);
            Some(SimpleUse { group, arg, arriving: used.arriving(Point::default()) })
        };
        match uses {
            [used] => simple(used).unwrap_or(SimpleUse::NONE),
            _ => SimpleUse::NONE,
        }
    }

    /// What the events of `site`, which has this role, do at `side` of the stage.
    fn use_of(&self, role: Role, side: Side, site: &Site) -> Option<Use> {
        let alternative = if side == Side::Begin { role.begins? } else { role.ends? };
        let Stage { key, unwinding, lasting, .. } = &self.stages[role.stage];
        if lasting.is_some() && side == Side::Begin {
            return None;
        }
        let (group, local) = self.places[role.stage];
        Some(Use {
            group,
            local,
            stage: role.stage,
            side,
            alternative,
            is_both: role.begins.is_some() && role.ends.is_some(),
            source: KeySource::new(key, side, site),
            unwinding: unwinding.and_then(|arg| Argument::new(arg, site)),
            lasting: lasting.and_then(|it| Some((it, Argument::integer(it.arg, site)?))),
        })
    }

    /// Knows of times in which events are missing; the earlier, the more it can tell of pairs that they touch.
    pub(crate) fn expect_loss(&mut self, loss: LossTimes) {
        self.loss = loss;
    }

    /// Knows of a time in which events are missing, of which more may come.
    pub(crate) fn expect(&mut self, from_ns: u64, to_ns: u64) {
        self.loss.add(from_ns, to_ns);
    }

    /// Takes a time in which events are missing, when no more event of it comes.
    pub fn lost(&mut self, from_ns: u64, to_ns: u64) {
        self.loss.add(from_ns, to_ns);
        for group in &mut self.groups {
            if let Group::Nested(nested) = group {
                nested.lost();
            }
        }
    }

    /// Takes the rows `rows`, which are not earlier than those before.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn events(&mut self, columns: &Columns, rows: Range<usize>, sink: &mut impl Sink) -> io::Result<()> {
        for start in rows.clone().step_by(AHEAD) {
            let rows = start..rows.end.min(start + AHEAD);
            self.look_ahead(columns, rows.clone());
            self.take(columns, rows, sink)?;
        }
        Ok(())
    }

    fn take(&mut self, columns: &Columns, rows: Range<usize>, sink: &mut impl Sink) -> io::Result<()> {
        let mut simple = [SimpleEvent::default(); AHEAD];
        let simple = self.simple_events(columns, rows.clone(), &mut simple);
        let mut out = Out {
            sink,
            loss: &self.loss,
            identities: &mut self.identities,
            given_up: &mut self.given_up,
            keys_given_up: &mut self.keys_given_up,
        };
        let mut at = 0;
        while let Some(event) = simple.get(at) {
            let group = self.simple[event.used as usize].group;
            if let Some(Group::Keyed(keyed)) = self.groups.get_mut(group as usize) {
                let rows = rows.start + at..rows.end;
                let moments = (&columns.time_ns[rows.clone()], &columns.thread[rows]);
                at += keyed.events((group, &self.simple), &simple[at..], moments, &mut out)?;
                continue;
            }
            let row = rows.start + at;
            at += 1;
            let uses = self.uses.of(columns.site[row]);
            take_row((columns, row), uses, &mut self.groups, &mut self.without_key, &mut out)?;
        }
        Ok(())
    }

    /// The events of `rows`, at most [`AHEAD`], as far as they are simple.
    #[inline]
    fn simple_events<'e>(
        &self,
        columns: &Columns,
        rows: Range<usize>,
        events: &'e mut [SimpleEvent; AHEAD],
    ) -> &'e [SimpleEvent] {
        let events = &mut events[..rows.len()];
        if !columns.unreadable.is_empty() {
            return events;
        }
        let starts = columns.value_start.get(rows.start..=rows.end).unwrap_or_default().array_windows();
        for ((event, site), &[start, end]) in events.iter_mut().zip(&columns.site[rows]).zip(starts) {
            let used = site.0.saturating_add(1);
            let at = self.simple.get(used as usize).map_or(u32::MAX, |used| start.saturating_add(used.arg));
            if at < end
                && let Some(&value) = columns.values.get(at as usize)
            {
                *event = SimpleEvent { key: value.cast_signed(), used };
            }
        }
        events
    }

    /// Where very many keys are open, each is far away in memory: looks at those of `rows` all at once.
    fn look_ahead(&self, columns: &Columns, rows: Range<usize>) {
        for (number, group) in self.groups.iter().enumerate() {
            let Group::Keyed(keyed) = group else { continue };
            if !keyed.is_large() {
                continue;
            }
            let (mut places, mut found) = ([0; AHEAD], 0);
            for row in rows.clone() {
                for used in self.uses.of(columns.site[row]).iter().filter(|used| used.group == number) {
                    let mut words = [0; MAX_WORDS];
                    let key = used.source.read(columns, row, &self.identities, &mut words);
                    let position = key.and_then(|key| keyed.glance(key));
                    if let (Some(position), Some(place)) = (position, places.get_mut(found)) {
                        (*place, found) = (position, found + 1);
                    }
                }
            }
            keyed.look(&places[..found], rows.len());
        }
    }

    /// Where the keys are at present.
    #[must_use]
    pub fn census(&self) -> Census {
        let (open, resting) = (UnderWay::default(), [UnderWay::default(); 2]);
        let stages = self.stages.len();
        let mut census =
            Census { open: vec![open; stages], resting: vec![resting; stages], is_partial: false };
        for group in &self.groups {
            match group {
                Group::Keyed(keyed) => keyed.count(COUNTED_KEYS, &mut census),
                Group::Nested(nested) => nested.count(COUNTED_KEYS, &mut census),
                Group::Lasting(..) => {}
            }
        }
        census
    }

    /// Nothing more comes: hands on what is open, orphan or inverted.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn finish(&mut self, sink: &mut impl Sink) -> io::Result<()> {
        let mut out = Out {
            sink,
            loss: &self.loss,
            identities: &mut self.identities,
            given_up: &mut self.given_up,
            keys_given_up: &mut self.keys_given_up,
        };
        self.groups.iter_mut().try_for_each(|group| match group {
            Group::Keyed(keyed) => keyed.finish(&mut out),
            Group::Nested(nested) => nested.finish(&mut out),
            Group::Lasting(..) => Ok(()),
        })
    }
}

/// Takes a row, whose site has these `uses`.
fn take_row(
    (columns, row): (&Columns, usize),
    uses: &[Use],
    groups: &mut [Group],
    without_key: &mut [u64],
    out: &mut Out<'_, impl Sink>,
) -> io::Result<()> {
    let point = Point { time_ns: columns.time_ns[row], thread: columns.thread[row] };
    out.identities.fired(point.thread, point.time_ns);
    for used in uses {
        let mut words = [0; MAX_WORDS];
        let Some(key) = used.source.read(columns, row, out.identities, &mut words) else {
            without_key[used.stage] += 1;
            continue;
        };
        let Use { side, alternative, .. } = *used;
        match &mut groups[used.group] {
            Group::Keyed(keyed) => keyed.event_of_many(key, used.arriving(point), out)?,
            Group::Lasting(stage, scope) => {
                let begin_ns = used.lasting.and_then(|(lasting, argument)| {
                    lasting.begin_ns(point.time_ns, argument.read(columns, row)?)
                });
                let Some(begin_ns) = begin_ns else {
                    without_key[used.stage] += 1;
                    continue;
                };
                let key = KeyRef { words: key, scope: *scope };
                let begin = Point { time_ns: begin_ns, ..point };
                out.span(*stage, Class::Complete, &key, Seen::told(begin, point, alternative))?;
            }
            Group::Nested(nested) => {
                let value = used.unwinding.and_then(|argument| argument.read(columns, row));
                nested.event(key, Stacking { side, point, alternative, value }, out)?;
            }
        }
    }
    Ok(())
}

/// Stages with the same key, and with a provider in common, belong together; but those of one thread stand alone.
fn groups(stages: &[Stage]) -> Vec<Vec<usize>> {
    // Where there is a key and a provider that a stage has, too, the group is that of the first such stage.
    let mut known: HashMap<(&Key, &str), usize> = HashMap::new();
    let mut joined: Vec<usize> = (0..stages.len()).collect();
    for (number, stage) in stages.iter().enumerate() {
        if stage.key.scope == Scope::Tid || stage.lasting.is_some() {
            continue;
        }
        for probe in stage.begins.iter().chain(&stage.ends) {
            let first = *known.entry((&stage.key, &probe.provider)).or_insert(number);
            let (a, b) = (root(&mut joined, first), root(&mut joined, number));
            joined[a.max(b)] = a.min(b);
        }
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); stages.len()];
    (0..stages.len()).for_each(|number| groups[root(&mut joined, number)].push(number));
    groups.retain(|group| !group.is_empty());
    groups.sort_by_key(|group| group.last().copied());
    groups
}

/// The first stage of the group that `number` is in.
fn root(joined: &mut [usize], mut number: usize) -> usize {
    while joined[number] != number {
        joined[number] = joined[joined[number]];
        number = joined[number];
    }
    number
}
