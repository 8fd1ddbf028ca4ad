//! The fields of definitions, in the order of SPEC.md section 5.5: each kind is written and read here, side by side.

use std::sync::Arc;

use super::cursor::{Cursor, put_varint};
use super::shared::Shared;
use crate::error::Damage;
use crate::limits::{MAX_ARGUMENTS, MAX_COMMAND_WORDS, MAX_NAME_BYTES};
use crate::model::{
    ArgKind, CUT_MARK, Cost, Definition, Exit, Host, HostId, Process, ProcessId, Site, Skipped, SkippedKind,
    StageDef, Thread,
};

/// Numbers of the kinds of definitions on disk; never reused.
mod number {
    pub(super) const HOST: u8 = 1;
    pub(super) const PROCESS: u8 = 2;
    pub(super) const THREAD: u8 = 3;
    pub(super) const SITE: u8 = 4;
    pub(super) const STAGE: u8 = 5;
    pub(super) const EXIT: u8 = 6;
    pub(super) const COST: u8 = 7;
    pub(super) const SKIPPED: u8 = 8;
}

/// The kind and the body of a definition.
pub(super) fn encode(definition: &Definition) -> (u8, Vec<u8>) {
    let mut body = Body::default();
    let number = match definition {
        Definition::Host(host) => put_host(&mut body, host),
        Definition::Process(process) => put_process(&mut body, process),
        Definition::Thread(thread) => put_thread(&mut body, *thread),
        Definition::Site(site) => put_site(&mut body, site),
        Definition::Stage(stage) => put_stage(&mut body, stage),
        Definition::Exit(exit) => put_exit(&mut body, *exit),
        Definition::Cost(cost) => put_cost(&mut body, *cost),
        Definition::Skipped(skipped) => put_skipped(&mut body, skipped),
    };
    (number, body.0)
}

/// The definition with such a kind and body; `None` if the kind is of a later version.
pub(super) fn decode(number: u8, body: &[u8], shared: &mut Shared) -> Result<Option<Definition>, Damage> {
    let mut fields = Fields { cursor: Cursor::new(body), shared };
    let fields = &mut fields;
    Ok(Some(match number {
        number::HOST => Definition::Host(take_host(fields)?.into()),
        number::PROCESS => Definition::Process(take_process(fields)?.into()),
        number::THREAD => Definition::Thread(take_thread(fields)?),
        number::SITE => Definition::Site(take_site(fields)?.into()),
        number::STAGE => Definition::Stage(take_stage(fields)?),
        number::EXIT => Definition::Exit(take_exit(fields)?),
        number::COST => Definition::Cost(take_cost(fields)?),
        number::SKIPPED => Definition::Skipped(take_skipped(fields)?),
        _ => return Ok(None),
    }))
}

fn put_host(body: &mut Body, host: &Host) -> u8 {
    body.text(&host.name).text(&host.kernel).text(&host.machine).text(&host.boot_id);
    body.number(host.cpus).text(&host.tool).words(&host.command);
    number::HOST
}

fn take_host(fields: &mut Fields<'_, '_>) -> Result<Host, Damage> {
    Ok(Host {
        name: fields.text()?,
        kernel: fields.text()?,
        machine: fields.text()?,
        boot_id: fields.text()?,
        cpus: fields.number()?,
        tool: fields.text()?,
        command: fields.words()?,
    })
}

fn put_process(body: &mut Body, process: &Process) -> u8 {
    body.number(process.host).number(process.pid).number(process.parent_pid);
    body.number(process.start_ns).text(&process.program).text(&process.executable);
    body.words(&process.command);
    number::PROCESS
}

fn take_process(fields: &mut Fields<'_, '_>) -> Result<Process, Damage> {
    Ok(Process {
        host: HostId(fields.number()?),
        pid: fields.number()?,
        parent_pid: fields.number()?,
        start_ns: fields.number()?,
        program: fields.text()?,
        executable: fields.text()?,
        command: fields.words()?,
    })
}

fn put_thread(body: &mut Body, thread: Thread) -> u8 {
    body.number(thread.process).number(thread.tid);
    number::THREAD
}

fn take_thread(fields: &mut Fields<'_, '_>) -> Result<Thread, Damage> {
    Ok(Thread { process: ProcessId(fields.number()?), tid: fields.number()? })
}

fn put_site(body: &mut Body, site: &Site) -> u8 {
    body.text(&site.provider).text(&site.probe).text(&site.program).text(&site.path);
    let build_id = &site.build_id[..site.build_id.len().min(MAX_NAME_BYTES)];
    body.bytes(build_id).number(site.offset).number(site.semaphore_offset);
    body.text(&site.spec).number(site.key_arg).number(announced(site));
    body.number(site.args.len() as u64);
    body.0.extend(site.args.iter().map(|&kind| arg_kind_byte(kind)));
    number::SITE
}

fn take_site(fields: &mut Fields<'_, '_>) -> Result<Site, Damage> {
    let mut site = Site {
        provider: fields.text()?,
        probe: fields.shared_name()?,
        program: fields.text()?,
        path: fields.text()?,
        build_id: fields.build_id()?,
        offset: fields.number()?,
        semaphore_offset: fields.number()?,
        spec: fields.text()?,
        key_arg: fields.number()?,
        ..Site::default()
    };
    let announced: u64 = fields.number()?;
    site.announced = announced != 0;
    site.found_ns = if announced > 1 { announced } else { 0 };
    site.args = fields.kinds()?;
    Ok(site)
}

/// 0: no "Found probe" line; 1: it is in the header; else the time behind which it stands.
fn announced(site: &Site) -> u64 {
    if site.announced { site.found_ns.max(1) } else { 0 }
}

fn put_stage(body: &mut Body, stage: &StageDef) -> u8 {
    body.text(&stage.name).text(&stage.from).text(&stage.to).text(&stage.key);
    number::STAGE
}

fn take_stage(fields: &mut Fields<'_, '_>) -> Result<StageDef, Damage> {
    Ok(StageDef {
        name: fields.name()?.to_owned(),
        from: fields.str()?.to_owned(),
        to: fields.str()?.to_owned(),
        key: fields.str()?.to_owned(),
    })
}

fn put_exit(body: &mut Body, exit: Exit) -> u8 {
    body.number(exit.process).number(exit.time_ns).number(exit.status);
    number::EXIT
}

fn take_exit(fields: &mut Fields<'_, '_>) -> Result<Exit, Damage> {
    Ok(Exit { process: ProcessId(fields.number()?), time_ns: fields.number()?, status: fields.number()? })
}

fn put_cost(body: &mut Body, cost: Cost) -> u8 {
    body.number(cost.bpf_ns).number(cost.bpf_runs).number(cost.cpu_ns);
    body.number(cost.wakeups).number(cost.drained_bytes);
    number::COST
}

fn take_cost(fields: &mut Fields<'_, '_>) -> Result<Cost, Damage> {
    Ok(Cost {
        bpf_ns: fields.number()?,
        bpf_runs: fields.number()?,
        cpu_ns: fields.number()?,
        wakeups: fields.number()?,
        drained_bytes: fields.number()?,
    })
}

fn put_skipped(body: &mut Body, skipped: &Skipped) -> u8 {
    body.number(skipped.host).number(skipped_kind_byte(skipped.kind)).number(skipped.count);
    body.number(skipped.pid).text(&skipped.program).text(&skipped.path);
    body.text(&skipped.provider).text(&skipped.probe).number(skipped.offset);
    body.number(skipped.from_ns).number(skipped.until_ns).text(&skipped.reason);
    number::SKIPPED
}

fn take_skipped(fields: &mut Fields<'_, '_>) -> Result<Skipped, Damage> {
    Ok(Skipped {
        host: HostId(fields.number()?),
        kind: skipped_kind(fields.number()?),
        count: fields.number()?,
        pid: fields.number()?,
        program: fields.str()?.to_owned(),
        path: fields.str()?.to_owned(),
        provider: fields.str()?.to_owned(),
        probe: fields.str()?.to_owned(),
        offset: fields.number()?,
        from_ns: fields.number()?,
        until_ns: fields.number()?,
        reason: fields.name()?.to_owned(),
    })
}

fn skipped_kind_byte(kind: SkippedKind) -> u8 {
    match kind {
        SkippedKind::Sites => 1,
        SkippedKind::Files => 2,
        SkippedKind::Processes => 3,
        SkippedKind::Events => 4,
        SkippedKind::Unknown(byte) => byte,
    }
}

fn skipped_kind(byte: u8) -> SkippedKind {
    match byte {
        1 => SkippedKind::Sites,
        2 => SkippedKind::Files,
        3 => SkippedKind::Processes,
        4 => SkippedKind::Events,
        _ => SkippedKind::Unknown(byte),
    }
}

/// High half: 0 unsigned, 1 signed, 2 float, 3 string; low half: bytes.
fn arg_kind_byte(kind: ArgKind) -> u8 {
    match kind {
        ArgKind::Unsigned(size) => size & 0xf,
        ArgKind::Signed(size) => 0x10 | (size & 0xf),
        ArgKind::Float(size) => 0x20 | (size & 0xf),
        ArgKind::Str => 0x30,
        ArgKind::Unknown(byte) => byte,
    }
}

fn arg_kind(byte: u8) -> ArgKind {
    match (byte >> 4, byte & 0xf) {
        (0, size @ (1 | 2 | 4 | 8)) => ArgKind::Unsigned(size),
        (1, size @ (1 | 2 | 4 | 8)) => ArgKind::Signed(size),
        (2, size @ (4 | 8)) => ArgKind::Float(size),
        (3, 0) => ArgKind::Str,
        _ => ArgKind::Unknown(byte),
    }
}

/// The fields of one definition.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn number(&mut self, value: impl Into<u64>) -> &mut Self {
        put_varint(&mut self.0, value.into());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// A string; one over the limit is cut, never inside a character, and ends with a mark.
    fn text(&mut self, text: &str) -> &mut Self {
        if text.len() <= MAX_NAME_BYTES {
            return self.bytes(text.as_bytes());
        }
        let kept = &text[..text.floor_char_boundary(MAX_NAME_BYTES - CUT_MARK.len())];
        self.bytes([kept, CUT_MARK].concat().as_bytes())
    }

    /// Words; of those over the limit there is a mark instead.
    fn words(&mut self, words: &[Arc<str>]) -> &mut Self {
        let is_cut = words.len() > MAX_COMMAND_WORDS;
        let kept = if is_cut { &words[..MAX_COMMAND_WORDS - 1] } else { words };
        self.number(kept.len() as u64 + u64::from(is_cut));
        let body = kept.iter().fold(self, |body, word| body.text(word));
        if is_cut { body.text(CUT_MARK) } else { body }
    }
}

/// Reads the fields that [`Body`] writes; what a later version adds behind them is not read.
struct Fields<'b, 's> {
    cursor: Cursor<'b>,
    shared: &'s mut Shared,
}

impl<'b> Fields<'b, '_> {
    fn number<N: TryFrom<u64>>(&mut self) -> Result<N, Damage> {
        N::try_from(self.cursor.varint()?)
            .map_err(|_| Damage::Content("a number of a definition is too large"))
    }

    fn bytes(&mut self) -> Result<&'b [u8], Damage> {
        let len = self.cursor.count("name bytes", MAX_NAME_BYTES)?;
        self.cursor.take(len)
    }

    fn str(&mut self) -> Result<&'b str, Damage> {
        str::from_utf8(self.bytes()?).map_err(|_| Damage::Content("a name is not UTF-8"))
    }

    /// A text that tells a definition from one that is lost.
    fn name(&mut self) -> Result<&'b str, Damage> {
        Some(self.str()?).filter(|name| !name.is_empty()).ok_or(Damage::Content("a name is empty"))
    }

    fn text(&mut self) -> Result<Arc<str>, Damage> {
        let text = self.str()?;
        Ok(self.shared.text(text))
    }

    fn shared_name(&mut self) -> Result<Arc<str>, Damage> {
        let name = self.name()?;
        Ok(self.shared.text(name))
    }

    fn build_id(&mut self) -> Result<Arc<[u8]>, Damage> {
        let bytes = self.bytes()?;
        Ok(self.shared.bytes(bytes))
    }

    fn words(&mut self) -> Result<Arc<[Arc<str>]>, Damage> {
        let len = self.cursor.count("words", MAX_COMMAND_WORDS)?;
        (0..len).map(|_| self.text()).collect()
    }

    fn kinds(&mut self) -> Result<Arc<[ArgKind]>, Damage> {
        let len = self.cursor.count("arguments", MAX_ARGUMENTS)?;
        let kinds: Vec<ArgKind> = self.cursor.take(len)?.iter().map(|&byte| arg_kind(byte)).collect();
        Ok(self.shared.kinds(&kinds))
    }
}
