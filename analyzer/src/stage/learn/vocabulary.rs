//! The names of a provider's probes, read together: which of them begin stages, and which end those.
//!
//! Each name has one word that tells whether it begins or ends. `beg_request`, `end_request`, `beg_reply` and `end_reply` could be
//! read two ways, as `beg` to `end` of two things and as `request` to `reply` of two others; the names that can be read in one way
//! only, and the words themselves, tell which it is.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::words::{SEPARATORS, WORDS, pieces, surety};

/// Words of a name that may each be the one that begins, at most.
const MOST_BEGINS: usize = 8;

/// The stages that the names of a provider's probes tell.
pub(crate) struct Vocabulary<'p>(BTreeMap<&'p str, Reading<'p>>);

/// A name that begins, as one of its words tells.
struct Reading<'p> {
    begin: &'p str,
    /// Position of that word in the name, and among [`WORDS`].
    at: usize,
    word: usize,
    /// Words behind it.
    behind: usize,
    /// Names that have another word there, which may end what it begins.
    ends: Vec<(&'static str, &'p str)>,
}

/// Of two readings of a name, the higher one is right: by how surely its ends are ends, by the names that begin with its word in its
/// place, by that word, by its position.
type Rank = (i8, usize, Reverse<usize>, usize);

impl<'p> Vocabulary<'p> {
    pub(crate) fn new(probes: impl IntoIterator<Item = &'p str>) -> Self {
        let mut names: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for probe in probes {
            names.entry(words(probe).join("_")).or_default().push(probe);
        }
        let mut all: Vec<Reading<'p>> =
            names.values().flatten().flat_map(|name| readings(name, &names)).collect();
        let mut begun: BTreeMap<(usize, WordPlace), usize> = BTreeMap::new();
        for reading in &all {
            reading
                .places()
                .into_iter()
                .for_each(|place| *begun.entry((reading.word, place)).or_default() += 1);
        }
        let rank = |reading: &Reading<'_>| -> Rank {
            let surety = reading.ends.iter().map(|(end, _)| surety(end)).max().unwrap_or_default();
            let alike = reading.places().map(|place| begun[&(reading.word, place)]).into_iter().max();
            (surety, alike.unwrap_or_default(), Reverse(reading.word), reading.at)
        };
        let mut telling: BTreeMap<&str, (Rank, usize)> = BTreeMap::new();
        for reading in &all {
            let own = (rank(reading), reading.at);
            for name in reading.names() {
                let best = telling.entry(name).or_insert(own);
                *best = own.max(*best);
            }
        }
        all.retain_mut(|reading| {
            let tells = |name: &str| telling[name].1 == reading.at;
            reading.ends.retain(|(_, end)| tells(end));
            tells(reading.begin) && !reading.ends.is_empty()
        });
        Self(all.into_iter().map(|reading| (reading.begin, reading)).collect())
    }

    /// The stage that probe `name` begins, and the probes that may end it; `None` if it begins none. The stage's name is what the
    /// names share, which is nothing where they are bare words (`start` and `done`).
    pub(crate) fn ends_of(&self, name: &str) -> Option<(String, Vec<&'p str>)> {
        let reading = self.0.get(name)?;
        Some((without_word(name, reading.at), reading.ends.iter().map(|(_, end)| *end).collect()))
    }
}

/// Where a word stands in a name.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum WordPlace {
    FromStart(usize),
    FromEnd(usize),
}

impl<'p> Reading<'p> {
    fn places(&self) -> [WordPlace; 2] {
        [WordPlace::FromStart(self.at), WordPlace::FromEnd(self.behind)]
    }

    fn names(&self) -> impl Iterator<Item = &'p str> {
        self.ends.iter().map(|(_, end)| *end).chain([self.begin])
    }
}

/// The ways in which `name` may begin a stage that others of `names`, by their words, end.
fn readings<'p>(name: &'p str, names: &BTreeMap<String, Vec<&'p str>>) -> Vec<Reading<'p>> {
    let words = words(name);
    let word_at = |at: usize| Some((at, WORDS.iter().position(|(begin, _)| *begin == words[at])?));
    let begins = (0..words.len()).rev().filter_map(word_at).take(MOST_BEGINS);
    let reading = |(at, word)| {
        let behind = words.len() - 1 - at;
        Reading { begin: name, at, word, behind, ends: ends(name, (at, word), &words, names) }
    };
    begins.map(reading).filter(|reading| !reading.ends.is_empty()).collect()
}

/// The names that have another word at `at` than `name`, which begins with the one at `word`. One that follows another of them
/// is left out: after `enter`, `exit` ends what `entered` began.
fn ends<'p>(
    name: &str,
    (at, word): (usize, usize),
    words: &[String],
    names: &BTreeMap<String, Vec<&'p str>>,
) -> Vec<(&'static str, &'p str)> {
    let mut found: Vec<(&'static str, &'p str)> = Vec::new();
    for &end in WORDS[word].1 {
        let other: Vec<&str> =
            (0..).zip(words).map(|(own, word)| if own == at { end } else { word }).collect();
        let Some(names) = names.get(&other.join("_")) else { continue };
        // Names mix separators: `query_start` ends with `query__done`, unless there is a `query_done`.
        let alike = names.iter().find(|it| separators(it).eq(separators(name)));
        found.push((end, alike.unwrap_or(&names[0])));
    }
    let begins = |word: &str, end: &str| WORDS.iter().any(|(it, ends)| *it == word && ends.contains(&end));
    let follows = |end: &str| found.iter().any(|(other, _)| *other != words[at] && begins(other, end));
    found.iter().filter(|(word, _)| !follows(word)).copied().collect()
}

/// The words of a name, in small letters.
fn words(name: &str) -> Vec<String> {
    pieces(name).filter(|(word, _)| !word.is_empty()).map(|(word, _)| word.to_ascii_lowercase()).collect()
}

fn separators(name: &str) -> impl Iterator<Item = &str> {
    pieces(name).map(|(_, separator)| separator)
}

/// What is left of `name` without its word at `at`.
fn without_word(name: &str, at: usize) -> String {
    let pieces = pieces(name.trim_matches(SEPARATORS)).enumerate().filter(|(own, _)| *own != at);
    let rest: String = pieces.flat_map(|(_, (word, separator))| [word, separator]).collect();
    rest.trim_matches(SEPARATORS).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(name: &str, probes: &[&'static str]) -> Option<(String, Vec<&'static str>)> {
        Vocabulary::new(probes.iter().copied()).ends_of(name)
    }

    #[test]
    fn forms_of_names_are_learned() {
        let cases = [
            ("beg_a", "end_a", "a"),
            ("begin_b", "end_b", "b"),
            ("c_start", "c_done", "c"),
            ("e_start", "e_stop", "e"),
            ("f__start", "f__done", "f"),
            ("g__entry", "g__return", "g"),
            ("gc-begin", "gc-end", "gc"),
            ("io.submit", "io.cancel", "io"),
            ("request__startup", "request__shutdown", "request"),
            ("http_request", "http_response", "http"),
            ("mutex_entry", "mutex_acquired", "mutex"),
            ("mutex_acquired", "mutex_release", "mutex"),
            ("q__enqueue", "q__dequeue", "q"),
            ("enter_call", "leave_call", "call"),
            ("queryStart", "queryDone", "query"),
            ("GCStart", "GCEnd", "GC"),
            ("beginFrame", "endFrame", "Frame"),
            ("BeginFrame", "EndFrame", "Frame"),
            ("QUERY_START", "QUERY_DONE", "QUERY"),
            ("sql_queryStart", "sql_queryDone", "sql_query"),
            ("start", "done", ""),
            ("_start", "_done", ""),
            ("throw", "catch", ""),
        ];
        for (from, to, name) in cases {
            assert_eq!(ends(from, &[from, to]), Some((name.to_owned(), vec![to])), "{from} {to}");
        }
    }

    #[test]
    fn a_stage_may_have_several_ends() {
        let probes = ["transaction__start", "transaction__commit", "transaction__abort", "query__start"];
        let expected = vec!["transaction__commit", "transaction__abort"];
        assert_eq!(ends("transaction__start", &probes), Some(("transaction".to_owned(), expected)));
        assert_eq!(ends("query__start", &probes), None);
    }

    #[test]
    fn what_follows_an_end_is_no_other_end() {
        let probes = ["m__enter", "m__entered", "m__exit"];
        assert_eq!(ends("m__enter", &probes), Some(("m".to_owned(), vec!["m__entered"])));
        assert_eq!(ends("m__entered", &probes), Some(("m".to_owned(), vec!["m__exit"])));
        let probes = ["v__request", "v__begin", "v__end", "v__done"];
        assert_eq!(ends("v__request", &probes), Some(("v".to_owned(), vec!["v__begin"])));
    }

    #[test]
    fn a_name_with_the_same_separators_comes_first() {
        let probes = ["a_start", "a.start", "a__done", "a_done", "a-done"];
        assert_eq!(ends("a_start", &probes), Some(("a".to_owned(), vec!["a_done"])));
        assert_eq!(ends("a.start", &probes), Some(("a".to_owned(), vec!["a__done"])));
    }

    /// The stages that `probes` tell, as `name: begin, end`.
    fn stages(probes: &[String]) -> Vec<String> {
        let vocabulary = Vocabulary::new(probes.iter().map(String::as_str));
        let stage = |probe: &String| {
            let (name, ends) = vocabulary.ends_of(probe)?;
            Some(format!("{name}: {probe}, {}", ends.join(", ")))
        };
        let mut stages: Vec<String> = probes.iter().filter_map(stage).collect();
        stages.sort();
        stages
    }

    /// Each form of names, with its words, for each of what a program does: that is what each stage is named by, also where it is
    /// called by a word that begins or ends elsewhere.
    fn named_after(
        forms: &[fn(&str, &str) -> String],
        words: (&str, &str),
        things: &[&str],
        form_of_name: fn(&str) -> String,
    ) {
        for form in forms {
            let (begin, end) = words;
            let both = |thing: &&str| [form(begin, thing), form(end, thing)];
            let probes: Vec<String> = things.iter().flat_map(both).collect();
            let stage = |thing: &&str| {
                let name = form_of_name(thing);
                format!("{name}: {}, {}", form(begin, thing), form(end, thing))
            };
            let mut expected: Vec<String> = things.iter().map(stage).collect();
            expected.sort();
            assert_eq!(stages(&probes), expected);
            let mut reversed = probes.clone();
            reversed.reverse();
            assert_eq!(stages(&reversed), expected);
        }
    }

    #[test]
    fn what_a_program_does_may_be_called_by_words_that_begin_and_end() {
        let pairs = [
            ("beg", "end"),
            ("begin", "end"),
            ("start", "stop"),
            ("start", "done"),
            ("enter", "exit"),
            ("entry", "return"),
        ];
        let things: [&[&str]; 8] = [
            &["request", "reply"],
            &["request", "response", "commit"],
            &["open", "close", "read", "write"],
            &["lock", "unlock"],
            &["submit", "cancel", "wait"],
            &["acquire", "release"],
            &["accept", "destroy", "request", "reply"],
            &["enqueue", "dequeue"],
        ];
        for words in pairs {
            for things in things {
                let plain: [fn(&str, &str) -> String; 3] =
                    [|w, t| format!("{w}_{t}"), |w, t| format!("{t}_{w}"), |w, t| format!("{t}__{w}")];
                named_after(&plain, words, things, str::to_owned);
                let deep: [fn(&str, &str) -> String; 3] = [
                    |w, t| format!("srv_{w}_{t}"),
                    |w, t| format!("srv_{t}_{w}"),
                    |w, t| format!("{w}_srv_{t}"),
                ];
                named_after(&deep, words, things, |thing| format!("srv_{thing}"));
                let inner: [fn(&str, &str) -> String; 2] =
                    [|w, t| format!("{t}_{w}_job"), |w, t| format!("{w}.{t}_job")];
                named_after(&inner, words, things, |thing| format!("{thing}_job"));
                let camel: [fn(&str, &str) -> String; 2] =
                    [|w, t| format!("{w}{}", capital(t)), |w, t| format!("x{}{}", capital(w), capital(t))];
                named_after(&camel[..1], words, things, capital);
                named_after(&camel[1..], words, things, |thing| format!("x{}", capital(thing)));
            }
        }
    }

    fn capital(word: &str) -> String {
        word[..1].to_ascii_uppercase() + &word[1..]
    }

    #[test]
    fn more_names_tell_how_all_are_read() {
        let plain: [fn(&str, &str) -> String; 2] = [|w, t| format!("{t}_{w}"), |w, t| format!("{w}_{t}")];
        // What is begun and ended, started and stopped is asked for and answered.
        named_after(&plain, ("request", "reply"), &["start", "stop", "read"], str::to_owned);
        named_after(&plain, ("request", "reply"), &["begin", "commit", "abort"], str::to_owned);
        named_after(&plain, ("start", "done"), &["begin", "commit", "rollback"], str::to_owned);
        named_after(&plain, ("request", "reply"), &["open", "close"], str::to_owned);
        named_after(&plain, ("wait", "waited"), &["lock", "unlock"], str::to_owned);
        named_after(&plain, ("begin", "end"), &["start", "stop"], str::to_owned);
        named_after(&plain, ("begin", "end"), &["enter", "exit"], str::to_owned);
        named_after(&plain, ("enter", "exit"), &["start", "stop"], str::to_owned);
        named_after(&plain, ("start", "stop"), &["job", "start", "stop"], str::to_owned);
    }

    #[test]
    fn lives_of_objects_and_parts_of_words_are_none() {
        for (from, to) in [
            ("obj__create", "obj__destroy"),
            ("new", "free"),
            ("restart", "redone"),
            ("astart", "adone"),
            ("", ""),
            ("__", "_"),
        ] {
            assert_eq!(ends(from, &[from, to]), None, "{from}");
        }
    }
}
