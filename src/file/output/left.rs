//! Files and folders that were being written by a process that was killed.
//!
//! What a recording had written is no such thing: it is kept, as somebody may want it.

use std::ffi::{OsStr, OsString};

use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::spot::{self, Spot};

/// Names of a folder that are looked at: it may have very many.
const MAX_NAMES: usize = 10_000;

/// The name of a draft of this process.
pub(super) fn draft_name(number: u32) -> String {
    format!(".tracer-{}-{number}", std::process::id())
}

/// The same for a folder.
pub(super) fn folder_name(number: u32) -> String {
    format!(".tracer-{}-folder-{number}", std::process::id())
}

/// The name of a draft whose content is worth something before it is whole.
pub(super) fn kept_name(draft: &OsStr) -> OsString {
    let mut name = draft.to_owned();
    name.push(".trace");
    name
}

/// Removes drafts beside `target` whose processes are gone. Nothing comes of it where that cannot be told, or not be done.
pub(super) fn remove_left(target: &Spot) {
    for name in target.siblings(MAX_NAMES).unwrap_or_default() {
        if writer_of(&name).is_some_and(is_gone)
            && let Ok(left) = target.beside(name)
            && let Ok(Some(facts)) = left.facts()
            && spot::is_trusted(facts.st_uid)
            && left.is_unlocked()
        {
            let _ = match spot::kind(&facts) {
                FileType::RegularFile => left.remove(),
                FileType::Directory => left.remove_folder(),
                _ => Ok(()),
            };
        }
    }
}

/// The process that makes drafts of this name.
fn writer_of(name: &OsStr) -> Option<Pid> {
    let (pid, number) = name.to_str()?.strip_prefix(".tracer-")?.split_once('-')?;
    let number = number.strip_prefix("folder-").unwrap_or(number);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(pid) || !is_number(number) {
        return None;
    }
    Pid::from_raw(pid.parse().ok()?)
}

/// Whether there is no such process. Another container's would be taken for gone: so what it writes is locked, too.
fn is_gone(writer: Pid) -> bool {
    test_kill_process(writer) == Err(Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_drafts_name_a_process() {
        let pid =
            |name: &str| writer_of(OsStr::new(name)).map(Pid::as_raw_nonzero).map(std::num::NonZero::get);
        assert_eq!((pid(".tracer-17-0"), pid(".tracer-17-folder-3")), (Some(17), Some(17)));
        for name in [
            ".tracer-17-0.trace",
            ".tracer-17",
            ".tracer--1",
            ".tracer-x-1",
            ".tracer-17-folder",
            "tracer-1-1",
            ".tracer-0-1",
        ] {
            assert_eq!(pid(name), None, "{name}");
        }
    }
}
