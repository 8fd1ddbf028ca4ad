//! Looking at the files of a program that is about to run, one after the other, by one helper.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracer_format::{Skipped, SkippedKind};

use super::{Lookers, Reply, Silence, answer, key};
use crate::find::facts::Facts;
use crate::find::look::{LaunchStep, Query, Reading, Start};
use crate::host::helper::process::{Helper, NoAnswer};
use crate::host::helper::wire::to_bytes;
use crate::host::process;

/// What looking at the files of one program that is about to run may wait for.
const LAUNCH_PATIENCE: Duration = Duration::from_secs(1);

/// A program that is about to run.
#[derive(Debug)]
pub(crate) struct Starting {
    /// A number that is the same for programs that map the same files.
    pub(crate) identity: u64,
    /// Its path, as the process sees it.
    pub(crate) path: PathBuf,
    pub(crate) pid: u32,
    helper: Helper,
    /// What is asked next.
    question: Query,
    /// How long it was waited for.
    waited: Duration,
}

/// How far looking at files has come.
#[derive(Debug)]
pub(crate) enum Walk {
    /// There are more.
    Paused(Starting),
    /// There are no more; whether all places were looked at. Those beside them are next, if there may be any.
    End(Option<Starting>, bool),
    /// There was no answer.
    Silent,
}

/// Reads a file that a helper has found.
pub(crate) struct Reader<'h> {
    helper: &'h mut Helper,
    is_silent: bool,
}

impl Reader<'_> {
    /// What is in the file; `None` if it does not answer.
    pub(crate) fn read(&mut self) -> Option<Reply<std::io::Result<Reading>>> {
        let sent = self.helper.send(&to_bytes(&Query::This), &[]);
        let message = sent.map_err(|_| NoAnswer::Gone).and_then(|()| self.helper.receive());
        let read = message.ok().and_then(|message| answer(message).ok());
        self.is_silent |= read.is_none();
        read
    }
}

impl Lookers {
    /// Asks for a program that is about to run.
    pub(crate) fn launch(
        &mut self,
        start: Start,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<std::io::Result<Starting>, Silence> {
        let pid = match &start {
            Start::Command(..) => 0,
            Start::Process(pid, ..) | Start::Waiting(pid, ..) | Start::Argument(pid, ..) => *pid,
        };
        let question = Query::Launch(start);
        let (launch, _) = self.ask::<std::io::Result<(u64, PathBuf)>>(pid, &question, file)?;
        // The one that has just answered.
        let helper = self.idle.pop().ok_or(Silence::Silent)?;
        match launch {
            Ok((identity, path)) => {
                let (question, waited) = (Query::Files, Duration::ZERO);
                Ok(Ok(Starting { identity, path, pid, helper, question, waited }))
            }
            Err(error) => {
                self.idle.push(helper);
                Ok(Err(error))
            }
        }
    }

    /// No more is asked of it.
    pub(crate) fn leave(&mut self, starting: Starting) {
        // It waits for the next question, whatever that is.
        if matches!(starting.question, Query::Files | Query::Beside) {
            // One that has ended is found out when it is asked.
            let _ = starting.helper.send(&to_bytes(&Query::Leave), &[]);
            self.idle.push(starting.helper);
        }
    }

    /// Hands the files that the program maps to `found`, then, asked again, those beside them, as long as it gives true.
    pub(crate) fn walk(
        &mut self,
        mut starting: Starting,
        found: &mut dyn FnMut(&Path, Facts, &mut Reader<'_>) -> bool,
    ) -> Walk {
        let pid = starting.pid;
        loop {
            let Starting { helper, question, waited, .. } = &mut starting;
            let step = helper
                .send(&to_bytes(question), &[])
                .map_err(|_| NoAnswer::Gone)
                .and_then(|()| helper.receive());
            *waited += self.note_waiting(pid, helper);
            if *waited > LAUNCH_PATIENCE {
                self.skip_slow(pid, helper);
                return Walk::Silent;
            }
            match step.map(answer::<LaunchStep>) {
                Ok(Ok((LaunchStep::File(path, facts), _))) => {
                    let mut reader = Reader { helper, is_silent: false };
                    let goes_on = found(&path, facts, &mut reader);
                    if reader.is_silent {
                        break;
                    }
                    *question = Query::Next;
                    if !goes_on {
                        return Walk::Paused(starting);
                    }
                }
                Ok(Ok((LaunchStep::End(is_all, has_beside), _))) => {
                    *question = Query::Beside;
                    let next = if has_beside {
                        Some(starting)
                    } else {
                        self.leave(starting);
                        None
                    };
                    return Walk::End(next, is_all);
                }
                Ok(Err(_)) | Err(_) => break,
            }
        }
        let owner = process::owner(pid);
        let (key, what) = (key(pid, &owner, b"files"), "did not answer while libraries were looked for");
        self.give_up(key, &owner, &starting.helper, what);
        Walk::Silent
    }

    /// Notes that libraries are not looked for any more, because it takes too long. What is mapped is looked at later.
    fn skip_slow(&mut self, pid: u32, helper: &Helper) {
        let program = process::owner(pid).program;
        self.skipped.push(Skipped {
            kind: SkippedKind::Files,
            count: 1,
            path: helper.looks_at(),
            reason: format!(
                "a file of {program} that answered slowly while libraries were looked for: what those fire first may be missing"
            ),
            program,
            ..Skipped::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starting a helper takes long where the recorder is large: programs that are known are none that keep it busy.
    #[test]
    fn one_helper_looks_at_programs_that_are_known() {
        let (mut lookers, own) = (Lookers::new(Vec::new()), std::env::current_exe().unwrap());
        let mut helpers = Vec::new();
        for path in [own.clone(), PathBuf::from("/there/is/none"), own] {
            if let Ok(launch) = lookers.launch(Start::Command(path, Vec::new()), None).expect("it answers") {
                lookers.leave(launch);
            }
            helpers.extend(lookers.idle.iter().map(Helper::pid));
        }
        assert_eq!(helpers, [helpers[0]; 3]);
    }
}
