//! Questions that are asked ahead: a helper works at each, while what others have answered is looked at.

use std::collections::HashMap;

use crate::host::helper::process::Helper;

/// Questions that are asked ahead, at most.
pub(crate) const MAX_AHEAD: usize = 3;

/// Helpers that work at questions which nothing waits for yet.
#[derive(Debug, Default)]
pub(super) struct Ahead(HashMap<Vec<u8>, Helper>);

impl Ahead {
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < MAX_AHEAD
    }

    /// Asks a helper, unless it has ended.
    pub(super) fn ask(&mut self, question: Vec<u8>, helper: Helper) {
        if helper.send(&question, &[]).is_ok() {
            self.0.insert(question, helper);
        }
    }

    /// The helper that works at this question.
    pub(super) fn take(&mut self, question: &[u8]) -> Option<Helper> {
        self.0.remove(question)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Lookers;
    use super::*;
    use crate::find::look::Query;
    use crate::host::process;

    #[test]
    fn what_was_asked_ahead_is_answered_by_the_same_helper() {
        let pid = std::process::id();
        let question = Query::Command(process::folder(pid));
        let mut lookers = Lookers::new(Vec::new());
        let all: Vec<u32> = (1..).take(MAX_AHEAD + 1).collect();
        all.iter().for_each(|other| lookers.ask_ahead(&Query::Call(*other)));
        assert_eq!(lookers.ahead.0.len(), MAX_AHEAD, "no more are started");
        lookers.ahead.0.clear();
        lookers.ask_ahead(&question);
        let (command, _) = lookers.ask::<Vec<u8>>(pid, &question, None).expect("it answers");
        assert_eq!(command, std::fs::read(process::folder(pid).join("cmdline")).unwrap());
        assert!(lookers.ahead.0.is_empty() && lookers.idle.len() == 1);
    }
}
