//! What the trials mean: how many firings were recorded, and what harm was done.

use super::target::{FIRINGS, HARMLESS, Target};
use super::trial::Count;
use super::{Check, Verdict};
use crate::arch::nop::{self, Hazard};
use crate::error::{Error, Result};

/// What the trials of one way to attach say. The way that recordings do not take only gets a note.
pub(super) fn harmless(way: &str, tried: Result<[Count; HARMLESS.len()]>, taken: bool) -> Vec<Check> {
    let counts = match tried {
        Ok(counts) => counts,
        Err(error) => {
            let verdict = if taken { Verdict::Problem } else { Verdict::Note };
            let check = Check::new(verdict, way, chain(&error));
            return vec![if taken { check.advise("try the other way, see --attach") } else { check }];
        }
    };
    let mut checks = Vec::new();
    for (target, count) in HARMLESS.iter().zip(counts) {
        let name = if target.name == "value" { way.to_owned() } else { format!("{way}, {}", target.name) };
        let mut found = format!("fired {}, recorded {}", count.fired, count.recorded);
        let mut verdict = match (taken, count.recorded) {
            _ if (count.fired, count.recorded) == (FIRINGS, FIRINGS) => Verdict::Ok,
            (true, 0) if target.name == "value" => Verdict::Problem,
            (true, _) => Verdict::Limit,
            (false, _) => Verdict::Note,
        };
        if count.semaphore != 0 {
            found += &format!("; the semaphore stays at {} after the end", count.semaphore);
            verdict = verdict.max(Verdict::Note);
        } else if count.fired == 0 {
            found += "; the kernel does not count the semaphore up, so such probes never fire";
        }
        checks.push(Check::new(verdict, name, found));
    }
    checks
}

/// What loading the program that waits for memory says, if it was refused.
pub(super) fn unwaiting(refused: Option<(String, bool)>) -> Option<Check> {
    let (found, is_limit) = refused?;
    let verdict = if is_limit { Verdict::Note } else { Verdict::Limit };
    Some(Check::new(verdict, "BPF program that waits", found))
}

/// What watching a child process says: whether its begin, program and end were seen.
pub(super) fn processes(seen: Result<[bool; 3]>) -> Check {
    let name = "process events";
    match seen {
        Ok([true, true, true]) => Check::ok(name, "begin, program and end of a child seen"),
        Ok([false, false, false]) => {
            let found =
                "none of a child seen under its pid, as in a PID namespace: traces have the host's pids";
            Check::new(Verdict::Limit, name, found)
                .advise("record outside the container, which sees inside as well")
        }
        Ok(seen) => {
            let words = ["begin", "program", "end"];
            let missed: Vec<&str> =
                words.iter().zip(seen).filter(|(_, seen)| !seen).map(|it| *it.0).collect();
            Check::new(Verdict::Limit, name, format!("of a child not seen: {}", missed.join(", ")))
        }
        Err(error) => {
            let found =
                format!("{}; programs are found later, and reused pids are one process", chain(&error));
            Check::new(Verdict::Note, name, found).advise("needs a kernel with CONFIG_DEBUG_INFO_BTF")
        }
    }
}

/// What helps against a site that cannot be attached to.
const REBUILD: &str = "build the program with the one-byte nop of sys/sdt.h";

/// What the trial of a long nop says.
pub(super) fn long(
    target: &Target,
    tried: Result<std::result::Result<Count, String>>,
    (major, minor): (u32, u32),
) -> Check {
    let name = format!("site of {}", target.form);
    let hazard = nop::hazard(target.form).filter(|hazard| hazard.applies_to(major, minor));
    let left_out = if hazard == Some(Hazard::RedZone) { "; such probes are left out" } else { "" };
    let count = match tried {
        Ok(Ok(count)) => count,
        Ok(Err(ended)) => {
            let found = format!("a program with such a site {ended}{left_out}");
            let verdict = if left_out.is_empty() { Verdict::Limit } else { Verdict::Note };
            return Check::new(verdict, name, found);
        }
        Err(error) if hazard == Some(Hazard::NeverFires) => {
            let found = format!("{}; such probes never fire", chain(&error));
            return Check::new(Verdict::Note, name, found).advise(REBUILD);
        }
        Err(error) => return Check::new(Verdict::Limit, name, chain(&error)),
    };
    let Count { fired, recorded, overwritten, .. } = count;
    let found = format!("fired {fired}, recorded {recorded}");
    if overwritten > 0 {
        let found = format!("{found}, the program's stack overwritten {overwritten} times{left_out}");
        // Not known for this version: what the user traces is harmed.
        let verdict = if left_out.is_empty() { Verdict::Problem } else { Verdict::Note };
        let advice = match verdict {
            Verdict::Problem => {
                "do not record programs with such sites (see tracer list), and report this kernel"
            }
            _ => REBUILD,
        };
        return Check::new(verdict, name, found).advise(advice);
    }
    if recorded != fired {
        return Check::new(Verdict::Note, name, format!("{found}: such probes attach but never fire"))
            .advise(REBUILD);
    }
    match hazard {
        Some(Hazard::RedZone) => {
            let found = format!("{found}, nothing overwritten, but this kernel is not trusted{left_out}");
            Check::new(Verdict::Note, name, found)
        }
        _ => Check::ok(name, found),
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::target::LONG;
    use super::*;

    const fn count(fired: u64, recorded: u64, overwritten: u64) -> Count {
        Count { fired, recorded, overwritten, semaphore: 0 }
    }

    fn of(form: &str, count: Count, kernel: (u32, u32)) -> Check {
        let target = LONG.iter().find(|target| target.name == form).expect("a form");
        long(target, Ok(Ok(count)), kernel)
    }

    #[test]
    fn a_refused_program_that_waits_is_a_limit_and_an_old_kernel_a_note() {
        let verdict = |is_limit| unwaiting(Some(("refused".to_owned(), is_limit))).map(|check| check.verdict);
        assert_eq!([verdict(false), verdict(true)], [Some(Verdict::Limit), Some(Verdict::Note)]);
        assert_eq!(unwaiting(None), None);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn long_nops_are_judged_by_what_they_did_and_what_is_known() {
        for (form, count, kernel, verdict, word) in [
            ("nop5", count(1000, 1000, 999), (6, 18), Verdict::Note, "left out"),
            ("nop5", count(1000, 1000, 0), (6, 18), Verdict::Note, "not trusted"),
            ("nop5", count(1000, 1000, 0), (6, 17), Verdict::Ok, "recorded 1000"),
            ("nop5", count(1000, 1000, 3), (6, 17), Verdict::Problem, "overwritten 3 times"),
            ("nop10", count(1000, 0, 0), (6, 18), Verdict::Note, "never fire"),
            ("nop10", count(1000, 1000, 0), (7, 1), Verdict::Ok, "recorded 1000"),
            ("nop,nop5", count(1000, 1000, 0), (6, 18), Verdict::Ok, "recorded 1000"),
            ("nop,nop5", count(1000, 1000, 1), (6, 18), Verdict::Problem, "overwritten"),
        ] {
            let check = of(form, count, kernel);
            assert_eq!(check.verdict, verdict, "{check:?}");
            assert!(check.found.contains(word), "{check:?}");
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_crash_or_a_refusal_is_told_about() {
        let crash = Ok(Err("ended with signal: 11 (SIGSEGV)".to_owned()));
        assert_eq!(long(&LONG[0], crash, (6, 18)).verdict, Verdict::Note);
        let crash = Ok(Err("ended with signal: 11 (SIGSEGV)".to_owned()));
        assert_eq!(long(&LONG[2], crash, (6, 18)).verdict, Verdict::Limit);
        let refused = || Err(Error::System { doing: "attach", source: io::ErrorKind::Unsupported.into() });
        assert_eq!(long(&LONG[1], refused(), (6, 18)).verdict, Verdict::Note);
        assert_eq!(long(&LONG[3], refused(), (6, 18)).verdict, Verdict::Limit);
    }

    #[test]
    fn what_was_not_seen_of_a_process_is_named() {
        let verdict = |seen| processes(Ok(seen)).verdict;
        assert_eq!(verdict([true; 3]), Verdict::Ok);
        assert_eq!(verdict([false; 3]), Verdict::Limit);
        let check = processes(Ok([true, false, true]));
        assert_eq!((check.verdict, &check.found[..]), (Verdict::Limit, "of a child not seen: program"));
        let none = Error::System { doing: "watch processes", source: io::ErrorKind::NotFound.into() };
        assert_eq!(processes(Err(none)).verdict, Verdict::Note);
    }

    #[test]
    fn a_way_to_attach_that_is_needed_must_record_everything() {
        let all = count(FIRINGS, FIRINGS, 0);
        let verdicts = |counts, taken| -> Vec<Verdict> {
            harmless("way", Ok(counts), taken).iter().map(|check| check.verdict).collect()
        };
        assert_eq!(verdicts([all; 3], true), [Verdict::Ok; 3]);
        let deaf = [count(FIRINGS, 0, 0), count(0, 0, 0), count(FIRINGS, 999, 0)];
        assert_eq!(verdicts(deaf, true), [Verdict::Problem, Verdict::Limit, Verdict::Limit]);
        assert_eq!(verdicts(deaf, false), [Verdict::Note; 3]);
        let kept = Count { semaphore: 1, ..all };
        assert_eq!(verdicts([all, kept, all], true), [Verdict::Ok, Verdict::Note, Verdict::Ok]);
        let error = || Error::System { doing: "attach", source: io::ErrorKind::InvalidInput.into() };
        let refused = harmless("way", Err(error()), true);
        assert_eq!(refused[0].found, "cannot attach: invalid input parameter");
        assert_eq!(refused[0].verdict, Verdict::Problem);
        assert_eq!(harmless("way", Err(error()), false)[0].verdict, Verdict::Note);
    }
}
