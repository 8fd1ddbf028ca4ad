//! Files that a process had mapped which has ended: only paths lead to them.

use std::path::PathBuf;

use crate::find::discover::pass::Pass;
use crate::find::discover::{Discovery, Scan};
use crate::find::facts::FileId;
use crate::find::look::{Found, Query};
use crate::host::process;

/// A file that a process had mapped which has ended.
#[derive(Debug)]
pub(crate) enum LeftFile {
    /// It was looked at before; its number, if that can be said.
    Known(Option<FileId>),
    /// It was not.
    Seen(Scan),
    /// Nothing leads to it any more.
    Gone,
}

impl Discovery {
    /// Looks at a file that a process had mapped which has ended; these paths may lead to it.
    pub(crate) fn scan_left(&mut self, paths: &[PathBuf], inode: u64) -> LeftFile {
        let choices = paths.iter().map(|path| (path.clone(), Some(inode))).collect();
        let asked = self.lookers.ask::<Found>(process::ENDED, &Query::Facts(choices), None);
        let Ok((Ok((facts, choice)), _)) = asked else {
            return if self.known.has_inode(inode) { LeftFile::Known(None) } else { LeftFile::Gone };
        };
        if let Some(file) = self.known.recall(&facts) {
            return LeftFile::Known(Some(file));
        }
        let place = usize::try_from(choice).ok().and_then(|choice| paths.get(choice));
        let (Some(place), Some(path)) = (place, paths.first()) else { return LeftFile::Gone };
        let mut pass = Pass::new(self);
        pass.pid = process::ENDED;
        if pass.file(process::ENDED, (place, path), &facts).is_err() {
            return LeftFile::Gone;
        }
        LeftFile::Seen(pass.finish())
    }
}
