//! A log in the documented format becomes a trace, so that `replay` gives the same bytes back.
//!
//! The log is read twice: its header names probes without their providers, which only the events tell, and definitions
//! come before events. Process ids stand for threads as well; processors are not in the log and become 0.

mod namesakes;

use std::collections::HashMap;
use std::io::Write;

use tracer_format::log::{EventLine, FoundLine, Key, Line, LostLine, ParseError, Value, parse};
use tracer_format::{
    ArgKind, Firing, Gap, Host, HostId, Process, Site, SiteId, Thread, ThreadId, Writer, header, packed_by,
};

use crate::{Error, Result};
use namesakes::Namesakes;

/// What a log held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Events.
    pub events: u64,
    /// Events that the log says were lost.
    pub lost: u64,
    /// Places in time where they were lost.
    pub gaps: u64,
    /// Probes in the header.
    pub found: u64,
    /// Whether the log ends inside a line, which was left out: a number in it may be cut off.
    pub unfinished: bool,
}

/// Reads `log` and writes what it holds to `writer`, which the caller finishes.
///
/// The log does not tell the provider of a probe in its header that never fired. It is taken to be that of the program's other
/// probes, or of all, if that is one; else it stays empty.
///
/// # Errors
/// [`Error::Log`] for the first line that is none of the log's; nothing was written then.
/// [`Error::Format`] if the writer fails.
pub fn import<W: Write>(log: &[u8], writer: &mut Writer<W>) -> Result<Imported> {
    check_begin(log)?;
    let (log, rest) = log.split_at(log.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
    let unfinished = !rest.trim_ascii().is_empty();
    let mut plan = Plan::default();
    // A line of the header stands before all events, a later one behind the event before it.
    let mut last_ns = 0;
    for line in parse(log) {
        let (number, line) = line?;
        match line {
            Line::Found(found) if found.probe.is_empty() => return Err(nameless(number)),
            Line::Event(event) if event.probe.is_empty() => return Err(nameless(number)),
            Line::Found(found) => plan.found(found, last_ns),
            Line::Event(event) => {
                last_ns = event.time_ns;
                plan.thread(&event);
                plan.site(&event);
            }
            Line::Blank | Line::Started | Line::Lost(_) => {}
        }
    }
    let found = plan.header.len() as u64;
    let mut imported = Imported { found, unfinished, ..Imported::default() };
    plan.define(writer)?;
    for line in parse(log) {
        match line?.1 {
            Line::Event(event) => {
                plan.push(&event, writer)?;
                imported.events += 1;
            }
            Line::Lost(lost) => {
                writer.gap(plan.gap(&lost))?;
                imported.lost = imported.lost.saturating_add(lost.count);
                imported.gaps += 1;
            }
            Line::Blank | Line::Started | Line::Found(_) => {}
        }
    }
    Ok(imported)
}

/// Refuses what is another kind of file, whether it has a line or not.
/// Whether a log may begin with `begin`, the first bytes of a file, or all of them.
#[must_use]
pub fn begins_log(begin: &[u8]) -> bool {
    let first = begin.iter().position(|&byte| byte == b'\n').map_or(&[][..], |end| &begin[..=end]);
    check_begin(begin).is_ok() && parse(first).all(|line| line.is_ok())
}

fn check_begin(log: &[u8]) -> Result<()> {
    let wrong = |found: String| {
        Err(Error::Log(ParseError {
            line: 1,
            found,
            expected: "a log that tracer replay printed".to_owned(),
        }))
    };
    if let Some(by) = packed_by(log) {
        return wrong(format!("a file compressed by {by}"));
    }
    if log.starts_with(&header::MAGIC) {
        return wrong("a trace".to_owned());
    }
    // What has no line end may be the begin of a line that is cut off.
    let is_begin = |line: &[u8]| line.is_empty() || line.starts_with(b"[");
    if log.contains(&b'\n') || is_begin(log.strip_prefix(b"\xef\xbb\xbf").unwrap_or(log).trim_ascii()) {
        return Ok(());
    }
    parse(log).next().map_or(Ok(()), |line| Ok(line.map(drop)?))
}

/// A trace has no probe without a name, though a line may.
fn nameless(line: u64) -> Error {
    let expected = "the name of a probe".to_owned();
    Error::Log(ParseError { line, found: "no name".to_owned(), expected })
}

/// Kinds of the arguments and the index of the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct EventShape {
    kinds: Vec<ArgKind>,
    key_arg: u8,
}

/// What will be defined.
#[derive(Debug, Default)]
struct Plan {
    /// Processes in the order of their first event, a thread each.
    processes: Vec<Process>,
    threads: HashMap<(u32, String), ThreadId>,
    /// Sites; the first are those of the header.
    sites: Vec<Site>,
    /// Whether an event of a site in `sites` told its provider, which may be empty, and its shape.
    shaped: Vec<bool>,
    header: Vec<FoundLine>,
    /// Sites of the header by probe, and by probe and program.
    by_probe: HashMap<String, Namesakes>,
    by_program: HashMap<(String, String), Namesakes>,
    /// The first site of each provider and probe, for losses.
    by_name: HashMap<(String, String), SiteId>,
    by_event: HashMap<(String, String, String, EventShape), SiteId>,
}

impl Plan {
    fn found(&mut self, found: FoundLine, found_ns: u64) {
        let (probe, program) = (found.probe.clone(), found.program.clone());
        let index = self.sites.len();
        self.by_probe.entry(probe.clone()).or_default().add(index);
        self.by_program.entry((probe.clone(), program.clone())).or_default().add(index);
        let site = Site {
            probe: probe.into(),
            program: program.into(),
            announced: true,
            found_ns,
            ..Site::default()
        };
        // A late line of the header: those before it are events' sites, the order of the announced ones still holds.
        self.sites.push(site);
        self.shaped.push(false);
        self.header.push(found);
    }

    fn thread(&mut self, event: &EventLine) -> ThreadId {
        let key = (event.pid, event.program.clone());
        if let Some(&id) = self.threads.get(&key) {
            return id;
        }
        let id = ThreadId::at(self.processes.len());
        self.processes.push(Process {
            pid: event.pid,
            program: event.program.as_str().into(),
            ..Process::default()
        });
        self.threads.insert(key, id);
        id
    }

    /// The site of `event`: the one announced for its probe and program, else one of its own.
    fn site(&mut self, event: &EventLine) -> SiteId {
        let shape = shape(event);
        let key = (event.provider.clone(), event.probe.clone(), event.program.clone(), shape);
        if let Some(&id) = self.by_event.get(&key) {
            return id;
        }
        let shape = &key.3;
        let announced = self.announced(event).filter(|&site| {
            !self.shaped[site]
                || (*self.sites[site].args == *shape.kinds && self.sites[site].key_arg == shape.key_arg)
        });
        let site = announced.unwrap_or_else(|| {
            let (probe, program) = (event.probe.clone(), event.program.clone());
            self.sites.push(Site { probe: probe.into(), program: program.into(), ..Site::default() });
            self.shaped.push(false);
            self.sites.len() - 1
        });
        if !std::mem::replace(&mut self.shaped[site], true) && announced.is_some() {
            let Site { probe, program, .. } = &self.sites[site];
            let of_program = self.by_program.get_mut(&(probe.to_string(), program.to_string()));
            let namesakes = self.by_probe.get_mut(&**probe).into_iter().chain(of_program);
            namesakes.for_each(|namesakes| namesakes.take(site, &event.provider));
        }
        self.sites[site].provider = event.provider.as_str().into();
        self.sites[site].args = shape.kinds.as_slice().into();
        self.sites[site].key_arg = shape.key_arg;
        self.by_event.insert(key, SiteId::at(site));
        SiteId::at(site)
    }

    /// The announced site that an event belongs to: of its program or, where a shared library has the probe, the only
    /// one of that name.
    fn announced(&mut self, event: &EventLine) -> Option<usize> {
        let (provider, shaped) = (&event.provider, &self.shaped);
        let of_program = self.by_program.get_mut(&(event.probe.clone(), event.program.clone()));
        let of_program = of_program.and_then(|namesakes| namesakes.first(provider, shaped));
        of_program.or_else(|| self.by_probe.get_mut(&event.probe)?.only(provider, shaped))
    }

    fn define<W: Write>(&mut self, writer: &mut Writer<W>) -> Result<()> {
        let tool = format!("tracer {} import", env!("CARGO_PKG_VERSION"));
        writer.host(Host { tool: tool.into(), ..Host::default() })?;
        for process in &self.processes {
            let id = writer.process(process.clone())?;
            writer.thread(Thread { process: id, tid: process.pid })?;
        }
        let providers = Providers::of(self.sites.iter().zip(&self.shaped).filter(|it| *it.1).map(|it| it.0));
        for (number, (site, shaped)) in self.sites.iter().zip(&self.shaped).enumerate() {
            let mut site = site.clone();
            // Two lines of one name stay two sites of two names.
            let is_alone = || self.by_program[&(site.probe.to_string(), site.program.to_string())].len() == 1;
            if !shaped && is_alone() {
                site.provider = providers.likely(&site.program).into();
            }
            let name = (self.sites[number].provider.to_string(), site.probe.to_string());
            self.by_name.entry(name).or_insert(SiteId::at(number));
            writer.site(site)?;
        }
        Ok(())
    }

    fn push<W: Write>(&mut self, event: &EventLine, writer: &mut Writer<W>) -> Result<()> {
        let (thread, site) = (self.thread(event), self.site(event));
        let key_arg = self.sites[site.index()].key_arg;
        let mut values = vec![0; self.sites[site.index()].args.len()];
        let mut unreadable = 0;
        match event.key {
            Key::Signed(key) => values[usize::from(key_arg)] = key.cast_unsigned(),
            Key::Unsigned(key) => values[usize::from(key_arg)] = key,
            Key::Unreadable => unreadable |= 1 << key_arg,
            Key::Absent => {}
        }
        for (index, value) in &event.args {
            values[usize::from(*index)] = match value {
                Value::Signed(number) => number.cast_unsigned(),
                Value::Unsigned(number) => *number,
                Value::Float(number) => number.to_bits(),
                Value::Str(bytes) => writer.intern(bytes),
                Value::CutStr(bytes) => writer.intern_cut(bytes),
                Value::Unreadable => {
                    unreadable |= 1 << index;
                    0
                }
            };
        }
        writer.push(&Firing { time_ns: event.time_ns, thread, site, cpu: 0, unreadable, values: &values })?;
        Ok(())
    }

    fn gap(&self, lost: &LostLine) -> Gap {
        let site = lost.probe.as_ref().and_then(|name| self.by_name.get(name)).copied();
        Gap {
            host: HostId(0),
            cpu: lost.cpu.unwrap_or(Gap::ANY_CPU),
            site: site.unwrap_or(Gap::ANY_SITE),
            from_ns: lost.from_ns,
            to_ns: lost.to_ns,
            count: lost.count,
        }
    }
}

/// The only provider that fired, in each program and in all.
struct Providers<'p> {
    of_program: HashMap<&'p str, Option<&'p str>>,
    of_all: Option<Option<&'p str>>,
}

impl<'p> Providers<'p> {
    /// Of sites that fired.
    fn of(sites: impl Iterator<Item = &'p Site>) -> Self {
        let mut providers = Self { of_program: HashMap::new(), of_all: None };
        for site in sites {
            let provider = &site.provider[..];
            let of_program = providers.of_program.entry(&site.program).or_insert(Some(provider));
            for only in [of_program, providers.of_all.get_or_insert(Some(provider))] {
                *only = only.filter(|other| *other == provider);
            }
        }
        providers
    }

    /// The only provider that fired in this program; of all, if none fired there.
    fn likely(&self, program: &str) -> String {
        let of_program = self.of_program.get(program).copied().or(self.of_all);
        of_program.flatten().unwrap_or_default().to_owned()
    }
}

/// What the line tells about the arguments: the key is the argument that does not stand among the others.
fn shape(event: &EventLine) -> EventShape {
    let listed = |index: u8| event.args.iter().find(|(at, _)| *at == index).map(|(_, value)| value);
    let count = event.args.last().map_or(0, |(last, _)| last + 1);
    let first_hole = (0..=count).find(|&index| listed(index).is_none()).unwrap_or(count);
    let (key, count) = match event.key {
        Key::Signed(_) | Key::Unreadable => (Some(ArgKind::Signed(8)), count.max(first_hole + 1)),
        Key::Unsigned(_) => (Some(ArgKind::Unsigned(8)), count.max(first_hole + 1)),
        Key::Absent => (None, count),
    };
    let kind = |index| match listed(index) {
        Some(Value::Unsigned(_)) => ArgKind::Unsigned(8),
        Some(Value::Float(_)) => ArgKind::Float(8),
        Some(Value::Str(_) | Value::CutStr(_)) => ArgKind::Str,
        Some(Value::Signed(_) | Value::Unreadable) | None => key.unwrap_or(ArgKind::Signed(8)),
    };
    let kinds: Vec<ArgKind> = (0..count).map(kind).collect();
    let no_integer = |kind: &ArgKind| matches!(kind, ArgKind::Float(_) | ArgKind::Str);
    let absent = || kinds.iter().position(no_integer).and_then(|at| u8::try_from(at).ok()).unwrap_or(count);
    EventShape { key_arg: if key.is_some() { first_hole } else { absent() }, kinds }
}
