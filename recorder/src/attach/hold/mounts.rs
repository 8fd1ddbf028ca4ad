//! File systems from which programs are run: all that any process has mounted, now or later.
//!
//! A file system is watched as a whole, wherever it is mounted. What another process serves over the network or from user space is
//! left out: the responder would wait for that process, and all others for the responder.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::find::look::Query;
use crate::find::look::debts::Debts;
use crate::find::look::lookers::Lookers;
use crate::host::process;

/// Types of file systems whose files come from another process or machine; `fuse` stands for `fuse.sshfs` and the like too.
const SERVED: [&str; 13] = [
    "autofs", "fuse", "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "afs", "coda", "lustre", "ncpfs",
];

/// Bytes of a mount table that are read: 100 000 mounts.
const MAX_TABLE_BYTES: u64 = 16 << 20;
/// Mount namespaces that are remembered at a time.
const MAX_NAMESPACES: usize = 4096;
/// How long one look at what another user has mounted may take: programs wait meanwhile, and so does the end. What is not watched
/// then is not held, which is said where a program runs there.
const PATIENCE: Duration = Duration::from_millis(300);

/// What has been seen of mount tables.
#[derive(Debug)]
pub(super) struct Mounts {
    /// By mount namespace: a hash of its table.
    tables: HashMap<u64, u64>,
    /// The recorder's own namespace.
    ours: u64,
    /// How long looking at what each user has mounted took.
    debts: Debts,
}

impl Mounts {
    pub(super) fn new() -> Self {
        Self { tables: HashMap::new(), ours: namespace("self").unwrap_or(0), debts: Debts::default() }
    }

    /// Looks at the namespaces of all processes.
    pub(super) fn look_everywhere(&mut self, lookers: &mut Lookers, watch: &mut dyn FnMut(OwnedFd)) {
        self.look_at_ours(lookers, watch);
        let mut seen = HashSet::from([self.ours]);
        for pid in process::pids().unwrap_or_default() {
            let process = pid.to_string();
            if namespace(&process).is_some_and(|namespace| seen.insert(namespace)) {
                self.look_at(&process, lookers, watch);
            }
        }
    }

    /// Looks at the recorder's own namespace, where something was mounted.
    pub(super) fn look_at_ours(&mut self, lookers: &mut Lookers, watch: &mut dyn FnMut(OwnedFd)) {
        self.look_at("self", lookers, watch);
    }

    /// Looks at the namespace of process `pid`, if it has another one; nothing tells of what is mounted there.
    pub(super) fn look_at_other(&mut self, pid: u32, lookers: &mut Lookers, watch: &mut dyn FnMut(OwnedFd)) {
        let process = pid.to_string();
        if namespace(&process).is_some_and(|namespace| namespace != self.ours) {
            self.look_at(&process, lookers, watch);
        }
    }

    /// Looks at the namespace of a process, unless that of its user has taken too long of late.
    fn look_at(&mut self, process: &str, lookers: &mut Lookers, watch: &mut dyn FnMut(OwnedFd)) {
        // Its own if that is no number.
        let user = process::owner(process.parse().unwrap_or(0)).user;
        let begun = Instant::now();
        if !self.debts.is_over(user, begun) {
            let until = (user != 0).then_some(begun + PATIENCE);
            self.look_until(until, process, lookers, watch);
            self.debts.add(user, begun.elapsed(), Instant::now());
        }
    }

    fn look_until(
        &mut self,
        until: Option<Instant>,
        process: &str,
        lookers: &mut Lookers,
        watch: &mut dyn FnMut(OwnedFd),
    ) {
        let folder = Path::new("/proc").join(process);
        let mut table = Vec::new();
        let file = File::open(folder.join("mountinfo"));
        // A process that is gone has no table.
        if file.and_then(|file| file.take(MAX_TABLE_BYTES).read_to_end(&mut table)).is_err() {
            return;
        }
        let mut hasher = DefaultHasher::new();
        table.hash(&mut hasher);
        if self.tables.len() >= MAX_NAMESPACES {
            self.tables.clear();
        }
        let Some(namespace) = namespace(process) else { return };
        if self.tables.insert(namespace, hasher.finish()) == Some(hasher.finish()) {
            return;
        }
        let (mut watched, is_foreign) = (HashSet::new(), is_of_users(process));
        for mount in table.split(|byte| *byte == b'\n').filter_map(Mount::parse) {
            if !mount.may_run || mount.is_served || watched.contains(&mount.device) {
                continue;
            }
            // Below an overlay of another user may be a file system that it serves.
            if mount.is_overlay && is_foreign {
                continue;
            }
            if until.is_some_and(|until| Instant::now() > until) {
                break;
            }
            let root = folder.join("root");
            let place = mount.place.strip_prefix("/").map_or(root.clone(), |place| root.join(place));
            // It may be hidden by another mount, or be a folder that this process may not see. A kernel that does not say the mount
            // (5.7 and older) is believed.
            let pid = process.parse().unwrap_or(0);
            if let Ok((Ok(id), Some(file))) =
                lookers.ask::<io::Result<Option<u64>>>(pid, &Query::Mount(place), None)
                && id.is_none_or(|id| id == mount.id)
            {
                watched.insert(mount.device);
                watch(file);
            }
        }
    }
}

/// Where control groups begin that can freeze processes.
pub(super) fn freezers() -> Vec<PathBuf> {
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let is_freezer = |line: &&[u8]| {
        let mut fields = line.split(|byte| *byte == b' ').skip_while(|field| *field != b"-").skip(1);
        let (kind, options) = (fields.next(), fields.nth(1).unwrap_or_default());
        kind == Some(b"cgroup2")
            || kind == Some(b"cgroup")
                && options.split(|byte| *byte == b',').any(|option| option == b"freezer")
    };
    let lines = table.split(|byte| *byte == b'\n').filter(is_freezer);
    lines.filter_map(Mount::parse).map(|mount| mount.place).collect()
}

/// Whether the mounts that a process sees may have been made by a user without rights outside of a namespace of its own.
fn is_of_users(process: &str) -> bool {
    /// `PROC_USER_INIT_INO` of the kernel's `include/linux/proc_ns.h`.
    const FIRST: u64 = 0xefff_fffd;
    let owner = || {
        let mounts = File::open(format!("/proc/{process}/ns/mnt")).ok()?;
        // SAFETY: the call takes no memory, and gives a new descriptor.
        let owner = unsafe { libc::ioctl(mounts.as_raw_fd(), NS_GET_USERNS) };
        // SAFETY: as above; nothing else owns it.
        let owner = (owner >= 0).then(|| unsafe { OwnedFd::from_raw_fd(owner) })?;
        Some(File::from(owner).metadata().ok()?.ino())
    };
    owner() != Some(FIRST)
}

/// Of the kernel's `include/uapi/linux/nsfs.h`: `_IO(0xb7, 0x1)`.
const NS_GET_USERNS: libc::c_ulong = 0xb701;

/// Inode of the mount namespace of a process.
fn namespace(process: &str) -> Option<u64> {
    fs::metadata(format!("/proc/{process}/ns/mnt")).ok().map(|facts| facts.ino())
}

/// A line of a mount table.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    id: u64,
    /// Major and minor number, as text.
    device: String,
    place: PathBuf,
    /// Whether programs may be run from it.
    may_run: bool,
    /// Whether another process or machine serves it.
    is_served: bool,
    is_overlay: bool,
}

impl Mount {
    /// `ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS TAG... - TYPE SOURCE OPTIONS`.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let id = str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let device = str::from_utf8(fields.nth(1)?).ok()?.to_owned();
        let place = unescape(fields.nth(1)?);
        let may_run = !fields.next()?.split(|byte| *byte == b',').any(|option| option == b"noexec");
        let kind = str::from_utf8(fields.skip_while(|field| *field != b"-").nth(1)?).ok()?;
        let is_served = SERVED.contains(&kind.split('.').next()?);
        let is_overlay = kind == "overlay";
        Some(Self { id, device, place, may_run, is_served, is_overlay })
    }
}

/// Path as it is; the kernel writes blanks and the like in it as `\040`.
fn unescape(text: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| first == b'\\') {
            Some(byte) => {
                path.push(byte);
                rest = &tail[3..];
            }
            None => {
                path.push(first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_is_understood() {
        let parse = |line: &str| Mount::parse(line.as_bytes()).unwrap();
        let mount = parse(r"27 1 254:0 / /a\040b rw,relatime shared:1 master:2 - ext4 /dev/vda rw");
        let place = PathBuf::from("/a b");
        let expected = Mount {
            id: 27,
            device: "254:0".into(),
            place,
            may_run: true,
            is_served: false,
            is_overlay: false,
        };
        assert_eq!(mount, expected);
        assert!(!parse("22 27 0:21 / /proc rw,noexec,nosuid - proc proc rw").may_run);
        for kind in ["fuse.sshfs", "fuse", "nfs4", "autofs", "9p"] {
            assert!(parse(&format!("1 2 0:1 / /mnt rw - {kind} source rw")).is_served, "{kind}");
        }
        for line in ["", "27", "27 1 254:0 / /", "x 1 254:0 / / rw - ext4 a rw", "27 1 254:0 / / rw -"] {
            assert_eq!(Mount::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn an_escaped_path_is_itself_again() {
        for (text, path) in
            [(r"/a\040b", "/a b"), (r"/a\134040", r"/a\040"), (r"/\", r"/\"), (r"/\9", r"/\9")]
        {
            assert_eq!(unescape(text.as_bytes()), PathBuf::from(path));
        }
    }

    #[test]
    fn every_file_system_is_watched_once_until_something_is_mounted() {
        let (mut mounts, mut lookers) = (Mounts::new(), Lookers::default());
        let mut devices = Vec::new();
        mounts.look_at_ours(&mut lookers, &mut |file| devices.push(rustix::fs::fstat(&file).unwrap().st_dev));
        assert!(devices.contains(&fs::metadata("/").unwrap().dev()), "{devices:?}");
        let count = devices.len();
        devices.sort_unstable();
        devices.dedup();
        assert_eq!(devices.len(), count);
        let own = std::process::id();
        mounts.look_at_ours(&mut lookers, &mut |file| panic!("{file:?} again"));
        mounts.look_at_other(own, &mut lookers, &mut |file| panic!("{file:?} is ours"));
    }
}
