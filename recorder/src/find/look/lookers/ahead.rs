//! Questions that are asked ahead: helpers work at them, while what they and others have answered is looked at.

use std::collections::VecDeque;

use crate::host::helper::process::Helper;

/// Helpers that work at questions which nothing waits for yet, at most.
pub(crate) const MAX_AHEAD: usize = 3;
/// Questions that one of them is asked at a time. There is room for these in a socket, so that asking waits for nothing.
pub(crate) const MAX_QUESTIONS: usize = 16;

/// A helper, and the questions that it has not answered yet, in the order in which it does.
#[derive(Debug)]
pub(super) struct Busy {
    pub(super) helper: Helper,
    pub(super) questions: VecDeque<Vec<u8>>,
}

/// Helpers that work at questions which nothing waits for yet.
#[derive(Debug, Default)]
pub(super) struct Ahead(Vec<Busy>);

impl Ahead {
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < MAX_AHEAD
    }

    /// Asks a helper, unless it has ended.
    pub(super) fn ask(&mut self, questions: VecDeque<Vec<u8>>, helper: Helper) {
        if helper.send_all(&questions).is_ok() {
            self.0.push(Busy { helper, questions });
        }
    }

    /// The helper that works at this question, and the questions that it answers after that.
    pub(super) fn take(&mut self, question: &[u8]) -> Option<Busy> {
        let place = self.0.iter().position(|asked| asked.questions.iter().any(|it| it == question))?;
        let mut asked = self.0.swap_remove(place);
        // What is not asked for in this order is asked anew.
        (asked.questions.pop_front()? == question).then_some(asked)
    }

    /// A helper that has answered one of its questions.
    pub(super) fn put_back(&mut self, asked: Busy) {
        self.0.push(asked);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Lookers;
    use super::*;
    use crate::find::look::Query;
    use crate::host::helper::wire::to_bytes;
    use crate::host::process;

    fn command(pid: u32) -> Query {
        Query::Command(process::folder(pid))
    }

    #[test]
    fn what_was_asked_ahead_is_answered_by_the_same_helper() {
        let pid = std::process::id();
        let questions = [command(pid), Query::States(Vec::new()), command(u32::MAX)];
        let mut lookers = Lookers::new(Vec::new());
        lookers.ask_ahead(&questions);
        let helper = lookers.ahead.0[0].helper.pid();
        let (text, _) = lookers.ask::<Vec<u8>>(pid, &questions[0], None).expect("it answers");
        assert_eq!(text, std::fs::read(process::folder(pid).join("cmdline")).unwrap());
        // Another one answers what was not asked ahead.
        assert_eq!(lookers.ask::<Vec<u8>>(pid, &command(0), None).expect("it answers").0, Vec::<u8>::new());
        assert_ne!(lookers.idle[0].pid(), helper);
        for question in &questions[1..] {
            assert!(lookers.idle.iter().all(|idle| idle.pid() != helper), "it has more to answer");
            lookers.ask::<Vec<u8>>(pid, question, None).expect("it answers");
        }
        assert!(lookers.ahead.0.is_empty() && lookers.idle.iter().any(|idle| idle.pid() == helper));
    }

    #[test]
    fn what_is_not_asked_for_in_its_order_is_asked_anew() {
        let pid = std::process::id();
        let mut lookers = Lookers::new(Vec::new());
        lookers.ask_ahead(&[command(u32::MAX), command(pid)]);
        let (text, _) = lookers.ask::<Vec<u8>>(pid, &command(pid), None).expect("it answers");
        assert_eq!(text, std::fs::read(process::folder(pid).join("cmdline")).unwrap());
        assert!(lookers.ahead.0.is_empty() && lookers.ahead.take(&to_bytes(&command(u32::MAX))).is_none());
    }

    #[test]
    fn no_more_helpers_are_started_than_there_is_room_for() {
        let mut lookers = Lookers::new(Vec::new());
        (1..10).for_each(|pid| lookers.ask_ahead(&[command(pid)]));
        assert_eq!(lookers.ahead.0.len(), MAX_AHEAD);
    }
}
