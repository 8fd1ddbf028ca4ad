//! Names that match nothing: refused before a recording begins, with the nearest names that there are.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use tracer_format::grammar::{KeyArgument, ProbePattern, ProgramPattern, Request, nearest};
use tracer_format::log::escape;

use crate::error::{Error, Result};
use crate::find::binary::Site;
use crate::find::discover::{self, Discovery, Filter, FoundFile};
use crate::host::process;

/// Refuses process ids of which none can be recorded: `-p`.
///
/// # Errors
/// [`Error::Request`] for the first that is no process with a program, or that this process may not look into.
pub fn pids(pids: &[u32]) -> Result<()> {
    pids.iter().try_for_each(|pid| match process_problem(*pid) {
        None => Ok(()),
        Some(problem) => Err(Error::Request(format!("-p {pid}: {problem}"))),
    })
}

fn process_problem(pid: u32) -> Option<String> {
    let Some(found) = process::status(pid) else { return Some("there is no such process".to_owned()) };
    if found.process != pid {
        let (process, name) = (found.process, escape(&found.name));
        return Some(format!("a thread of process {process} ({name}); give -p {process}"));
    }
    let error = process::executable(pid).err()?;
    Some(if error.kind() == std::io::ErrorKind::PermissionDenied {
        "permission denied to look into it (needs CAP_SYS_PTRACE)".to_owned()
    } else if found.is_kernel_thread {
        format!("a kernel thread ({}), which has no probes", escape(&found.name))
    } else {
        format!("{} has ended", escape(&found.name))
    })
}

/// Refuses names of programs that no process runs: `-x`.
pub(crate) fn programs(programs: &[ProgramPattern]) -> Result<()> {
    let name = |pid: u32| {
        let path = process::executable(pid).ok()?;
        Some(path.file_name()?.to_string_lossy().into_owned())
    };
    let names: BTreeSet<String> = if programs.is_empty() {
        BTreeSet::new()
    } else {
        process::pids().unwrap_or_default().into_iter().filter_map(name).collect()
    };
    let mut unmatched = programs.iter().filter(|pattern| !names.iter().any(|name| pattern.matches(name)));
    let Some(pattern) = unmatched.next() else { return Ok(()) };
    let nearest = nearest(&pattern.to_string(), names.iter().map(String::as_str));
    Err(Error::NoProbe(format!("-x {pattern}: no process runs such a program{nearest}")))
}

/// Which probes there could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of processes that run.
    Running,
    /// Also those of what a command starts, which may have other ones: a name is wrong only if its provider is known.
    Command,
    /// Those of the files that the user named.
    Files,
}

/// Refuses files that cannot be read, and those without a requested probe: `-x ./app`.
///
/// # Errors
/// [`Error::Request`] for the first without a probe, otherwise as [`discover::file`].
pub fn files(files: &[PathBuf], requests: &[Request]) -> Result<()> {
    for path in files {
        if discover::file(path, requests)?.0.is_some() {
            continue;
        }
        let shown = escape(&path.to_string_lossy()).into_owned();
        let all = discover::file(path, &"*".parse().into_iter().collect::<Vec<Request>>())?.0;
        let names: BTreeSet<String> = all.iter().flat_map(|binary| &binary.sites).map(name).collect();
        let wanted: Vec<String> = requests.iter().map(|request| request.probe.to_string()).collect();
        let what = match (names.len(), requests) {
            (0, _) => "it has no USDT probes".to_owned(),
            (_, [first]) => {
                let nearest = nearest(&first.probe.to_string(), names.iter().map(String::as_str));
                let nearest = if nearest.is_empty() { there(&names) } else { nearest };
                format!("no probe matches {}{}", escape(&wanted[0]), escape(&nearest))
            }
            _ => format!("no probe matches any of {}{}", escape(&wanted.join(", ")), escape(&there(&names))),
        };
        return Err(Error::Request(format!("-x {shown}: {what}")));
    }
    Ok(())
}

/// Refuses requests that no site matches: `-e`. `all` gives the names of all probes where was looked for them.
pub(crate) fn probes(
    filter: &Filter,
    found: &[FoundFile],
    scope: Scope,
    all: impl FnOnce() -> Vec<FoundFile>,
) -> Result<()> {
    let unmatched: Vec<&ProbePattern> = filter
        .requests
        .iter()
        .map(|request| &request.probe)
        .filter(|probe| matching(probe, found).next().is_none())
        .collect();
    if unmatched.is_empty() {
        return Ok(());
    }
    let all = all();
    let has_provider = |probe: &ProbePattern| sites(&all).any(|site| probe.provider.matches(&site.provider));
    let wrong: Vec<&ProbePattern> = match scope {
        Scope::Running | Scope::Files => unmatched,
        Scope::Command => unmatched.into_iter().filter(|probe| has_provider(probe)).collect(),
    };
    let Some(first) = wrong.first() else { return Ok(()) };
    let names = names(&all);
    let wanted: Vec<String> = wrong.iter().map(|probe| escape(&probe.to_string()).into_owned()).collect();
    let is_restricted = scope != Scope::Running || !filter.pids.is_empty() || !filter.programs.is_empty();
    let nearest = match nearest(&first.to_string(), names.iter().map(String::as_str)) {
        none if none.is_empty() && is_restricted => there(&names),
        nearest => nearest,
    };
    let place = match scope {
        Scope::Running if is_restricted => "in these processes",
        Scope::Running => "in any running process",
        Scope::Files => "in the files of -x",
        Scope::Command => "in the command and its libraries, which have other probes of this provider",
    };
    let text = format!("no probe matches {} {place}{}", wanted.join(", "), escape(&nearest));
    Err(if scope == Scope::Files { Error::Request(text) } else { Error::NoProbe(text) })
}

/// Refuses `--key` of a probe that is not recorded, and arguments that none of the probes named has: `--key`, and strings in `-e`.
pub(crate) fn arguments(
    requests: &[Request],
    keys: &[KeyArgument],
    found: &[FoundFile],
    scope: Scope,
) -> Result<()> {
    for key in keys {
        let text = || format!("--key {}=arg{}", key.probe, key.argument);
        if scope != Scope::Command && matching(&key.probe, found).next().is_none() {
            let names = names(found);
            let nearest = nearest(&key.probe.to_string(), names.iter().map(String::as_str));
            return Err(Error::Request(format!("{}: no probe that is recorded matches{nearest}", text())));
        }
        has_argument(&key.probe, key.argument, found, &text)?;
    }
    for request in requests {
        for string in &request.strings {
            let length = string.length.map(|length| format!(":arg{length}")).unwrap_or_default();
            let text = || format!("-e {}(arg{}:str{length})", request.probe, string.position);
            for argument in [Some(string.position), string.length].into_iter().flatten() {
                has_argument(&request.probe, argument, found, &text)?;
            }
        }
    }
    Ok(())
}

/// Refuses an argument if there are such probes and none of them has it.
fn has_argument(
    probe: &ProbePattern,
    argument: u8,
    found: &[FoundFile],
    text: &dyn Fn() -> String,
) -> Result<()> {
    let Some(most) = matching(probe, found).max_by_key(|site| site.arguments.len()) else { return Ok(()) };
    let count = most.arguments.len();
    if count > usize::from(argument) {
        return Ok(());
    }
    let (provider, probe) = (escape(&most.provider), escape(&most.probe));
    let has = match count {
        0 => "no arguments".to_owned(),
        1 => "one argument, arg0".to_owned(),
        _ => format!("{count} arguments, arg0 to arg{}", count - 1),
    };
    Err(Error::Request(format!("{}: {provider}:{probe} has {has}", text())))
}

/// What to say of the probes that a command and its libraries have, where none of them was asked for: `; there are app:begin and app:end`.
#[must_use]
pub fn of_command(command: &[OsString]) -> String {
    let requests = "*".parse().into_iter().collect();
    let mut discovery = Discovery::new(Filter { requests, ..Filter::default() });
    discovery.command(command).map(|scan| there(&names(&scan.found))).unwrap_or_default()
}

/// What to say where nothing is like what was asked for: the probes that there are, or nothing if there are none.
fn there(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match &names[..] {
        [] => String::new(),
        [one] => format!("; there is {one}"),
        [first @ .., last] if names.len() <= MAX_SHOWN => {
            format!("; there are {} and {last}", first.join(", "))
        }
        _ => format!("; there are {} and {} more", names[..MAX_SHOWN].join(", "), names.len() - MAX_SHOWN),
    }
}

/// Probes that are named.
const MAX_SHOWN: usize = 4;

fn sites(found: &[FoundFile]) -> impl Iterator<Item = &Site> {
    found.iter().flat_map(|found| &found.binary.sites)
}

fn matching<'f>(probe: &'f ProbePattern, found: &'f [FoundFile]) -> impl Iterator<Item = &'f Site> {
    sites(found).filter(|site| probe.matches(&site.provider, &site.probe))
}

fn names(found: &[FoundFile]) -> BTreeSet<String> {
    sites(found).map(name).collect()
}

fn name(site: &Site) -> String {
    format!("{}:{}", site.provider, site.probe)
}

#[cfg(test)]
mod tests {
    use tracer_format::ArgKind;

    use super::*;
    use crate::arch::nop::NopForm;
    use crate::find::binary::Binary;
    use crate::site::argument::{Argument, Location};

    fn found(probes: &[(&str, &str, usize)]) -> Vec<FoundFile> {
        let argument =
            Argument { kind: ArgKind::Signed(8), location: Location::Register { slot: 0, shift: 0 } };
        let site = |(provider, probe, count): &(&str, &str, usize)| Site {
            provider: (*provider).into(),
            probe: (*probe).into(),
            address: 0,
            offset: 0,
            semaphore_offset: 0,
            semaphore_is_shadowed: false,
            nop: NopForm::Nop,
            arguments: vec![argument; *count],
            strings: Vec::new(),
            spec: String::new(),
        };
        let binary = Binary {
            file: std::fs::File::open("/dev/null").unwrap(),
            dev: 0,
            ino: 0,
            owner: 0,
            path: PathBuf::from("/app"),
            program: "app".into(),
            build_id: Vec::new(),
            sites: probes.iter().map(site).collect(),
        };
        vec![FoundFile { binary, pids: Vec::new() }]
    }

    fn said(result: Result<()>) -> String {
        result.map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_probe_that_is_not_there_is_refused_with_the_nearest() {
        let all = [("ruby", "cmethod__entry", 2), ("ruby", "gc__mark__begin", 0), ("db", "query", 1)];
        let check_of = |programs: &[ProgramPattern], requests: &[&str], scope| {
            let requests: Vec<Request> = requests.iter().map(|text| text.parse().unwrap()).collect();
            let mut here = found(&all);
            here[0].binary.sites.retain(|site| {
                requests.iter().any(|request| request.probe.matches(&site.provider, &site.probe))
            });
            let filter = Filter { requests, programs: programs.to_vec(), ..Filter::default() };
            said(probes(&filter, &here, scope, || found(&all)))
        };
        let check = |requests: &[&str], scope| check_of(&[], requests, scope);
        assert_eq!(check(&["ruby:gc*", "db"], Scope::Running), "");
        let refused = check(&["db", "ruby:cmethod__enter"], Scope::Running);
        let expected = "no probe matches ruby:cmethod__enter in any running process; the nearest";
        assert!(refused.starts_with(expected) && refused.contains("ruby:cmethod__entry"), "{refused}");
        assert!(refused.ends_with("; see tracer list for what there is, or give --wait"), "{refused}");
        // Of all that runs there is too much to name.
        assert!(
            check(&["buffer_tracker"], Scope::Running)
                .starts_with("no probe matches buffer_tracker:* in any running process; see")
        );
        let refused = check_of(&["db".parse().unwrap()], &["buffer_tracker"], Scope::Running);
        let expected = "no probe matches buffer_tracker:* in these processes; there are db:query, ruby:cmethod__entry and \
                        ruby:gc__mark__begin; see";
        assert!(refused.starts_with(expected), "{refused}");
        // What a command starts may have it.
        assert_eq!(check(&["other:probe"], Scope::Command), "");
        assert!(
            check(&["ruby:nosuch"], Scope::Command).contains("no probe matches ruby:nosuch in the command")
        );
    }

    #[test]
    fn an_argument_that_no_probe_has_is_refused() {
        let here = found(&[("db", "query", 1), ("db", "row", 3), ("db", "tick", 0)]);
        let check = |request: &str, key: &str, scope| {
            let keys: Vec<KeyArgument> = key.parse().into_iter().collect();
            said(arguments(&[request.parse().unwrap()], &keys, &here, scope))
        };
        assert_eq!(
            check("db", "db:query=arg7", Scope::Running),
            "--key db:query=arg7: db:query has one argument, arg0"
        );
        assert_eq!(
            check("db", "db:tick=arg0", Scope::Command),
            "--key db:tick=arg0: db:tick has no arguments"
        );
        assert_eq!(check("db", "db:*=arg2", Scope::Running), "", "some have it");
        let refused = check("db", "db:rwo=arg0", Scope::Running);
        assert!(refused.starts_with("--key db:rwo=arg0: no probe that is recorded matches"), "{refused}");
        assert!(refused.contains("db:row"), "{refused}");
        assert_eq!(check("db", "db:rwo=arg0", Scope::Command), "");
        let refused = check("db:row(arg5:str)", "", Scope::Running);
        assert_eq!(refused, "-e db:row(arg5:str): db:row has 3 arguments, arg0 to arg2");
    }

    #[test]
    fn a_process_id_that_is_none_says_what_it_is() {
        let own = std::process::id();
        assert_eq!(said(pids(&[own])), "");
        assert_eq!(said(pids(&[own, 4_194_305])), "-p 4194305: there is no such process");
        let (ask, wait) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()).unwrap();
            let _ = wait.recv();
        });
        let tid = told.recv().unwrap();
        let refused = said(pids(&[tid]));
        drop(ask);
        thread.join().unwrap();
        assert!(refused.starts_with(&format!("-p {tid}: a thread of process {own} (")), "{refused}");
        assert!(refused.ends_with(&format!("; give -p {own}")), "{refused}");
        // Its parent has not asked how it ended.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended = || process::status(child.id()).is_none_or(|_| process::executable(child.id()).is_err());
        while !ended() {
            std::thread::yield_now();
        }
        let refused = said(pids(&[child.id()]));
        child.wait().unwrap();
        assert!(refused.ends_with(" has ended"), "{refused}");
    }

    #[test]
    fn a_program_that_nothing_runs_is_refused() {
        let own = std::env::current_exe().unwrap();
        let own: ProgramPattern = own.file_name().unwrap().to_str().unwrap().parse().unwrap();
        assert_eq!(said(programs(std::slice::from_ref(&own))), "");
        let refused = said(programs(&[own, "no-such-program-runs".parse().unwrap()]));
        assert!(refused.starts_with("-x no-such-program-runs: no process runs such a program"), "{refused}");
    }
}
