//! What a misspelled name may have meant.

/// Names that are shown at most.
const MAX_SHOWN: usize = 3;
/// How like a name has to be, from 0 to 1: `awe` is like `aew`.
const LEAST: f64 = 0.65;

/// What to say behind a name that is not there: `; the nearest are awe and write`, or nothing if none is like it.
#[must_use]
pub fn nearest<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    // The first knows parts that are alike in long names, the second letters that are swapped in short ones.
    let likeness =
        |name| strsim::jaro(wanted, name).max(strsim::normalized_damerau_levenshtein(wanted, name));
    let like = |name: &'n str| (likeness(name), name);
    let mut names: Vec<(f64, &str)> = names.into_iter().map(like).filter(|name| name.0 >= LEAST).collect();
    names.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
    names.dedup();
    names.truncate(MAX_SHOWN);
    let names: Vec<&str> = names.into_iter().map(|name| name.1).collect();
    match &names[..] {
        [] => String::new(),
        [one] => format!("; the nearest is {one}"),
        [first @ .., last] => format!("; the nearest are {} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_come_first() {
        let names = ["demo:beg_work", "demo:end_work", "demo:beg_work", "other:done", "demo:beg_walk"];
        assert_eq!(
            nearest("demo:beg_wrok", names),
            "; the nearest are demo:beg_work, demo:beg_walk and demo:end_work"
        );
        assert_eq!(nearest("other:doen", names), "; the nearest is other:done");
        assert_eq!(nearest("aew", ["awe", "writing"]), "; the nearest is awe");
        assert_eq!(nearest("x", names), "");
        assert_eq!(nearest("x", []), "");
    }
}
