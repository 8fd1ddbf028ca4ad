//! Which names stay: those that hold the name of a host or a user do not.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracer_format::Definitions;

/// Shorter names of hosts and users are a part of too many other names.
const MIN_BYTES: usize = 3;
/// Names of hosts and users that are looked for; where there are more, no name stays.
const MAX_WORDS: usize = 64;
/// Folders whose folders are called as users are.
const HOMES: [&str; 2] = ["home", "Users"];

/// Which names of a trace stay.
pub(super) struct NameRule {
    /// Whether none does.
    pub(super) all_hidden: bool,
    /// Names of hosts and users, in lower case.
    words: BTreeSet<String>,
    /// Names that do not stay because they hold one of these.
    telling: BTreeSet<String>,
}

impl NameRule {
    /// The rule for a trace with these definitions.
    pub(super) fn new(definitions: &Definitions, all_hidden: bool) -> Self {
        let mut words = BTreeSet::new();
        let mut add = |word: &str| {
            if word.len() >= MIN_BYTES && words.len() <= MAX_WORDS {
                words.insert(word.to_lowercase());
            }
        };
        for host in &definitions.hosts {
            add(&host.name);
            add(host.name.split('.').next().unwrap_or_default());
            users_of_command(&host.command, &mut add);
        }
        for process in &definitions.processes {
            users_of(&process.executable, &mut add);
            // In an imported log a program may be a path.
            users_of(&process.program, &mut add);
            users_of_command(&process.command, &mut add);
        }
        for site in &definitions.sites {
            users_of(&site.path, &mut add);
            users_of(&site.program, &mut add);
        }
        for skipped in &definitions.skipped {
            users_of(&skipped.path, &mut add);
            users_of(&skipped.reason, &mut add);
        }
        let all_hidden = all_hidden || words.len() > MAX_WORDS;
        Self { all_hidden, words, telling: BTreeSet::new() }
    }

    /// Whether a name does not stay.
    pub(super) fn hides(&mut self, name: &str) -> bool {
        if self.all_hidden {
            return true;
        }
        let tells = self.tells(name);
        if tells {
            self.telling.insert(name.to_owned());
        }
        tells
    }

    /// Whether a text holds the name of a host or a user.
    pub(super) fn tells(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.words.iter().any(|word| text.contains(word))
    }

    /// Names that do not stay because they hold the name of a host or a user.
    pub(super) fn telling(self) -> Vec<String> {
        self.telling.into_iter().collect()
    }
}

/// The users whose homes a text names.
fn users_of(text: &str, add: &mut impl FnMut(&str)) {
    let mut is_home = false;
    for part in text.split('/') {
        if is_home {
            let end = part.find(|c: char| !c.is_alphanumeric() && !"._-".contains(c)).unwrap_or(part.len());
            add(&part[..end]);
        }
        is_home = HOMES.contains(&part);
    }
}

/// The same, and the users that a command line names.
fn users_of_command(words: &[Arc<str>], add: &mut impl FnMut(&str)) {
    let mut is_user = false;
    for word in words {
        if is_user {
            add(word);
        }
        is_user = matches!(&**word, "--user" | "-u");
        word.strip_prefix("--user=").into_iter().for_each(&mut *add);
        users_of(word, add);
    }
}

#[cfg(test)]
mod tests {
    use tracer_format::{Host, Process, Site};

    use super::*;

    #[test]
    fn names_of_hosts_and_users_are_found_in_names() {
        let words = |text: &str| text.split(' ').map(Arc::from).collect();
        let host =
            Host { name: "Build7.example".into(), command: words("tracer --user bob"), ..Host::default() };
        let process = Process {
            executable: "/home/alice/bin/x".into(),
            command: words("x --log=/Users/carol: -u dave"),
            ..Process::default()
        };
        let site = Site { path: "/home/ed/y".into(), program: "/home/grace/y".into(), ..Site::default() };
        let definitions = Definitions {
            hosts: vec![host.into()],
            processes: vec![process.into()],
            sites: vec![site.into()],
            ..Definitions::default()
        };
        let mut names = NameRule::new(&definitions, false);
        let all = [
            "on_build7",
            "Alice",
            "bobbin",
            "carol-app",
            "x.dave",
            "/home/grace/y",
            "edit",
            "home",
            "example",
            "build",
        ];
        let hidden: Vec<&str> = all.into_iter().filter(|name| names.hides(name)).collect();
        assert_eq!(hidden, all[..6]);
        assert_eq!(names.telling().len(), 6);
        assert!(NameRule::new(&definitions, true).hides("build"));
    }

    #[test]
    fn where_very_many_users_are_no_name_stays() {
        let process =
            |n| Arc::new(Process { executable: format!("/home/user{n}/x").into(), ..Process::default() });
        let names = |count| {
            let processes = (0..count).map(process).collect();
            NameRule::new(&Definitions { processes, ..Definitions::default() }, false)
        };
        assert!(!names(MAX_WORDS).hides("work"));
        assert!(names(MAX_WORDS + 1).hides("work"));
    }
}
