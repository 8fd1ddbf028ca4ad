//! What the recorder and the responder say to each other: messages of 24 bytes, one of which may carry a descriptor.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};

const BYTES: usize = 24;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// To the recorder: process `pid` waits to run the file that comes along.
    Waits {
        /// Chosen by the responder, never used twice.
        id: u64,
        /// The process, not the thread.
        pid: u32,
        /// When the kernel asked: CLOCK_MONOTONIC, ns.
        since_ns: u64,
    },
    /// To the recorder: processes that were not held for as long as the recorder needed, or not at all.
    Released {
        /// How many since the last such message.
        count: u64,
    },
    /// To the responder: the process of this id may run its program.
    Run {
        /// As in [`Message::Waits`].
        id: u64,
    },
    /// To the responder: hold programs on the file system of the file that comes along.
    Watch,
    /// To the responder: hold from now on. To the recorder: so it is.
    Begin,
}

impl Message {
    fn to_bytes(self) -> [u8; BYTES] {
        let (kind, pid, id, since_ns): (u32, u32, u64, u64) = match self {
            Message::Waits { id, pid, since_ns } => (0, pid, id, since_ns),
            Message::Released { count } => (1, 0, count, 0),
            Message::Run { id } => (2, 0, id, 0),
            Message::Watch => (3, 0, 0, 0),
            Message::Begin => (4, 0, 0, 0),
        };
        let mut bytes = [0; BYTES];
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&pid.to_le_bytes());
        bytes[8..16].copy_from_slice(&id.to_le_bytes());
        bytes[16..].copy_from_slice(&since_ns.to_le_bytes());
        bytes
    }

    fn parse(bytes: [u8; BYTES]) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let (pid, id, since_ns) = (word(4), long(8), long(16));
        match word(0) {
            0 => Some(Message::Waits { id, pid, since_ns }),
            1 => Some(Message::Released { count: id }),
            2 => Some(Message::Run { id }),
            3 => Some(Message::Watch),
            4 => Some(Message::Begin),
            _ => None,
        }
    }
}

/// Sends a message without waiting for room.
///
/// # Errors
/// When the other side is gone, or does not read.
pub(super) fn send(socket: BorrowedFd<'_>, message: Message, file: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let files = file.map(|file| [file]);
    if let Some(files) = &files {
        ancillary.push(SendAncillaryMessage::ScmRights(files));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    rustix::net::sendmsg(socket, &[IoSlice::new(&message.to_bytes())], &mut ancillary, flags)?;
    Ok(())
}

/// Sends a message, and waits for room up to `limit`: the other side reads without waiting for anything.
///
/// # Errors
/// As [`send`].
pub(super) fn send_within(socket: BorrowedFd<'_>, message: Message, limit: Duration) -> io::Result<()> {
    let until = Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match send(socket, message, None) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !left.is_zero() => {
                let left = Timespec::try_from(left).ok();
                let _ = poll(&mut [PollFd::from_borrowed_fd(socket, PollFlags::OUT)], left.as_ref());
            }
            other => return other,
        }
    }
}

/// Receives a message and what comes along with it, without waiting; `None` once the other side is gone.
///
/// # Errors
/// `WouldBlock` when there is none now.
pub(super) fn receive(socket: impl AsFd) -> io::Result<Option<(Message, Option<OwnedFd>)>> {
    let mut bytes = [0; BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)?;
    let file = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    if received.bytes == 0 {
        return Ok(None);
    }
    let message = Message::parse(bytes).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some((message, file)))
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn a_message_arrives_with_its_descriptor() {
        let kind = SocketType::SEQPACKET;
        let (one, two) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let messages = [
            Message::Waits { id: u64::MAX - 1, pid: 7, since_ns: 1 << 50 },
            Message::Released { count: 1 << 33 },
            Message::Run { id: 1 << 40 },
            Message::Watch,
            Message::Begin,
        ];
        for message in messages {
            send(one.as_fd(), message, Some(file.as_fd())).unwrap();
            send(one.as_fd(), message, None).unwrap();
            let (received, along) = receive(&two).unwrap().unwrap();
            assert_eq!(received, message);
            let facts = rustix::fs::fstat(along.unwrap()).unwrap();
            assert_eq!(facts.st_ino, rustix::fs::fstat(&file).unwrap().st_ino);
            let (received, along) = receive(&two).unwrap().unwrap();
            assert!((received, along.is_none()) == (message, true));
        }
        assert_eq!(receive(&two).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(one);
        // The kernel may close it a moment later.
        poll(&mut [PollFd::new(&two, PollFlags::IN)], Some(&Timespec { tv_sec: 60, tv_nsec: 0 })).unwrap();
        assert!(receive(&two).unwrap().is_none());
    }
}
