//! The user that the command runs as. It is looked up through the C library, so users from LDAP and the like are found. Only
//! the thread that starts the command changes its identity; the recorder keeps its privileges.
//!
//! The command gets nothing of the caller's that it was not given: it has a session of its own, so it cannot type into the caller's
//! terminal; no descriptors but 0, 1 and 2; no keyring, no capabilities, and of the environment only what is harmless.

use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};

use nix::unistd::getgrouplist;
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use crate::error::{Error, Result};

/// Variables of the caller's environment that the command has, too, besides those that begin with `LC_`.
const KEPT: [&str; 5] = ["PATH", "TERM", "LANG", "LANGUAGE", "TZ"];

/// A user of this system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Number of the user.
    pub uid: u32,
    /// Number of the user's own group.
    pub gid: u32,
    /// Numbers of all groups, the user's own included.
    pub groups: Vec<u32>,
    /// Home folder.
    pub home: PathBuf,
    /// Login shell.
    pub shell: PathBuf,
    /// Whether the command may not gain privileges either, as set-uid programs do.
    pub is_confined: bool,
}

impl User {
    /// Looks up a name, or else a number.
    ///
    /// # Errors
    /// [`Error::User`] if there is no such user; [`Error::System`] if the user database cannot be read.
    pub fn find(text: &str) -> Result<Self> {
        let unreadable =
            |source: nix::Error| Error::System { doing: "look up the user", source: source.into() };
        let mut found = known(nix::unistd::User::from_name(text)).map_err(unreadable)?;
        if found.is_none()
            && let Ok(uid) = text.parse()
        {
            let uid = nix::unistd::Uid::from_raw(uid);
            found = known(nix::unistd::User::from_uid(uid)).map_err(unreadable)?;
        }
        let found = found.ok_or_else(|| Error::User(text.to_owned()))?;
        let name = CString::new(found.name.as_bytes()).map_err(|_| Error::User(text.to_owned()))?;
        let groups = getgrouplist(&name, found.gid).map_err(unreadable)?;
        Ok(Self {
            name: found.name,
            uid: found.uid.as_raw(),
            gid: found.gid.as_raw(),
            groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
            home: found.dir,
            shell: found.shell,
            is_confined: false,
        })
    }

    /// Starts `command` as this user, the leader of a session, with the user's home, name and shell in the environment.
    ///
    /// # Errors
    /// [`Error::System`] if this process may not, or the command does not start.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Child> {
        let is_kept = |name: &str| KEPT.contains(&name) || name.starts_with("LC_");
        let kept = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_kept));
        command.env_clear().envs(kept);
        command.env("HOME", &self.home).env("SHELL", &self.shell);
        command.env("USER", &self.name).env("LOGNAME", &self.name);
        // SAFETY: it makes system calls and nothing else.
        unsafe { command.pre_exec(leave_caller) };
        // A child has the identity of the thread that starts it, and Linux keeps one for each thread.
        let spawned = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.assume()?;
                command.spawn().map_err(|source| Error::System { doing: "start the command", source })
            });
            thread.join()
        });
        spawned.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Gives the calling thread the identity of this user, permanently.
    fn assume(&self) -> Result<()> {
        let groups: Vec<Gid> = self.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        // The user last: after that the thread may no longer change its groups.
        let taken = set_thread_groups(&groups)
            .and_then(|()| set_thread_res_gid(gid, gid, gid))
            .and_then(|()| set_thread_res_uid(uid, uid, uid))
            .and_then(|()| drop_capabilities())
            .and_then(|()| if self.is_confined { set_no_new_privs(true) } else { Ok(()) });
        taken.map_err(|source| Error::System {
            doing: "run the command as another user (needs root, or CAP_SETUID and CAP_SETGID)",
            source: io::Error::from(source),
        })
    }
}

/// What the user database answered, without the errors that mean "no such user" (getpwnam(3)): the C library gives one of them
/// where a source of users, such as the daemon of sssd, is not there.
fn known(answer: nix::Result<Option<nix::unistd::User>>) -> nix::Result<Option<nix::unistd::User>> {
    match answer {
        Err(nix::Error::ENOENT | nix::Error::ESRCH | nix::Error::EBADF | nix::Error::EPERM) => Ok(None),
        answer => answer,
    }
}

/// Gives up what survives a change of the user: capabilities that a service manager put in the ambient set, for example, and
/// all of them where the recorder was not root itself.
fn drop_capabilities() -> rustix::io::Result<()> {
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// Cuts a process that is about to run the command off from the caller.
fn leave_caller() -> io::Result<()> {
    /// `KEYCTL_JOIN_SESSION_KEYRING` of `linux/keyctl.h`.
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    rustix::process::setsid()?;
    // SAFETY: a new keyring, without a name; where the kernel has none, there is nothing to leave.
    unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
    // They are closed when the command begins; until then one of them tells if it does not.
    // SAFETY: no memory is concerned.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use tracer_format::log::escape;

    use super::*;

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let root = User::find("root").expect("every system has root");
        assert_eq!((root.uid, root.gid, &root.name[..]), (0, 0, "root"));
        assert!(root.groups.contains(&0), "{root:?}");
        assert_eq!(User::find("0").expect("found"), root);
    }

    #[test]
    fn a_source_of_users_that_is_away_knows_no_user() {
        assert_eq!(known(Err(nix::Error::ENOENT)).map(|user| user.is_none()), Ok(true));
        assert_eq!(known(Err(nix::Error::EMFILE)).map(|user| user.is_none()), Err(nix::Error::EMFILE));
    }

    #[test]
    fn an_unknown_user_is_named() {
        for text in ["no-such-user", "4294967294", "", "-1", "a\0b"] {
            let error = User::find(text).expect_err("no user").to_string();
            let shown = escape(text);
            let expected = "not known to this system, expected a name or a number";
            assert!(error.contains(&format!("{shown}: {expected}")), "{error}");
        }
    }
}
