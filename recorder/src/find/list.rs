//! The table that `tracer list` prints: one paragraph for each file, one line for each kind of site in it.

use std::collections::HashMap;
use std::io::{self, Write};

use crate::arch::nop;
use crate::find::binary::{Binary, Site};
use crate::site::argument::{Argument, Location, kind_name};
use tracer_format::log::escape;
use unicode_width::UnicodeWidthStr;

/// Process ids that are written out for one file; of more, only the count is.
const MAX_PIDS: usize = 8;
const COLUMNS: usize = 5;
const TITLES: [&str; COLUMNS] = ["PROBE", "SITES", "ARGUMENTS", "SEMAPHORE", "NOP"];

/// Writes a file and its probes, and an empty line; `pids` are the processes that map it, if known.
///
/// Sites of one probe that differ in arguments, semaphore or instruction have a line each. `?` behind an argument means
/// that it cannot be read, `!` behind the instruction that attaching there is a hazard, and behind the
/// semaphore that the kernel does not raise it in processes that start later.
///
/// # Errors
/// If writing fails.
pub fn write(out: &mut impl Write, binary: &Binary, pids: &[u32]) -> io::Result<()> {
    let mut lines: Vec<[String; COLUMNS]> = vec![TITLES.map(str::to_owned)];
    let mut sites: HashMap<[String; COLUMNS], usize> = HashMap::new();
    for site in &binary.sites {
        let line = describe(site);
        let count = sites.entry(line.clone()).or_insert_with(|| {
            lines.push(line);
            0
        });
        *count += 1;
    }
    for line in &mut lines[1..] {
        line[1] = sites[line].to_string();
    }
    let path = binary.path.to_string_lossy();
    writeln!(out, "{}{}", escape(&path), processes(pids))?;
    // Wide letters take two columns of a terminal, marks above others none.
    let width = |column: usize| lines.iter().map(|line| line[column].width()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| {
            let spaces = width - cell.width();
            format!("{cell}{:spaces$}", "")
        });
        writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    writeln!(out)
}

/// A line for a site, without the number of sites.
fn describe(site: &Site) -> [String; COLUMNS] {
    let arguments: Vec<String> = site.arguments.iter().map(argument).collect();
    let hazard = if nop::hazard(site.nop).is_some() { "!" } else { "" };
    [
        format!("{}:{}", escape(&site.provider), escape(&site.probe)),
        String::new(),
        if arguments.is_empty() { "-".to_owned() } else { arguments.join(" ") },
        match (site.semaphore_offset, site.semaphore_is_shadowed) {
            (0, _) => "-".to_owned(),
            (_, false) => "yes".to_owned(),
            (_, true) => "yes!".to_owned(),
        },
        format!("{}{hazard}", site.nop),
    ]
}

fn argument(argument: &Argument) -> String {
    let name = kind_name(argument.kind);
    match argument.location {
        Location::Unreadable | Location::Vector(_) => name + "?",
        Location::Constant(_) | Location::Register { .. } | Location::Memory { .. } => name,
    }
}

fn processes(pids: &[u32]) -> String {
    let numbers = || pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    match pids.len() {
        0 => String::new(),
        1 => format!(" (process {})", numbers()),
        count if count <= MAX_PIDS => format!(" ({count} processes: {})", numbers()),
        count => format!(" ({count} processes)"),
    }
}

#[cfg(test)]
mod tests {
    use tracer_format::ArgKind;

    use super::*;
    use crate::arch::nop::NopForm;

    fn site(probe: &str, kinds: &[ArgKind], nop: NopForm, semaphore_offset: u64) -> Site {
        let location = Location::Register { slot: 0, shift: 0 };
        Site {
            provider: "app".into(),
            probe: probe.into(),
            address: 0,
            offset: 0,
            semaphore_offset,
            semaphore_is_shadowed: semaphore_offset == 0x99,
            nop,
            arguments: kinds.iter().map(|kind| Argument { kind: *kind, location }).collect(),
            strings: Vec::new(),
            spec: String::new(),
        }
    }

    fn table(path: &str, sites: Vec<Site>, pids: &[u32]) -> String {
        let file = std::fs::File::open("/dev/null").unwrap();
        let (path, program) = (path.into(), String::new());
        let binary = Binary { file, dev: 0, ino: 0, owner: 0, path, program, build_id: Vec::new(), sites };
        let mut out = Vec::new();
        write(&mut out, &binary, pids).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn alike_sites_share_a_line_and_columns_line_up() {
        use ArgKind::{Float, Signed, Str, Unsigned};
        let mut vector = site("value", &[Float(8)], NopForm::Nop10, 0);
        vector.arguments[0].location = Location::Vector(0);
        let sites = vec![
            site("request__start", &[Unsigned(8), Signed(4), Str], NopForm::Nop, 64),
            site("done", &[], NopForm::NopNop5, 0x99),
            site("request__start", &[Unsigned(8), Signed(4), Str], NopForm::Nop, 64),
            site("request__start", &[Unsigned(8), Signed(2), Str], NopForm::Nop, 64),
            vector,
        ];
        let expected = "\
/usr/bin/app (2 processes: 7 42)
  PROBE               SITES  ARGUMENTS    SEMAPHORE  NOP
  app:request__start  2      u64 i32 str  yes        nop
  app:done            1      -            yes!       nop,nop5
  app:request__start  1      u64 i16 str  yes        nop
  app:value           1      f64?         -          nop10!

";
        assert_eq!(table("/usr/bin/app", sites, &[7, 42]), expected);
    }

    #[test]
    fn columns_line_up_whatever_letters_names_have() {
        let names =
            ["\u{5904}\u{7406}", "e\u{301}te\u{301}", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}", "plain"];
        let text = table("/bin/app", names.map(|name| site(name, &[], NopForm::Nop, 0)).into(), &[]);
        let before_sites = |line: &str| {
            let at = line.find("1   ").or_else(|| line.find("SITES")).expect("the second column");
            line[..at].width()
        };
        let columns: Vec<usize> =
            text.lines().skip(1).filter(|line| !line.is_empty()).map(before_sites).collect();
        assert_eq!(columns, [13; 5], "{text}");
    }

    #[test]
    fn names_cannot_drive_the_terminal() {
        let text = table("/tmp/\x1b[2J\n", vec![site("\x1b]0;x\x07", &[], NopForm::Nop, 0)], &[]);
        assert!(text.starts_with("/tmp/\\x1b[2J\\n\n"), "{text}");
        assert!(!text.contains(['\x1b', '\x07']), "{text}");
    }

    #[test]
    fn many_processes_are_only_counted() {
        assert_eq!(processes(&[]), "");
        assert_eq!(processes(&[7]), " (process 7)");
        assert_eq!(processes(&[1; 9]), " (9 processes)");
    }
}
