//! How many of the sites that one recording has room for a user's files may take: none takes the room of another's.

use std::collections::HashMap;

use crate::find::binary::Binary;
use crate::host::user;
use crate::kernel::sites::MAX_SITES;

/// Sites of the files of one user, other than root and the one that records.
const MAX_OF_USER: usize = MAX_SITES as usize / 4;
/// Sites of the files of all those users.
const MAX_OF_USERS: usize = MAX_SITES as usize / 4 * 3;

/// The sites that each user's files have taken. They are not given back: their numbers are in the trace.
#[derive(Debug, Default)]
pub(super) struct Shares {
    taken: HashMap<u32, usize>,
    taken_by_all: usize,
}

impl Shares {
    /// Takes the sites of a file.
    ///
    /// # Errors
    /// Why it may not: its owner has too many, or there is no room in all.
    pub(super) fn take(&mut self, binary: &Binary, room: usize) -> Result<(), String> {
        let owner = user::behind(binary.owner);
        self.take_for(owner, rustix::process::geteuid().as_raw(), binary.sites.len(), room)
    }

    fn take_for(&mut self, owner: u32, own: u32, sites: usize, room: usize) -> Result<(), String> {
        if sites > room {
            return Err(format!("there is room for {room} more"));
        }
        if owner == 0 || owner == own {
            return Ok(());
        }
        let taken = self.taken.entry(owner).or_default();
        let left = (MAX_OF_USER - *taken).min(MAX_OF_USERS - self.taken_by_all);
        if sites > left {
            return Err(format!(
                "the files of its owner (uid {owner}) may have {left} more sites, of {MAX_OF_USER}"
            ));
        }
        *taken += sites;
        self.taken_by_all += sites;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_leaves_room_for_the_others() {
        let (mut shares, mut room) = (Shares::default(), MAX_SITES as usize);
        let mut take = |owner, sites| {
            let result = shares.take_for(owner, 1000, sites, room);
            room -= if result.is_ok() { sites } else { 0 };
            result
        };
        // As many as one file can have.
        let most = 1 << 16;
        assert_eq!((0..17).filter(|_| take(7, most).is_ok()).count(), 4);
        assert_eq!(
            take(7, 1).unwrap_err(),
            "the files of its owner (uid 7) may have 0 more sites, of 262144"
        );
        let others = (8..20).flat_map(|uid| [uid; 5]).filter(|uid| take(*uid, most).is_ok()).count();
        assert_eq!(others, 8, "three users have all that there is for users");
        // A quarter is left for root, and for the user that records.
        assert_eq!((take(0, 2 * most), take(1000, 2 * most)), (Ok(()), Ok(())));
        assert_eq!(take(0, 1).unwrap_err(), "there is room for 0 more");
    }
}
