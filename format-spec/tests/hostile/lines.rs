//! Logs that have very many of one thing.
#![allow(unreachable_pub, reason = "a module of a test")]

use std::fmt::Write as _;

/// A way to make a log of so many of something.
pub struct ManyLines {
    /// What there are many of.
    pub what: &'static str,
    /// So many make nearly 1 MB.
    pub count: u32,
    /// The log of so many.
    pub log: fn(u32) -> String,
}

/// Logs with very many of one thing.
pub const LOGS: &[ManyLines] = &[
    ManyLines { what: "lines of the header", count: 15_000, log: |count| header(count, |n| format!("p{n}")) },
    ManyLines { what: "lines of the header, all of one probe", count: 8000, log: one_probe },
    ManyLines {
        what: "providers",
        count: 7000,
        log: |count| events(count, |n| (n, format!("a{n}:p"), String::new())),
    },
    ManyLines {
        what: "programs of a log",
        count: 7000,
        log: |count| events(count, |n| (n, "a:p".to_owned(), String::new())),
    },
    ManyLines {
        what: "probes of a log",
        count: 10_000,
        log: |count| events(count, |n| (1, format!("a:p{n}"), String::new())),
    },
    ManyLines { what: "forms of the arguments of a probe", count: 5500, log: forms },
    ManyLines { what: "losses, each of another probe", count: 8000, log: losses },
    ManyLines {
        what: "texts of a log",
        count: 8000,
        log: |count| events(count, |n| (1, "a:p".to_owned(), format!(" | arg1: \"text {n}\""))),
    },
    ManyLines {
        what: "characters of one line",
        count: 900_000,
        log: |count| format!("[1] [PID:1] {} a:p | Seq: 1\n", "x".repeat(count as usize)),
    },
    ManyLines { what: "empty lines", count: 900_000, log: |count| "\n".repeat(count as usize) },
    ManyLines { what: "times that go back", count: 12_000, log: going_back },
];

fn header(count: u32, probe: impl Fn(u32) -> String) -> String {
    let mut log = String::new();
    for number in 0..count {
        writeln!(log, "[{number:>4}] Found probe {:<35} in 'p'", probe(number)).expect("written");
    }
    log.push_str("\nTrace started. Ctrl-C to stop.\n\n");
    log
}

/// The events of so many lines: program's number, probe and arguments of each.
fn events(count: u32, of: impl Fn(u32) -> (u32, String, String)) -> String {
    let mut log = String::new();
    for number in 0..count {
        let (program, probe, args) = of(number);
        writeln!(log, "[{number:>16}] [PID:{program:>7}] p{program} {probe} | Seq: {number}{args}")
            .expect("written");
    }
    log
}

/// One probe is found many times, and fires for another provider each time.
fn one_probe(count: u32) -> String {
    header(count, |_| "p".to_owned()) + &events(count, |n| (0, format!("a{n}:p"), String::new()))
}

fn forms(count: u32) -> String {
    let value = |bit: u32| if bit == 0 { "1" } else { "\"x\"" };
    let args = |n: u32| (0..11).map(|arg| format!(" | arg{}: {}", arg + 1, value(n >> arg & 1))).collect();
    events(count, |n| (1, "a:p".to_owned(), args(n)))
}

fn losses(count: u32) -> String {
    let mut log = events(count, |n| (1, format!("a:p{n}"), String::new()));
    for number in 0..count {
        writeln!(log, "[{:>16}] Lost 1 events of a:p{number} since {number}", 900_000 + number)
            .expect("written");
    }
    log
}

fn going_back(count: u32) -> String {
    let lines = events(count, |_| (1, "a:p".to_owned(), String::new()));
    lines.lines().rev().map(|line| format!("{line}\n")).collect()
}
