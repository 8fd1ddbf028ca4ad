//! The streams of a trace: one for each processor of each host, and one for losses of which no processor is known.
//!
//! Packets wait in memory until they are large; when there are so many streams that small ones are much together, all are written.

use std::collections::BTreeMap;
use std::io;

use tracer_format::{Definitions, Event, Gap, ThreadId};

use super::Folder;
use super::class::push_string;
use super::metadata::{OF_CPU, OF_NO_CPU, has_hosts};
use super::packet::{Head, Packet};

/// Bytes of events of a packet, about.
const PACKET_BYTES: usize = 1 << 18;
/// Bytes of events that wait in all streams together, about.
const WAITING_BYTES: usize = 1 << 25;

/// Host and processor of a stream.
type StreamPlace = (u32, Option<u16>);

/// What is the same in all events of a thread.
struct EventContext {
    host: u32,
    is_nameless: bool,
    /// As in the event context.
    bytes: Vec<u8>,
}

/// The streams.
pub(super) struct Streams {
    packets: BTreeMap<StreamPlace, Packet>,
    threads: Vec<EventContext>,
    /// Names of the hosts, if they are told apart.
    hosts: Option<Vec<String>>,
    uuid: [u8; 16],
    waiting_bytes: usize,
    /// A packet on its way to its file.
    sealed: Vec<u8>,
}

impl Streams {
    pub(super) fn new(definitions: &Definitions, uuid: [u8; 16]) -> Self {
        let thread = |thread: &tracer_format::Thread| {
            let process = definitions.process(thread.process);
            let pid = process.map_or(0, |process| process.pid);
            let mut bytes = [pid.to_le_bytes(), thread.tid.to_le_bytes()].concat();
            let program = process.map_or("", |process| &process.program);
            push_string(&mut bytes, program);
            let host = process.map_or(0, |process| process.host.0);
            EventContext { host, is_nameless: program.is_empty(), bytes }
        };
        let hosts = || definitions.hosts.iter().map(|host| host.name.to_string()).collect();
        Self {
            packets: BTreeMap::new(),
            threads: definitions.threads.iter().map(thread).collect(),
            hosts: has_hosts(definitions).then(hosts),
            uuid,
            waiting_bytes: 0,
            sealed: Vec::new(),
        }
    }

    /// Whether the program of a thread has no name.
    pub(super) fn is_nameless(&self, thread: ThreadId) -> bool {
        self.threads[thread.index()].is_nameless
    }

    /// Adds an event with its fields.
    pub(super) fn event(
        &mut self,
        event: &Event<'_>,
        class: u32,
        fields: &[u8],
        folder: &mut impl Folder,
    ) -> io::Result<()> {
        let context = &self.threads[event.thread.index()];
        let place = (context.host, Some(event.cpu));
        let packet =
            self.packets.entry(place).or_insert_with(|| Packet::new(head(place, &self.hosts, self.uuid)));
        let before = packet.bytes.len();
        packet.begin_event(event.time_ns, class);
        packet.bytes.extend_from_slice(&context.bytes);
        packet.bytes.extend_from_slice(fields);
        let bytes = packet.bytes.len();
        self.waiting_bytes += bytes - before;
        if bytes >= PACKET_BYTES {
            self.sealed.clear();
            packet.seal(&mut self.sealed);
            self.waiting_bytes -= bytes;
            folder.append(&file_name(place, self.hosts.is_some()), &self.sealed)?;
        }
        if self.waiting_bytes >= WAITING_BYTES { self.seal_all(folder) } else { Ok(()) }
    }

    /// Adds a loss.
    pub(super) fn gap(&mut self, gap: &Gap, folder: &mut impl Folder) -> io::Result<()> {
        let place = (gap.host.0, (gap.cpu != Gap::ANY_CPU).then_some(gap.cpu));
        let packet =
            self.packets.entry(place).or_insert_with(|| Packet::new(head(place, &self.hosts, self.uuid)));
        self.waiting_bytes -= packet.bytes.len();
        self.sealed.clear();
        packet.lose(gap.from_ns, gap.to_ns, gap.count, &mut self.sealed);
        folder.append(&file_name(place, self.hosts.is_some()), &self.sealed)
    }

    /// Writes what waits.
    pub(super) fn seal_all(&mut self, folder: &mut impl Folder) -> io::Result<()> {
        self.waiting_bytes = 0;
        for (&place, packet) in &mut self.packets {
            self.sealed.clear();
            packet.seal(&mut self.sealed);
            // Its memory is for others.
            packet.bytes = Vec::new();
            if !self.sealed.is_empty() {
                folder.append(&file_name(place, self.hosts.is_some()), &self.sealed)?;
            }
        }
        Ok(())
    }
}

fn head((host, cpu): StreamPlace, hosts: &Option<Vec<String>>, uuid: [u8; 16]) -> Head {
    let mut context = cpu.map_or(Vec::new(), |cpu| u32::from(cpu).to_le_bytes().to_vec());
    if let Some(hosts) = hosts {
        let name = hosts.get(host as usize).map_or("", |name| name);
        push_string(&mut context, if name.is_empty() { "?" } else { name });
    }
    Head { uuid, class: if cpu.is_some() { OF_CPU } else { OF_NO_CPU }, context }
}

fn file_name((host, cpu): StreamPlace, has_hosts: bool) -> String {
    let of_host = if has_hosts { format!("host_{host}_") } else { String::new() };
    match cpu {
        Some(cpu) => format!("{of_host}cpu_{cpu}"),
        None => format!("{of_host}cpu_unknown"),
    }
}
