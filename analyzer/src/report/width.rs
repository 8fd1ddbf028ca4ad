//! How much room texts take on a terminal, and names in less of it.

use std::collections::BTreeMap;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that `text`, which is escaped, takes on a terminal: wide letters take two, marks above others none.
#[must_use]
pub fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// Each of `names` in at most `room` columns, with `dots` for what is left out; different names stay different as far as there is
/// room for that.
#[must_use]
pub fn short_names(names: &[String], room: usize, dots: &str) -> Vec<String> {
    let mut short: Vec<String> = names.iter().map(|name| short_name(name, room, dots)).collect();
    let mut alike: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, name) in short.iter().enumerate() {
        alike.entry(name).or_default().push(number);
    }
    let differ = |group: &&Vec<usize>| group.iter().any(|&number| names[number] != names[group[0]]);
    let groups: Vec<Vec<usize>> = alike.values().filter(differ).cloned().collect();
    for group in groups {
        let common = group.iter().map(|&number| common_bytes(&names[group[0]], &names[number]));
        let common = common.filter(|&bytes| bytes < names[group[0]].len()).min().unwrap_or_default();
        for number in group {
            short[number] = from_here(&names[number], common, room, dots);
        }
    }
    short
}

/// A name in at most `room` columns: the middle gives way, or that of both sides of an arrow.
fn short_name(name: &str, room: usize, dots: &str) -> String {
    if columns(name) <= room {
        return name.to_owned();
    }
    let sides = name.split_once(ARROW).filter(|_| room >= LEAST_WITH_ARROW);
    let Some((from, to)) = sides else { return without_middle(name, room, dots) };
    let room = room - ARROW.len();
    // What one side does not need, the other has.
    let from_room = (room / 2).max(room.saturating_sub(columns(to))).min(columns(from));
    let (from, to) = (without_middle(from, from_room, dots), without_middle(to, room - from_room, dots));
    format!("{from}{ARROW}{to}")
}

/// Stands in the name of a wait.
const ARROW: &str = " -> ";
/// Columns from which on both sides of an arrow are shown.
const LEAST_WITH_ARROW: usize = 16;

fn without_middle(name: &str, room: usize, dots: &str) -> String {
    if columns(name) <= room {
        return name.to_owned();
    }
    let Some(left) = room.checked_sub(columns(dots)).filter(|&left| left > 0) else { return String::new() };
    let head = head(name, left - left / 3);
    let letters = name[head.len()..].char_indices().rev();
    let mut used = columns(head);
    let tail = letters.take_while(|&(_, letter)| {
        used += letter.width().unwrap_or(0);
        used <= left
    });
    let at = tail.last().map_or(name.len(), |(at, _)| head.len() + at);
    format!("{head}{dots}{}", &name[at..])
}

/// The begin of `name` that takes at most `room` columns.
pub(super) fn head(name: &str, room: usize) -> &str {
    let mut used = 0;
    let end = name.char_indices().find(|&(_, letter)| {
        used += letter.width().unwrap_or(0);
        used > room
    });
    &name[..end.map_or(name.len(), |(at, _)| at)]
}

/// `name` from a little before its byte `at` on.
fn from_here(name: &str, at: usize, room: usize, dots: &str) -> String {
    let Some(left) = room.checked_sub(2 * columns(dots)).filter(|&left| left > 0) else {
        return head(name, room).to_owned();
    };
    let before = name[..at].char_indices().rev().take(left / 3).last().map_or(at, |(at, _)| at);
    let shown = head(&name[before..], left);
    let [begin, end] =
        [before > 0, before + shown.len() < name.len()].map(|is_cut| if is_cut { dots } else { "" });
    format!("{begin}{shown}{end}")
}

/// Bytes of the letters that two texts begin with.
fn common_bytes(a: &str, b: &str) -> usize {
    let differ = a.char_indices().zip(b.chars()).find(|((_, a), b)| a != b);
    differ.map_or(a.len().min(b.len()), |((at, _), _)| at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn short(names: &[&str], room: usize) -> Vec<String> {
        short_names(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), room, "…")
    }

    #[test]
    fn wide_letters_take_two_columns() {
        assert_eq!(["writing", "处理", "é", "e\u{301}"].map(columns), [7, 4, 1, 1]);
        assert_eq!(short(&["日本語日本語"], 7), ["日本…語"]);
    }

    #[test]
    fn the_middle_of_a_long_name_gives_way() {
        assert_eq!(short(&["writing"], 7), ["writing"]);
        assert_eq!(short(&["read_frame_of_camera"], 12), ["read_fra…era"]);
        assert_eq!(short(&["read_frame_of_camera -> write_frame_of_disk"], 24), ["read_f…era -> write_…isk"]);
        assert_eq!(short(&["a -> write_frame_of_disk"], 18), ["a -> write_fr…disk"]);
        assert_eq!(short(&["abcdef"], 1), [""]);
    }

    #[test]
    fn different_names_stay_different() {
        let names = ["decode_the_frame_1_of_the_pipeline", "decode_the_frame_2_of_the_pipeline"];
        assert_eq!(short(&names, 12), ["…me_1_of_th…", "…me_2_of_th…"]);
        let same = ["decode_the_frame_1_of_the_pipeline"; 2];
        assert_eq!(short(&same, 12), ["decode_t…ine"; 2]);
    }

    proptest! {
        #[test]
        fn no_name_is_wider_than_its_room(names: Vec<String>, room in 0_usize..40) {
            let names: Vec<String> = names.iter().map(|name| tracer_format::log::escape(name).into_owned()).collect();
            for name in short_names(&names, room, "…") {
                prop_assert!(columns(&name) <= room, "{name}: {room}");
            }
        }
    }
}
