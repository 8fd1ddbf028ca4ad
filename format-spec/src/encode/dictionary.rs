//! Definitions on disk: each with its kind, its id and its length, so that readers skip what they do not know
//! (SPEC.md "Definitions").
#![expect(clippy::cast_possible_truncation, reason = "the limits keep ids below 2^32")]

use super::codec::{Decoder, Encoder};
use super::column::put_plain;
use super::cursor::{Cursor, put_varint};
use crate::error::Damage;
use crate::limits::{
    DEFINITION_WEIGHT, MAX_ARGUMENTS, MAX_COMMAND_WORDS, MAX_DEFINITIONS_BYTES, MAX_NAME_BYTES, WORD_WEIGHT,
};
use crate::model::{ArgKind, Cost, Definition, Exit, Host, Process, Site, StageDef, Thread};

/// Numbers of the kinds of definitions on disk; never reused.
mod number {
    pub(super) const HOST: u8 = 1;
    pub(super) const PROCESS: u8 = 2;
    pub(super) const THREAD: u8 = 3;
    pub(super) const SITE: u8 = 4;
    pub(super) const STAGE: u8 = 5;
    pub(super) const EXIT: u8 = 6;
    pub(super) const COST: u8 = 7;
}

/// Definitions on their way into a block.
#[derive(Default)]
pub(crate) struct DictionaryBuilder {
    bytes: Vec<u8>,
    count: u32,
    max_id: u32,
}

impl DictionaryBuilder {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether another definition might not fit.
    pub(crate) fn is_full(&self) -> bool {
        // The largest definition: a process with a full command line.
        self.bytes.len() + (MAX_COMMAND_WORDS + 8) * (MAX_NAME_BYTES + 8) > MAX_DEFINITIONS_BYTES
    }

    pub(crate) fn push(&mut self, id: u32, definition: &Definition) {
        let mut body = Body::default();
        let number = body.definition(definition);
        self.bytes.push(number);
        put_varint(&mut self.bytes, id.into());
        put_varint(&mut self.bytes, body.0.len() as u64);
        self.bytes.extend_from_slice(&body.0);
        self.count += 1;
        self.max_id = self.max_id.max(id);
    }

    /// Number of definitions pushed.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of the definitions pushed, before compression.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends the content of a block with all definitions pushed, and is empty again. `before` are the bytes of the
    /// trace in front of `out`: ids must stay below the bytes of the trace, compressed or not.
    pub(crate) fn encode(&mut self, before: u64, encoder: &mut Encoder, out: &mut Vec<u8>) {
        put_varint(out, self.bytes.len() as u64);
        let start = out.len();
        encoder.put_plane(&self.bytes, out);
        if u64::from(self.max_id) >= before + out.len() as u64 {
            out.truncate(start);
            put_plain(&self.bytes, out);
        }
        *self = Self { bytes: std::mem::take(&mut self.bytes), ..Self::default() };
        self.bytes.clear();
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

    /// A string, cut at the limit but never inside a character.
    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(&text.as_bytes()[..text.floor_char_boundary(MAX_NAME_BYTES)])
    }

    fn words(&mut self, words: &[String]) -> &mut Self {
        let words = &words[..words.len().min(MAX_COMMAND_WORDS)];
        self.number(words.len() as u64);
        words.iter().fold(self, |body, word| body.text(word))
    }

    fn definition(&mut self, definition: &Definition) -> u8 {
        match definition {
            Definition::Host(host) => {
                self.text(&host.name).text(&host.kernel).text(&host.machine).text(&host.boot_id);
                self.number(host.cpus).text(&host.tool).words(&host.command);
                number::HOST
            }
            Definition::Process(process) => {
                self.number(process.host).number(process.pid).number(process.parent_pid);
                self.number(process.start_ns).text(&process.program).text(&process.executable);
                self.words(&process.command);
                number::PROCESS
            }
            Definition::Thread(thread) => {
                self.number(thread.process).number(thread.tid);
                number::THREAD
            }
            Definition::Site(site) => {
                self.text(&site.provider).text(&site.probe).text(&site.program).text(&site.path);
                let build_id = &site.build_id[..site.build_id.len().min(MAX_NAME_BYTES)];
                self.bytes(build_id).number(site.offset).number(site.semaphore_offset);
                self.text(&site.spec).number(site.key_arg).number(announced(site));
                self.number(site.args.len() as u64);
                self.0.extend(site.args.iter().map(|&kind| arg_kind_byte(kind)));
                number::SITE
            }
            Definition::Stage(stage) => {
                self.text(&stage.name).text(&stage.from).text(&stage.to).text(&stage.key);
                number::STAGE
            }
            Definition::Exit(exit) => {
                self.number(exit.process).number(exit.time_ns).number(exit.status);
                number::EXIT
            }
            Definition::Cost(cost) => {
                self.number(cost.bpf_ns).number(cost.bpf_runs).number(cost.cpu_ns);
                self.number(cost.wakeups).number(cost.drained_bytes);
                number::COST
            }
        }
    }
}

/// 0: no "Found probe" line; 1: it is in the header; else the time behind which it stands.
fn announced(site: &Site) -> u64 {
    if site.announced { site.found_ns.max(1) } else { 0 }
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

/// Reads the `count` definitions of a block and gives each with its id to `place`; unknown kinds are skipped.
///
/// One after the other: a list of all could take a hundred times the bytes of a hostile block. So all of them are read
/// twice, and none is placed if one is damaged.
pub(crate) fn decode(
    content: &[u8],
    count: u32,
    place: impl FnMut(u32, Definition, usize) -> Result<(), Damage>,
) -> Result<(), Damage> {
    let bytes = unpack(content)?;
    if each(&bytes, |_, _, _| Ok(()))? != u64::from(count) {
        return Err(Damage::Content("the block header has another number of definitions"));
    }
    each(&bytes, place).map(drop)
}

fn unpack(content: &[u8]) -> Result<Vec<u8>, Damage> {
    let mut cursor = Cursor::new(content);
    let len = cursor.count("definition bytes", MAX_DEFINITIONS_BYTES)?;
    let mut bytes = vec![0; len];
    Decoder::new().take_plane(&mut cursor, &mut bytes)?;
    if cursor.is_empty() { Ok(bytes) } else { Err(Damage::Content("bytes are left over")) }
}

/// Gives each definition to `place`, and how many there are of all kinds.
fn each(
    bytes: &[u8],
    mut place: impl FnMut(u32, Definition, usize) -> Result<(), Damage>,
) -> Result<u64, Damage> {
    let (mut cursor, mut count) = (Cursor::new(bytes), 0);
    while !cursor.is_empty() {
        let number = cursor.u8()?;
        let id = cursor.count("definition id", u32::MAX as usize)? as u32;
        let len = cursor.count("definition length", MAX_DEFINITIONS_BYTES)?;
        // What a later version adds at the end of a definition is not read.
        let body = Fields(Cursor::new(cursor.take(len)?));
        if let Some(definition) = body.definition(number)? {
            let weight = weight(&definition, len);
            place(id, definition, weight)?;
        }
        count += 1;
    }
    Ok(count)
}

/// What a definition with a body of so many bytes counts of [`MAX_DEFINITIONS_WEIGHT`](crate::limits::MAX_DEFINITIONS_WEIGHT).
pub(crate) fn weight(definition: &Definition, body_bytes: usize) -> usize {
    let words = match definition {
        Definition::Host(host) => host.command.len(),
        Definition::Process(process) => process.command.len(),
        _ => 0,
    };
    DEFINITION_WEIGHT + body_bytes + WORD_WEIGHT * words
}

/// Reads the fields that [`Body`] writes.
struct Fields<'a>(Cursor<'a>);

impl Fields<'_> {
    fn number<N: TryFrom<u64>>(&mut self) -> Result<N, Damage> {
        N::try_from(self.0.varint()?).map_err(|_| Damage::Content("a number of a definition is too large"))
    }

    fn bytes(&mut self) -> Result<Vec<u8>, Damage> {
        let len = self.0.count("name bytes", MAX_NAME_BYTES)?;
        Ok(self.0.take(len)?.to_vec())
    }

    /// A text that tells a definition from one that is lost.
    fn name(&mut self) -> Result<String, Damage> {
        Some(self.text()?).filter(|name| !name.is_empty()).ok_or(Damage::Content("a name is empty"))
    }

    fn text(&mut self) -> Result<String, Damage> {
        String::from_utf8(self.bytes()?).map_err(|_| Damage::Content("a name is not UTF-8"))
    }

    fn words(&mut self) -> Result<Vec<String>, Damage> {
        let len = self.0.count("words", MAX_COMMAND_WORDS)?;
        (0..len).map(|_| self.text()).collect()
    }

    fn kinds(&mut self) -> Result<Vec<ArgKind>, Damage> {
        let len = self.0.count("arguments", MAX_ARGUMENTS)?;
        Ok(self.0.take(len)?.iter().map(|&byte| arg_kind(byte)).collect())
    }

    fn definition(mut self, number: u8) -> Result<Option<Definition>, Damage> {
        let found;
        Ok(Some(match number {
            number::HOST => Definition::Host(Host {
                name: self.text()?,
                kernel: self.text()?,
                machine: self.text()?,
                boot_id: self.text()?,
                cpus: self.number()?,
                tool: self.text()?,
                command: self.words()?,
            }),
            number::PROCESS => Definition::Process(Process {
                host: self.number()?,
                pid: self.number()?,
                parent_pid: self.number()?,
                start_ns: self.number()?,
                program: self.text()?,
                executable: self.text()?,
                command: self.words()?,
            }),
            number::THREAD => Definition::Thread(Thread { process: self.number()?, tid: self.number()? }),
            number::SITE => Definition::Site(Site {
                provider: self.text()?,
                probe: self.name()?,
                program: self.text()?,
                path: self.text()?,
                build_id: self.bytes()?,
                offset: self.number()?,
                semaphore_offset: self.number()?,
                spec: self.text()?,
                key_arg: self.number()?,
                announced: {
                    found = self.0.varint()?;
                    found != 0
                },
                found_ns: if found > 1 { found } else { 0 },
                args: self.kinds()?,
            }),
            number::STAGE => Definition::Stage(StageDef {
                name: self.name()?,
                from: self.text()?,
                to: self.text()?,
                key: self.text()?,
            }),
            number::EXIT => Definition::Exit(Exit {
                process: self.number()?,
                time_ns: self.number()?,
                status: self.number()?,
            }),
            number::COST => Definition::Cost(Cost {
                bpf_ns: self.number()?,
                bpf_runs: self.number()?,
                cpu_ns: self.number()?,
                wakeups: self.number()?,
                drained_bytes: self.number()?,
            }),
            _ => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_below_the_bytes_of_the_trace() {
        let compressed = |before: u64| {
            let mut builder = DictionaryBuilder::default();
            let stage = Definition::Stage(StageDef { name: "alike".into(), ..StageDef::default() });
            (0..1000).for_each(|_| builder.push(5000, &stage));
            let (mut encoder, mut out) = (Encoder::new(3).expect("zstd"), Vec::new());
            let bytes = builder.bytes();
            builder.encode(before, &mut encoder, &mut out);
            assert!(before + out.len() as u64 > 5000, "byte {}", before + out.len() as u64);
            out.len() < bytes
        };
        assert!(compressed(5001) && !compressed(0));
    }
}
