//! What is written waits here, compressed, until the disk or the pipe takes it: a slow one costs no event as long as there is memory
//! for what waits, and none of the thread that makes blocks.
//!
//! The writing thread gets files whose bytes go into the spool; the carrying thread, which runs [`carry`](Spool::carry), opens the real ones
//! and writes to them.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::write::sink::Open;

/// Bytes on their way to files.
#[derive(Debug)]
pub(crate) struct Spool {
    state: Mutex<Pieces>,
    changed: Condvar,
    /// Most bytes that wait; one piece is always let in.
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Pieces {
    /// With the number of the file that each is for.
    pieces: VecDeque<(u32, Piece)>,
    waiting_bytes: usize,
    /// The oldest is on its way to its file.
    is_carrying: bool,
    /// No file writes any more.
    is_closed: bool,
    /// Nothing is carried any more.
    has_failed: bool,
    /// Why, until it was told.
    failure: Option<io::Error>,
}

#[derive(Debug)]
enum Piece {
    Open,
    Bytes(Vec<u8>),
    Flush,
    Close,
}

impl Spool {
    /// A spool in which up to `max_bytes` wait.
    #[must_use]
    pub(crate) fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: Condvar::new(), max_bytes })
    }

    /// Opens files whose bytes wait in the spool.
    pub(crate) fn opener<'a>(self: &Arc<Self>) -> Open<'a> {
        let spool = Arc::clone(self);
        Box::new(move |part| {
            spool.push(part, Piece::Open)?;
            Ok(Box::new(Spooled { spool: Arc::clone(&spool), part }))
        })
    }

    /// Writes what waits to the files that `open` gives, until the spool is closed and empty. If that fails, `failed` is called, and
    /// what writes to the spool next is told why.
    ///
    /// # Errors
    /// The same, if nothing wrote to the spool after that.
    pub(crate) fn carry(&self, mut open: Open<'_>, failed: &dyn Fn()) -> io::Result<()> {
        let mut files = HashMap::new();
        while let Some((part, piece)) = self.pop() {
            let bytes = piece.bytes();
            match carry(&mut files, part, piece, &mut open) {
                Ok(()) => self.change(|state| {
                    state.waiting_bytes -= bytes;
                    state.is_carrying = false;
                }),
                Err(error) => {
                    self.change(|state| {
                        state.pieces.clear();
                        (state.has_failed, state.failure) = (true, Some(error));
                    });
                    failed();
                    break;
                }
            }
        }
        drop(files);
        let waited = self.changed.wait_while(self.lock(), |state| !state.is_closed);
        waited.unwrap_or_else(PoisonError::into_inner).failure.take().map_or(Ok(()), Err)
    }

    /// Waits until all that was written so far is in its file; false if that failed, which is told to what writes next.
    pub(crate) fn settle(&self) -> bool {
        let is_busy =
            |state: &mut Pieces| !state.has_failed && (state.is_carrying || !state.pieces.is_empty());
        let waited = self.changed.wait_while(self.lock(), is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).has_failed
    }

    /// Closes the spool when this is dropped, also by a panic: no file writes any more.
    pub(crate) fn closing(self: &Arc<Self>) -> ClosingSpool {
        ClosingSpool(Arc::clone(self))
    }

    /// Adds a piece; waits until there is room for it.
    fn push(&self, part: u32, piece: Piece) -> io::Result<()> {
        let bytes = piece.bytes();
        let is_full = |state: &mut Pieces| {
            let is_too_much = state.waiting_bytes > 0 && state.waiting_bytes + bytes > self.max_bytes;
            bytes > 0 && is_too_much && !state.has_failed
        };
        let waited = self.changed.wait_while(self.lock(), is_full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.has_failed {
            let failure = state.failure.take();
            return Err(failure.unwrap_or_else(|| io::Error::other("writing has failed before")));
        }
        state.waiting_bytes += bytes;
        state.pieces.push_back((part, piece));
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Takes the oldest piece; `None` when the spool is closed and empty.
    fn pop(&self) -> Option<(u32, Piece)> {
        let is_empty = |state: &mut Pieces| state.pieces.is_empty() && !state.is_closed;
        let waited = self.changed.wait_while(self.lock(), is_empty);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let oldest = state.pieces.pop_front();
        state.is_carrying = oldest.is_some();
        oldest
    }

    fn change(&self, change: impl FnOnce(&mut Pieces)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a piece to its file.
fn carry<'a>(
    files: &mut HashMap<u32, Box<dyn Write + Send + 'a>>,
    part: u32,
    piece: Piece,
    open: &mut Open<'a>,
) -> io::Result<()> {
    let file = match piece {
        Piece::Open => {
            files.insert(part, open(part)?);
            return Ok(());
        }
        _ => files.get_mut(&part).ok_or(io::ErrorKind::NotFound)?,
    };
    match piece {
        Piece::Bytes(bytes) => file.write_all(&bytes),
        Piece::Flush => file.flush(),
        Piece::Open | Piece::Close => {
            files.remove(&part);
            Ok(())
        }
    }
}

impl Piece {
    /// Bytes that it takes while it waits, about.
    fn bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len() + size_of::<(u32, Self)>(),
            Self::Open | Self::Flush | Self::Close => 0,
        }
    }
}

/// Closes a spool when this is dropped.
#[derive(Debug)]
pub(crate) struct ClosingSpool(Arc<Spool>);

impl Drop for ClosingSpool {
    fn drop(&mut self) {
        self.0.change(|state| state.is_closed = true);
    }
}

/// A file whose bytes wait in the spool.
struct Spooled {
    spool: Arc<Spool>,
    part: u32,
}

impl Write for Spooled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.spool.push(self.part, Piece::Bytes(bytes.to_vec()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.spool.push(self.part, Piece::Flush)
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // After a failure all files are closed.
        let _ = self.spool.push(self.part, Piece::Close);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A file that takes a write only when it is told to, or fails then.
    struct Gated {
        go: Receiver<io::Result<()>>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.go.recv().expect("told")?;
            self.taken.send(bytes.to_vec()).expect("heard");
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a [`Gated`] file is told, and what it took.
    type Gate = (Sender<io::Result<()>>, Receiver<Vec<u8>>);

    /// A spool of 1000 bytes with one file.
    fn gated() -> (Arc<Spool>, Open<'static>, Gate) {
        let ((told, go), (taken, took)) = (channel(), channel());
        let mut file = Some(Gated { go, taken });
        let open: Open<'static> = Box::new(move |_| Ok(Box::new(file.take().expect("one file")) as _));
        (Spool::new(1000), open, (told, took))
    }

    #[test]
    fn what_waits_is_bounded_and_comes_out_in_order() {
        let (spool, open, (told, took)) = gated();
        std::thread::scope(|scope| {
            let carrying = scope.spawn(|| spool.carry(open, &|| panic!("nothing fails")));
            let mut file = spool.opener()(0).expect("opened");
            // The carrying thread waits for the file, and this one does not.
            (0..3).for_each(|number| file.write_all(&[number; 300]).expect("room"));
            let spool = &spool;
            let writing = scope.spawn(move || {
                file.write_all(&[3; 300]).expect("room at last");
                drop(file);
                drop(spool.closing());
            });
            for number in 0..4 {
                assert!(spool.lock().waiting_bytes <= 1000);
                assert!(number > 0 || !writing.is_finished(), "the fourth has no room");
                told.send(Ok(())).expect("heard");
                assert_eq!(took.recv().expect("written"), [number; 300]);
            }
            assert!(spool.settle());
            assert!(carrying.join().expect("no panic").is_ok());
        });
        assert_eq!(spool.lock().waiting_bytes, 0);
    }

    #[test]
    fn a_failure_is_told_once_to_what_writes_next_or_at_the_end() {
        for writes_on in [true, false] {
            let (spool, open, (told, _took)) = gated();
            std::thread::scope(|scope| {
                let (fail, failed) = channel();
                let carried = spool.clone();
                let carrying = scope.spawn(move || carried.carry(open, &|| fail.send(()).expect("heard")));
                let mut file = spool.opener()(0).expect("opened");
                file.write_all(b"one").expect("room");
                told.send(Err(io::ErrorKind::StorageFull.into())).expect("heard");
                assert!(!spool.settle());
                failed.recv().expect("told");
                let kind = |result: io::Result<()>| result.expect_err("failed").kind();
                if writes_on {
                    assert_eq!(kind(file.write_all(b"two")), io::ErrorKind::StorageFull);
                    assert_eq!(kind(file.flush()), io::ErrorKind::Other);
                    drop(spool.closing());
                    assert!(carrying.join().expect("no panic").is_ok());
                } else {
                    drop(spool.closing());
                    assert_eq!(kind(carrying.join().expect("no panic")), io::ErrorKind::StorageFull);
                }
            });
        }
    }
}
