//! Standard input that also ends some time after a request to stop.
//!
//! Usually the program before us in the pipeline gets the same signal and closes the pipe; everything it had sent is then
//! read, however long that takes. If it keeps the pipe open, the input ends by itself after a grace time.

use crate::Error;
use crate::stop::{LOOK, Stop};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Time that the program before us has to close the pipe, once we are asked to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Reader of a pipe that ends with the pipe, or some time after a request to stop if the pipe stays open.
#[derive(Debug)]
pub struct Input<F> {
    file: F,
    stop: Stop,
    grace: Duration,
    end: Option<Instant>,
}

impl Input<File> {
    /// Reads standard input, past the line buffer of `std::io::stdin`: what that holds `poll` does not see.
    ///
    /// # Errors
    /// `Read` when standard input is closed.
    pub fn standard(stop: Stop) -> Result<BufReader<Input<File>>, Error> {
        let file = std::io::stdin().as_fd().try_clone_to_owned().map_err(Error::Read)?;
        Ok(BufReader::with_capacity(64 << 10, Input::new(file.into(), stop, GRACE)))
    }
}

impl<F: Read + AsFd> Input<F> {
    /// Reads from `file` until it ends, or until it is still open `grace` after the request to stop.
    pub fn new(file: F, stop: Stop, grace: Duration) -> Input<F> {
        Input { file, stop, grace, end: None }
    }

    fn is_overdue(&mut self) -> bool {
        if !self.stop.asked() {
            return false;
        }
        let grace = self.grace;
        Instant::now() >= *self.end.get_or_insert_with(|| Instant::now() + grace)
    }
}

impl<F: Read + AsFd> Read for Input<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let wait = Timespec::try_from(LOOK).map_err(io::Error::other)?;
        loop {
            let overdue = self.is_overdue();
            let mut fds = [PollFd::new(&self.file, PollFlags::IN)];
            let ready = match poll(&mut fds, Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => fds[0].revents(),
                Err(e) => return Err(e.into()),
            };
            if overdue && !ready.contains(PollFlags::HUP) {
                return Ok(0);
            }
            if !ready.is_empty() {
                return self.file.read(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn bytes_sent_before_the_request_are_read_and_an_open_pipe_ends_after_the_grace_time() {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(b"late").expect("room in the pipe");
        let stop = Stop::default();
        stop.ask();
        let mut input = Input::new(reader, stop, Duration::from_secs(1));
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).expect("readable");
        assert_eq!(bytes, b"late");
        drop(writer);
    }

    #[test]
    fn what_a_closed_pipe_still_holds_is_read_even_after_the_grace_time() {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(b"backlog").expect("room in the pipe");
        drop(writer);
        let stop = Stop::default();
        stop.ask();
        let mut input = Input::new(reader, stop, Duration::ZERO);
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).expect("readable");
        assert_eq!(bytes, b"backlog");
    }

    #[test]
    fn without_a_request_the_input_ends_with_the_pipe() {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let closer = std::thread::spawn(move || {
            std::thread::sleep(LOOK * 2);
            drop(writer);
        });
        let mut input = Input::new(reader, Stop::default(), Duration::ZERO);
        assert_eq!(input.read(&mut [0; 8]).expect("readable"), 0);
        closer.join().expect("no panic");
    }
}
