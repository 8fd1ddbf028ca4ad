//! The recorder's side of looking: asks helpers, and goes on with others where one does not answer.
//!
//! A helper that sleeps in a call is left to it, and its answer is taken when the same is asked again; after two seconds it is
//! killed, which is said, and what it was asked is not asked again. So one file costs one helper and two seconds in which others
//! are looked at, and the files of one user no more than a few. What answers slowly is waited for as [`debts`](super::debts) has it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use tracer_format::grammar::Request;
use tracer_format::{Skipped, SkippedKind};

use crate::find::look::Query;
use crate::find::look::debts::Debts;
use crate::find::look::looker::look;
use crate::host::helper::channel::Parcel;
use crate::host::helper::process::{Helper, LIMIT, NoAnswer};
use crate::host::helper::wire::{Wire, from_bytes, to_bytes};
use crate::host::process::{self, Owner};

mod ahead;
mod starting;

use ahead::{Ahead, Busy};
pub(crate) use ahead::{MAX_AHEAD, MAX_QUESTIONS};
pub(crate) use starting::{Reader, Starting, Walk};

/// Helpers that wait for an answer at a time: for files of one user, and in all.
const MAX_SLOW_OF_USER: usize = 4;
const MAX_SLOW: usize = 16;
/// Questions that are remembered because they were not asked; further ones are counted.
const MAX_UNASKED: usize = 4096;
/// Files of one user, other than root, that may leave a helper without an answer. No more are looked at.
const MAX_SILENT_OF_USER: usize = 16;
/// The same, of all users other than root together: each may keep a process of the kernel's.
const MAX_SILENT: usize = 256;

/// What a file did that no one should be able to make.
const ENDED: &str = "ended the helper that looked at it";

/// Asks helpers.
#[derive(Debug, Default)]
pub(crate) struct Lookers {
    requests: Vec<Request>,
    idle: Vec<Helper>,
    /// What is asked soon, and the helpers that work at it.
    ahead: Ahead,
    slow: Vec<Slow>,
    /// What got no answer.
    silent: HashSet<u64>,
    /// How often that was so, by user.
    silences: HashMap<u32, usize>,
    debts: Debts,
    /// What was not asked because others waited, with the user that it belongs to, and how much more by user.
    unasked: HashMap<u64, u32>,
    forgotten: BTreeMap<u32, u64>,
    skipped: Vec<Skipped>,
    /// Whether a helper could not be started.
    is_short: bool,
}

/// A question that waits for its answer.
#[derive(Debug)]
struct Slow {
    key: u64,
    owner: Owner,
    helper: Helper,
    until: Instant,
    /// Whether it was the last one that the helper was asked: what it was asked after that is asked of others.
    is_last: bool,
}

impl Slow {
    /// The helper, which has answered, if it works at nothing else.
    fn into_idle(self) -> Option<Helper> {
        self.is_last.then_some(self.helper)
    }
}

/// Why nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// There may be an answer later.
    Waiting,
    /// There is none.
    Silent,
}

/// An answer with the descriptor that came along.
pub(crate) type Reply<A> = (A, Option<OwnedFd>);

impl Lookers {
    pub(crate) fn new(requests: Vec<Request>) -> Self {
        Self { requests, ..Self::default() }
    }

    /// Asks about a file of process `pid`, or of the user's own choice if that is 0.
    pub(crate) fn ask<A: Wire>(
        &mut self,
        pid: u32,
        question: &Query,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<Reply<A>, Silence> {
        let bytes = to_bytes(question);
        let Busy { mut helper, questions } = match self.ahead.take(&bytes) {
            Some(asked) => asked,
            None => {
                if let Some(told) = self.told(pid, &bytes) {
                    return told.and_then(answer);
                }
                Busy { helper: self.asked(&bytes, file)?, questions: VecDeque::new() }
            }
        };
        let received = helper.receive();
        self.note_waiting(pid, &mut helper);
        match received {
            Ok(message) => {
                if questions.is_empty() {
                    self.idle.push(helper);
                } else {
                    self.ahead.put_back(Busy { helper, questions });
                }
                answer(message)
            }
            Err(NoAnswer::Slow) => {
                let owner = process::owner(pid);
                let key = key(pid, &owner, &bytes);
                let (until, is_last) = (Instant::now() + LIMIT, questions.is_empty());
                self.slow.push(Slow { key, owner, helper, until, is_last });
                Err(Silence::Waiting)
            }
            Err(NoAnswer::Gone) => {
                let owner = process::owner(pid);
                self.give_up(key(pid, &owner, &bytes), &owner, &helper, ENDED);
                Err(Silence::Silent)
            }
        }
    }

    /// A helper that was asked.
    fn asked(&mut self, question: &[u8], file: Option<BorrowedFd<'_>>) -> Result<Helper, Silence> {
        let helper = self.helper()?;
        if helper.send(question, file.as_slice()).is_ok() {
            return Ok(helper);
        }
        // It ended since it was last asked.
        let helper = self.started()?;
        helper.send(question, file.as_slice()).map_err(|_| Silence::Silent)?;
        Ok(helper)
    }

    /// Lets a helper work at questions that are asked soon and in this order, unless an answer is waited for.
    pub(crate) fn ask_ahead<'q>(&mut self, questions: impl IntoIterator<Item = &'q Query>) {
        let are_quick = self.slow.is_empty() && self.silent.is_empty() && self.debts.is_empty();
        let questions: VecDeque<Vec<u8>> = questions.into_iter().map(to_bytes).collect();
        if are_quick
            && !questions.is_empty()
            && self.ahead.has_room()
            && let Some(helper) = self.idle.pop().or_else(|| self.start().ok())
        {
            self.ahead.ask(questions, helper);
        }
    }

    /// What is known without asking, if anything.
    fn told(&mut self, pid: u32, question: &[u8]) -> Option<Result<Parcel, Silence>> {
        self.drop_late();
        if self.slow.is_empty() && self.silent.is_empty() && self.debts.is_empty() {
            return None;
        }
        let owner = process::owner(pid);
        let key = key(pid, &owner, question);
        self.unasked.remove(&key);
        if self.silent.contains(&key) || self.is_banned(&owner) {
            return Some(Err(Silence::Silent));
        }
        if let Some(place) = self.slow.iter().position(|slow| slow.key == key) {
            return Some(self.resume(place));
        }
        let of_user = self.slow.iter().filter(|slow| slow.owner.user == owner.user).count();
        let is_full = of_user >= MAX_SLOW_OF_USER
            || self.slow.len() >= MAX_SLOW
            || self.debts.is_over(owner.user, Instant::now());
        if is_full && self.unasked.len() < MAX_UNASKED {
            self.unasked.insert(key, owner.user);
        } else if is_full {
            *self.forgotten.entry(owner.user).or_default() += 1;
        }
        is_full.then_some(Err(Silence::Waiting))
    }

    /// Counts what was waited for to the user of process `pid`.
    fn note_waiting(&mut self, pid: u32, helper: &mut Helper) -> Duration {
        let asleep = helper.take_asleep();
        if !asleep.is_zero() {
            self.debts.add(process::owner(pid).user, asleep, Instant::now());
        }
        asleep
    }

    /// Takes the answer to a question that was asked before, if it is there.
    fn resume(&mut self, place: usize) -> Result<Parcel, Silence> {
        let slow = &mut self.slow[place];
        match slow.helper.receive_until(Instant::now()) {
            Ok(message) => {
                let slow = self.slow.swap_remove(place);
                self.idle.extend(slow.into_idle());
                Ok(message)
            }
            Err(NoAnswer::Slow) => Err(Silence::Waiting),
            Err(NoAnswer::Gone) => {
                let slow = self.slow.swap_remove(place);
                self.give_up(slow.key, &slow.owner, &slow.helper, ENDED);
                Err(Silence::Silent)
            }
        }
    }

    /// Gives up on questions that waited for too long, and takes the answers that nothing asked for again.
    fn drop_late(&mut self) {
        let now = Instant::now();
        while let Some(place) = self.slow.iter().position(|slow| slow.until <= now) {
            let mut slow = self.slow.swap_remove(place);
            match slow.helper.receive_until(now) {
                Ok(_) => self.idle.extend(slow.into_idle()),
                Err(_) => self.give_up(slow.key, &slow.owner, &slow.helper, "did not answer in 2 s"),
            }
        }
    }

    /// Whether a question waits for its answer, or could not be asked because others do.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.slow.is_empty() || !self.unasked.is_empty()
    }

    /// Waits until each question has its answer, or will have none, which is soon. It is told when the same is asked again.
    pub(crate) fn settle(&mut self) {
        let is_open = |slow: &mut Slow| !slow.helper.has_message() && Instant::now() < slow.until;
        while self.slow.iter_mut().any(is_open) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The end: what waits for its answer is skipped.
    pub(crate) fn close(&mut self) -> Vec<Skipped> {
        for slow in std::mem::take(&mut self.slow) {
            self.give_up(slow.key, &slow.owner, &slow.helper, "did not answer until the end");
        }
        let mut by_user = std::mem::take(&mut self.forgotten);
        self.unasked.drain().for_each(|(_, user)| *by_user.entry(user).or_default() += 1);
        self.skipped.extend(by_user.into_iter().map(|(user, count)| Skipped {
            kind: SkippedKind::Files,
            count,
            reason: format!(
                "of {}, not looked at: others of these did not answer, or were slow",
                process::those_of(user)
            ),
            ..Skipped::default()
        }));
        self.take_skipped()
    }

    /// What got no answer since this was last called.
    pub(crate) fn take_skipped(&mut self) -> Vec<Skipped> {
        std::mem::take(&mut self.skipped)
    }

    /// Notes that there is no answer.
    fn give_up(&mut self, key: u64, owner: &Owner, helper: &Helper, what: &str) {
        self.silent.insert(key);
        let silences = self.silences.entry(owner.user).or_default();
        *silences += 1;
        let is_last = owner.user != 0 && *silences == MAX_SILENT_OF_USER;
        let path = helper.looks_at();
        let of = if owner.program.is_empty() {
            String::new()
        } else {
            format!("a file of {} that ", owner.program)
        };
        let mut reason = format!("{of}{what}");
        if is_last {
            reason += &format!("; no further files of {} are looked at", process::those_of(owner.user));
        }
        if self.silent.len() == MAX_SILENT {
            reason += "; no further files are looked at but those of root";
        }
        self.skipped.push(Skipped {
            kind: SkippedKind::Files,
            count: 1,
            program: owner.program.clone(),
            path,
            reason,
            ..Skipped::default()
        });
    }

    /// Whether too much of a user's got no answer.
    fn is_banned(&self, owner: &Owner) -> bool {
        let of_user = self.silences.get(&owner.user).copied().unwrap_or(0);
        owner.user != 0 && (of_user >= MAX_SILENT_OF_USER || self.silent.len() >= MAX_SILENT)
    }

    fn helper(&mut self) -> Result<Helper, Silence> {
        self.idle.pop().map_or_else(|| self.started(), Ok)
    }

    fn started(&mut self) -> Result<Helper, Silence> {
        self.start().map_err(|error| {
            if !std::mem::replace(&mut self.is_short, true) {
                let reason = format!("cannot look into files of processes: {error}");
                self.skipped.push(Skipped { kind: SkippedKind::Files, reason, ..Skipped::default() });
            }
            Silence::Waiting
        })
    }

    fn start(&self) -> std::io::Result<Helper> {
        let requests = &self.requests;
        Helper::start(c"tracer-looker", &[], |channel| look(channel, requests))
    }
}

fn answer<A: Wire>((body, fds): Parcel) -> Result<Reply<A>, Silence> {
    let answer = from_bytes(&body).ok_or(Silence::Silent)?;
    Ok((answer, fds.into_iter().next()))
}

/// What tells a question from others: about a process, which may have the number of an earlier one.
fn key(pid: u32, owner: &Owner, question: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (pid, owner.start, question).hash(&mut hasher);
    hasher.finish()
}
