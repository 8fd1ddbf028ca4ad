//! Messages with descriptors between two processes, over a stream socket: a length of 4 bytes, whose first bit says whether descriptors
//! come along with it, then as many bytes.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, send, sendmsg, socketpair,
};

/// Bytes of a message: more than the notes of the largest file that is read.
const MAX_BYTES: usize = 64 << 20;
/// In the length: descriptors come along.
const HAS_FDS: u32 = 1 << 31;
/// Descriptors of a message.
pub(crate) const MAX_FDS: usize = 64;
/// Bytes read at a time.
const STEP_BYTES: usize = 64 << 10;

/// One end.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
    /// What has arrived of the next messages.
    bytes: Vec<u8>,
    /// Room for what is read at a time.
    step: Vec<u8>,
    /// The descriptors of each that has some, as many as there was room for.
    fds: VecDeque<Vec<OwnedFd>>,
}

/// The length that goes before a message.
fn head(body: &[u8]) -> io::Result<u32> {
    let len = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_BYTES);
    len.ok_or(io::ErrorKind::InvalidInput.into())
}

/// A message.
pub(crate) type Parcel = (Vec<u8>, Vec<OwnedFd>);

impl Channel {
    /// Both ends.
    pub(crate) fn pair() -> io::Result<[Self; 2]> {
        let (one, two) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let end =
            |socket| Self { socket, bytes: Vec::new(), step: vec![0; STEP_BYTES], fds: VecDeque::new() };
        Ok([end(one), end(two)])
    }

    /// Sends a message; waits for room.
    ///
    /// # Errors
    /// When the other side is gone.
    pub(crate) fn send(&self, body: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let head = head(body)? | if fds.is_empty() { 0 } else { HAS_FDS };
        self.send_bytes(&[&head.to_le_bytes()[..], body].concat(), fds)
    }

    /// Sends messages at once; waits for room.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) fn send_all<'m>(&self, bodies: impl IntoIterator<Item = &'m Vec<u8>>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for body in bodies {
            bytes.extend(head(body)?.to_le_bytes());
            bytes.extend(body);
        }
        self.send_bytes(&bytes, &[])
    }

    fn send_bytes(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let sent = sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
        let mut rest = &bytes[sent..];
        while !rest.is_empty() {
            match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                Ok(sent) => rest = &rest[sent..],
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits for a message. What has arrived of one is kept for the next call.
    ///
    /// # Errors
    /// `TimedOut` if it is not whole in time; `BrokenPipe` when the other side is gone.
    pub(crate) fn receive(&mut self, until: Option<Instant>) -> io::Result<Parcel> {
        loop {
            if let Some(message) = self.whole()? {
                return Ok(message);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let timeout = left.map(|left| Timespec::try_from(left).unwrap_or_default());
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], timeout.as_ref()) {
                Ok(0) if left == Some(Duration::ZERO) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => self.read()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether something has arrived, or the other side is gone.
    pub(crate) fn has_bytes(&self) -> bool {
        let mut ready = [PollFd::new(&self.socket, PollFlags::IN)];
        !self.bytes.is_empty() || poll(&mut ready, Some(&Timespec::default())).is_ok_and(|count| count > 0)
    }

    /// Reads what is there.
    fn read(&mut self) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received =
            match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut self.step)], &mut ancillary, flags) {
                Ok(received) => received,
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
        let mut all = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                all.extend(fds);
            }
        }
        // The kernel does not read on behind bytes that descriptors came with: these are of one message.
        if !all.is_empty() || received.flags.contains(ReturnFlags::CTRUNC) {
            self.fds.push_back(all);
        }
        if received.bytes == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.bytes.extend_from_slice(&self.step[..received.bytes]);
        Ok(())
    }

    /// The first message, if all of it is there.
    fn whole(&mut self) -> io::Result<Option<Parcel>> {
        let Some((head, rest)) = self.bytes.split_first_chunk() else { return Ok(None) };
        let head = u32::from_le_bytes(*head);
        let len = (head & !HAS_FDS) as usize;
        if len > MAX_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some(body) = rest.get(..len) else { return Ok(None) };
        let body = body.to_vec();
        self.bytes.drain(..4 + len);
        let fds = if head & HAS_FDS == 0 { None } else { self.fds.pop_front() };
        Ok(Some((body, fds.unwrap_or_default())))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_with_their_descriptors() {
        let [mut one, two] = Channel::pair().unwrap();
        let large = vec![7; 3 << 20];
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                two.send(b"first", &[file.as_fd(), file.as_fd()]).unwrap();
                two.send(&large, &[]).unwrap();
                two.send(b"", &[]).unwrap();
            });
            let (body, fds) = one.receive(None).unwrap();
            assert_eq!((&body[..], fds.len()), (&b"first"[..], 2));
            assert_eq!(rustix::fs::fstat(&fds[1]).unwrap().st_ino, rustix::fs::fstat(&file).unwrap().st_ino);
            assert!(one.receive(None).unwrap().0 == large);
            assert!(one.receive(None).unwrap().0.is_empty());
        });
        assert_eq!(one.receive(Some(Instant::now())).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(two);
        assert_eq!(one.receive(None).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn descriptors_are_of_the_message_that_they_came_with() {
        let [mut one, two] = Channel::pair().unwrap();
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let sent: [(&[u8], usize); 5] = [(b"a", 0), (b"b", 1), (b"", 3), (b"c", 0), (b"d", 2)];
        for (body, count) in sent {
            two.send(body, &vec![file.as_fd(); count]).unwrap();
        }
        for (body, count) in sent {
            let (received, fds) = one.receive(None).unwrap();
            assert_eq!((&received[..], fds.len()), (body, count));
        }
        assert!(!one.has_bytes());
    }

    #[test]
    fn a_message_that_comes_in_two_parts_is_one() {
        let [mut one, two] = Channel::pair().unwrap();
        rustix::io::write(&two, &[3, 0, 0, 0, b'a']).unwrap();
        assert_eq!(one.receive(Some(Instant::now())).unwrap_err().kind(), io::ErrorKind::TimedOut);
        rustix::io::write(&two, b"bc").unwrap();
        assert_eq!(one.receive(None).unwrap().0, b"abc");
        rustix::io::write(&two, &u32::MAX.to_le_bytes()).unwrap();
        assert_eq!(one.receive(None).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
