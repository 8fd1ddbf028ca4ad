//! Which user a loopback connection comes from.
//!
//! TCP has no peer credentials, but on Linux `/proc/net/tcp` says which user owns the socket at the other end.

use std::net::{SocketAddr, TcpStream};

/// Whether the other end belongs to this process's user, to the superuser, or to the user who called `sudo`. On systems other
/// than Linux everyone on the machine is permitted: there the address alone, which cannot be guessed, keeps the trace private.
pub(super) fn is_permitted(stream: &TcpStream) -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let (Ok(own), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return false };
    let Ok(sockets) = std::fs::read_to_string("/proc/net/tcp") else { return false };
    let caller = std::env::var("SUDO_UID").ok().and_then(|text| text.parse().ok());
    owner(&sockets, peer, own).is_some_and(|uid| uid == 0 || uid == this_user() || Some(uid) == caller)
}

/// The user that this process runs as: `/proc/self` belongs to it.
fn this_user() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(u32::MAX, |facts| facts.uid())
}

/// The user of the socket from `local` to `remote`, in the text of `/proc/net/tcp` (`man 5 proc_pid_net`).
fn owner(sockets: &str, local: SocketAddr, remote: SocketAddr) -> Option<u32> {
    let (local, remote) = (hexadecimal(local)?, hexadecimal(remote)?);
    let mut lines = sockets.lines().map(str::split_whitespace);
    lines.find_map(|mut fields| {
        let (_, from, to) = (fields.next()?, fields.next()?, fields.next()?);
        (from == local && to == remote).then(|| fields.nth(4)?.parse().ok())?
    })
}

/// An address as that file shows it: the bytes in memory as one number of the machine, and the port.
fn hexadecimal(address: SocketAddr) -> Option<String> {
    let SocketAddr::V4(address) = address else { return None };
    Some(format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_that_of_the_other_end() {
        let sockets = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:2329 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 20 4 30 10 -1
   2: 0100007F:C001 0100007F:2329 01 00000000:00000000 00:00000000 00000000 65534        0 13 1 0 20 4 30 10 -1
";
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(owner(sockets, at(0xC001), at(0x2329)), Some(65534));
        assert_eq!(owner(sockets, at(0xC002), at(0x2329)), None);
        assert_eq!(owner("", at(0xC001), at(0x2329)), None);
        assert_eq!(owner("a b\n   2: 0100007F:C001 0100007F:2329 01", at(0xC001), at(0x2329)), None);
    }

    #[test]
    fn a_connection_of_this_process_is_permitted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let _client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (stream, _) = listener.accept().expect("accepted");
        assert!(is_permitted(&stream));
    }
}
