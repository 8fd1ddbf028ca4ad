//! Which user a loopback connection comes from.
//!
//! TCP has no peer credentials, but Linux tells the owner of the socket at the other end: by a question for this one connection
//! (`man 7 sock_diag`), or, where the kernel is built without, in `/proc/net/tcp`. That file has all connections of the machine:
//! whoever opens thousands would make each look take long.

use std::net::{SocketAddr, TcpStream};

/// Whether the other end belongs to this process's user, to the superuser, or to the user who called `sudo`. On systems other
/// than Linux everyone on the machine is permitted: there the address alone, which cannot be guessed, keeps the trace private.
pub(super) fn is_permitted(stream: &TcpStream) -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let (Ok(own), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return false };
    let caller = std::env::var("SUDO_UID").ok().and_then(|text| text.parse().ok());
    owner(peer, own).is_some_and(|uid| uid == 0 || uid == this_user() || Some(uid) == caller)
}

/// This process's user: `/proc/self` belongs to it.
fn this_user() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(u32::MAX, |facts| facts.uid())
}

/// The user of the socket from `local` to `remote`, if a process has it open.
fn owner(local: SocketAddr, remote: SocketAddr) -> Option<u32> {
    let (SocketAddr::V4(from), SocketAddr::V4(to)) = (local, remote) else { return None };
    #[cfg(target_os = "linux")]
    if let Ok(owner) = kernel::owner(from, to) {
        return owner;
    }
    listed::owner(&std::fs::read_to_string("/proc/net/tcp").ok()?, from, to)
}

/// The kernel's answer about one connection (`linux/sock_diag.h`, `linux/inet_diag.h`, `man 7 netlink`).
#[cfg(target_os = "linux")]
mod kernel {
    use std::net::SocketAddrV4;

    use rustix::io::Errno;
    use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
    use rustix::net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
    };

    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const NLM_F_REQUEST: u16 = 1;
    const NLMSG_ERROR: u16 = 2;
    const AF_INET: u8 = 2;
    const IPPROTO_TCP: u8 = 6;
    /// Bytes of `struct nlmsghdr`, and of that with `struct inet_diag_req_v2`.
    const HEAD: usize = 16;
    const QUESTION: u32 = 72;
    /// Where `struct inet_diag_msg` has `idiag_uid` and `idiag_inode`.
    const UID: usize = HEAD + 64;
    const INODE: usize = HEAD + 68;

    /// `None` if there is no such connection, or nobody has it any more.
    ///
    /// # Errors
    /// If the kernel does not answer such questions.
    pub(super) fn owner(local: SocketAddrV4, remote: SocketAddrV4) -> Result<Option<u32>, Errno> {
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
        sendto(&socket, &question(local, remote), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut bytes = [0; 1024];
        // The answer is there when the question has been sent.
        let (length, _) = recv(&socket, &mut bytes, RecvFlags::DONTWAIT)?;
        owner_in(&bytes[..length])
    }

    #[expect(clippy::disallowed_methods, reason = "the kernel reads the byte order of the machine")]
    pub(super) fn question(local: SocketAddrV4, remote: SocketAddrV4) -> [u8; QUESTION as usize] {
        let mut bytes = [0; QUESTION as usize];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(0, &QUESTION.to_ne_bytes());
        put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        put(6, &NLM_F_REQUEST.to_ne_bytes());
        put(HEAD, &[AF_INET, IPPROTO_TCP]);
        // In every state.
        put(HEAD + 4, &u32::MAX.to_ne_bytes());
        put(HEAD + 8, &local.port().to_be_bytes());
        put(HEAD + 10, &remote.port().to_be_bytes());
        put(HEAD + 12, &local.ip().octets());
        put(HEAD + 28, &remote.ip().octets());
        // On every interface, and with every cookie (`INET_DIAG_NOCOOKIE`).
        put(HEAD + 48, &[u8::MAX; 8]);
        bytes
    }

    /// The owner that an answer tells.
    pub(super) fn owner_in(answer: &[u8]) -> Result<Option<u32>, Errno> {
        let word = |at: usize| {
            let bytes = answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_ne_bytes).ok_or(Errno::BADMSG)
        };
        let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
        match kind {
            Some(SOCK_DIAG_BY_FAMILY) => Ok((word(INODE)? != 0).then_some(word(UID)?)),
            Some(NLMSG_ERROR) => match Errno::from_raw_os_error(word(HEAD)?.cast_signed().saturating_neg()) {
                Errno::NOENT => Ok(None),
                other => Err(other),
            },
            _ => Err(Errno::BADMSG),
        }
    }
}

/// The text of `/proc/net/tcp` (`man 5 proc_pid_net`).
mod listed {
    use std::net::SocketAddrV4;

    /// The user of the socket from `local` to `remote`. One without an inode has been closed, and has no user but 0.
    pub(super) fn owner(sockets: &str, local: SocketAddrV4, remote: SocketAddrV4) -> Option<u32> {
        let (local, remote) = (hexadecimal(local), hexadecimal(remote));
        let mut lines = sockets.lines().map(str::split_whitespace);
        lines.find_map(|mut fields| {
            let (_, from, to) = (fields.next()?, fields.next()?, fields.next()?);
            let (uid, inode) = (from == local && to == remote).then(|| (fields.nth(4), fields.nth(1)))?;
            (inode? != "0").then(|| uid?.parse().ok())?
        })
    }

    /// An address as that file shows it: the bytes in memory as one number of the machine, and the port.
    fn hexadecimal(address: SocketAddrV4) -> String {
        format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};

    use super::*;

    fn at(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
    }

    #[test]
    fn the_owner_is_that_of_the_other_end() {
        let sockets = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:2329 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 20 4 30 10 -1
   2: 0100007F:C001 0100007F:2329 01 00000000:00000000 00:00000000 00000000 65534        0 13 1 0 20 4 30 10 -1
   3: 0100007F:C003 0100007F:2329 05 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1
";
        assert_eq!(listed::owner(sockets, at(0xC001), at(0x2329)), Some(65534));
        assert_eq!(listed::owner(sockets, at(0xC002), at(0x2329)), None);
        assert_eq!(listed::owner(sockets, at(0xC003), at(0x2329)), None, "closed");
        assert_eq!(listed::owner("", at(0xC001), at(0x2329)), None);
        assert_eq!(listed::owner("a b\n   2: 0100007F:C001 0100007F:2329 01", at(0xC001), at(0x2329)), None);
    }

    /// The kernel calls one that is closed the superuser's: another user's would take the place of the owner's.
    #[test]
    fn a_connection_of_this_process_is_permitted_until_it_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (stream, _) = listener.accept().expect("accepted");
        assert!(is_permitted(&stream));
        drop(client);
        assert!(!is_permitted(&stream));
    }

    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "the kernel reads the byte order of the machine")]
    #[test]
    fn the_kernel_tells_the_owner_or_that_there_is_none() {
        let (here, there) = (at(0xC001), at(0x2329));
        let question = kernel::question(here, there);
        assert_eq!(question[24..30], [0xC0, 0x01, 0x23, 0x29, 127, 0]);
        let mut answer = [question.to_vec(), vec![0; 16]].concat();
        answer[80..84].copy_from_slice(&65534_u32.to_ne_bytes());
        assert_eq!(kernel::owner_in(&answer), Ok(None), "no inode: closed");
        answer[84] = 7;
        assert_eq!(kernel::owner_in(&answer), Ok(Some(65534)));
        assert!(kernel::owner_in(&answer[..84]).is_err());
        answer[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        for (error, expected) in [(-2_i32, Ok(None)), (-1, Err(rustix::io::Errno::PERM))] {
            answer[16..20].copy_from_slice(&error.to_ne_bytes());
            assert_eq!(kernel::owner_in(&answer), expected);
        }
        assert!(kernel::owner_in(&[]).is_err());
    }
}
