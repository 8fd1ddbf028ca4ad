//! The user behind a user id. Subordinate ids (`/etc/subuid`), which a user has thousands of, count as one user: otherwise limits for each
//! user would be none.

use std::fs::File;
use std::io::Read;
use std::sync::OnceLock;

/// Bytes of the table that are read.
const MAX_BYTES: u64 = 4 << 20;

/// Smaller ids are those of users, whatever the table says.
const FIRST: u32 = 1 << 16;

/// The first id of each range, and how many there are.
type Ranges = Vec<(u32, u32)>;

static SUBORDINATE: OnceLock<Ranges> = OnceLock::new();

/// The number that stands for the user with this id: the id, or the first one of the range of subordinate ids that it is from.
pub(crate) fn behind(id: u32) -> u32 {
    of(SUBORDINATE.get_or_init(read), id)
}

fn of(ranges: &Ranges, id: u32) -> u32 {
    let has_id = |(first, count): &&(u32, u32)| id.checked_sub(*first).is_some_and(|at| at < *count);
    let range = ranges.iter().find(has_id).filter(|_| id >= FIRST);
    range.map_or(id, |(first, _)| *first)
}

fn read() -> Ranges {
    let mut text = String::new();
    // Without the table, each id is a user.
    let _ = File::open("/etc/subuid").and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    parse(&text)
}

/// Parses lines of `NAME:FIRST:COUNT`.
fn parse(text: &str) -> Ranges {
    let range = |line: &str| {
        let mut fields = line.split(':').skip(1);
        Some((fields.next()?.trim().parse().ok()?, fields.next()?.trim().parse().ok()?))
    };
    text.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_subordinate_ids_of_a_user_are_one() {
        let ranges = parse("# comment\nann:100000:65536\nbob:165536:65536\nbad:x:1\nroot:1:65536\n");
        let behind = [0, 1000, 99_999, 100_000, 165_535, 165_536, 231_071, 231_072].map(|id| of(&ranges, id));
        assert_eq!(behind, [0, 1000, 99_999, 100_000, 100_000, 165_536, 165_536, 231_072]);
    }
}
