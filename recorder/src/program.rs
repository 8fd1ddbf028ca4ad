//! The eBPF program and its maps in the kernel: created from the embedded object, loaded, and fed with sites.
//!
//! Attaching stands in `attach.rs`, reading the rings in `ring.rs` and `drain.rs`.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use aya_obj::Object;
use aya_obj::generated::bpf_insn;

use crate::abi::{LANE_MARGIN, MAX_PAYLOAD_BYTES, SCRATCH_PER_CPU, SITE_BITS, SiteSpec};
use crate::bpf::{
    self, AttachType, MAPPABLE, Map, MapLayout, MapType, ProgramType, READ_ONLY_FOR_PROGRAM, bytes_of,
};
use crate::error::{Error, Result};
use crate::lane::lane_bytes;

/// The object, aligned as the ELF parser wants it.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);
static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!("../../ebpf-probes/probes.bpf.o"));

/// Bytes of the program's `Scratch`: a flag and the payload.
const SCRATCH_BYTES: u32 = bytes_of::<[u64; 1 + MAX_PAYLOAD_BYTES / 8]>();

/// How the program is loaded; fixed for its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramOptions {
    /// Slots of 24 bytes in the lane of each CPU, rounded up to a power of two from 4096 to 1 048 576. An event with up to
    /// one argument takes one, two more arguments one more.
    pub lane_slots: u32,
    /// Bytes of the ring buffer of each CPU, which takes what a lane has no room for, and strings: a power of two, at
    /// least a memory page.
    pub ring_bytes: u32,
    /// Most sites that [`Program::set_site`] will be called for.
    pub max_sites: u32,
    /// Whether only the processes given to [`Program::admit`] are recorded.
    pub only_admitted: bool,
}

/// Fewest and most slots of a lane.
const MIN_LANE_SLOTS: u32 = 4096;
const MAX_LANE_SLOTS: u32 = 1 << 20;
const _: () = assert!(MIN_LANE_SLOTS as u64 >= 4 * LANE_MARGIN);

/// Most processes that can be admitted at a time; the kernel's greatest number of processes by default.
const MAX_ADMITTED: u32 = 32 * 1024;

/// The loaded program with its maps.
#[derive(Debug)]
pub struct Program {
    /// For attaching many sites of a file at once; `Err` when the kernel is too old for it.
    pub(crate) multi: std::result::Result<OwnedFd, io::Error>,
    /// For attaching through perf events.
    pub(crate) single: OwnedFd,
    pub(crate) rings: Vec<Map>,
    pub(crate) lanes: Map,
    pub(crate) site_drops: Map,
    pub(crate) lane_slots: u32,
    sites: Map,
    admitted: Map,
    /// Referred to by the program; kept for its life.
    _others: [Map; 3],
}

impl Program {
    /// Creates the maps and loads the program.
    ///
    /// # Errors
    /// [`Error::Permission`], [`Error::Lockdown`], [`Error::Unsupported`] as the machine is; [`Error::Verifier`] and
    /// [`Error::Object`] if this build does not fit the kernel.
    pub fn load(options: &ProgramOptions) -> Result<Self> {
        let cpus = possible_cpus()?;
        let options = &ProgramOptions {
            lane_slots: options.lane_slots.next_power_of_two().clamp(MIN_LANE_SLOTS, MAX_LANE_SLOTS),
            ..*options
        };
        if options.max_sites > 1 << SITE_BITS {
            return Err(Error::Sites { found: options.max_sites.into(), max: 1 << SITE_BITS });
        }
        let mut object = Object::parse(&OBJECT.0).map_err(|error| Error::Object(error.to_string()))?;
        set_constants(&mut object, options)?;
        let rings = create_rings(cpus, options.ring_bytes)?;
        let outer = MapLayout { inner: Some(rings[0].as_fd()), ..layout(MapType::ArrayOfMaps, 4, 4, cpus) };
        let outer = create(&outer, cpus)?;
        for (cpu, ring) in (0..cpus).zip(&rings) {
            set(&outer, cpu, &ring.as_fd().as_raw_fd().to_le_bytes())?;
        }
        let max_sites = options.max_sites.max(1);
        let sites = create(&layout(MapType::Array, 4, bytes_of::<SiteSpec>(), max_sites), cpus)?;
        let lanes = layout(MapType::Array, 4, lane_bytes(options.lane_slots), cpus);
        let lanes = create(&MapLayout { flags: MAPPABLE, ..lanes }, cpus)?;
        let site_drops = create(&layout(MapType::PerCpuArray, 4, 8, max_sites), cpus)?;
        let scratch = create(&layout(MapType::Array, 4, SCRATCH_BYTES, cpus * SCRATCH_PER_CPU), cpus)?;
        let admitted = create(&layout(MapType::Hash, 4, 1, MAX_ADMITTED), cpus)?;
        let constants = create_constants(&object, cpus)?;

        let by_name = [
            ("RINGS", &outer),
            ("SITES", &sites),
            ("PIDS", &admitted),
            ("LANES", &lanes),
            ("SITE_DROPS", &site_drops),
            ("SCRATCH", &scratch),
            (".rodata", &constants),
        ];
        let instructions = relocate(&mut object, "site", &by_name)?;
        let single = load(&instructions, AttachType::None)?;
        let multi = load(&instructions, AttachType::UprobeMulti);
        let multi = match multi {
            Err(Error::Unsupported { source, .. }) => Err(source),
            other => Ok(other?),
        };
        Ok(Self {
            multi,
            single,
            rings,
            lanes,
            site_drops,
            lane_slots: options.lane_slots,
            sites,
            admitted,
            _others: [outer, scratch, constants],
        })
    }

    /// Says what the program does at site `site`; must be called before the site is attached.
    ///
    /// # Errors
    /// [`Error::Sites`] when `site` is not below [`ProgramOptions::max_sites`].
    pub fn set_site(&self, site: u32, spec: &SiteSpec) -> Result<()> {
        if site >= self.sites.entries() {
            return Err(Error::Sites { found: u64::from(site) + 1, max: u64::from(self.sites.entries()) });
        }
        set(&self.sites, site, &spec_bytes(spec))
    }

    /// Records process `pid` from now on; without effect unless [`ProgramOptions::only_admitted`].
    ///
    /// # Errors
    /// [`Error::System`] when too many processes are admitted.
    pub fn admit(&self, pid: u32) -> Result<()> {
        set(&self.admitted, pid, &[1])
    }

    /// Undoes [`Program::admit`]; nothing happens if the process was not admitted.
    pub fn dismiss(&self, pid: u32) {
        // Fails only if it is not there, which is what is wanted.
        let _ = self.admitted.delete(&pid.to_le_bytes());
    }

    /// Number of possible CPUs, and of rings.
    #[must_use]
    pub fn cpus(&self) -> usize {
        self.rings.len()
    }
}

/// Loads a program that does nothing: the floor of what a firing can cost. For benchmarks.
///
/// # Errors
/// As [`Program::load`].
#[doc(hidden)]
pub fn load_empty() -> Result<OwnedFd> {
    // r0 = 0; exit
    let mut zero: bpf_insn = empty_instruction();
    zero.code = 0xb7;
    let mut exit = empty_instruction();
    exit.code = 0x95;
    load(&[zero, exit], AttachType::UprobeMulti)
}

fn empty_instruction() -> bpf_insn {
    bpf_insn { code: 0, _bitfield_align_1: [], _bitfield_1: bpf_insn::new_bitfield_1(0, 0), off: 0, imm: 0 }
}

/// Sets the statics of the program that its code sees as constants.
fn set_constants(object: &mut Object, options: &ProgramOptions) -> Result<()> {
    let lane_slots = u64::from(options.lane_slots).to_le_bytes();
    let wake_slots = u64::from(options.lane_slots / 4).to_le_bytes();
    let wake_bytes = u64::from(options.ring_bytes / 4).to_le_bytes();
    let only_admitted = u32::from(options.only_admitted).to_le_bytes();
    object
        .patch_map_data(HashMap::from([
            ("LANE_SLOTS", (&lane_slots[..], true)),
            ("WAKE_SLOTS", (&wake_slots[..], true)),
            ("WAKE_BYTES", (&wake_bytes[..], true)),
            ("PID_FILTER", (&only_admitted[..], true)),
        ]))
        .map_err(|error| Error::Object(error.to_string()))
}

fn create_rings(cpus: u32, ring_bytes: u32) -> Result<Vec<Map>> {
    (0..cpus).map(|_| create(&layout(MapType::RingBuffer, 0, 0, ring_bytes), cpus)).collect()
}

/// The map behind the program's statics, frozen: the verifier takes them for constants.
fn create_constants(object: &Object, cpus: u32) -> Result<Map> {
    let data = object.maps.get(".rodata").map(aya_obj::Map::data).unwrap_or_default();
    let bytes = u32::try_from(data.len()).map_err(|_| Error::Object(".rodata is too large".into()))?;
    let constants = layout(MapType::Array, 4, bytes, 1);
    let map = create(&MapLayout { flags: READ_ONLY_FOR_PROGRAM, ..constants }, cpus)?;
    set(&map, 0, data)?;
    map.freeze().map_err(|source| Error::System { doing: "freeze a BPF map", source })?;
    Ok(map)
}

fn layout(kind: MapType, key_bytes: u32, value_bytes: u32, entries: u32) -> MapLayout<'static> {
    MapLayout { kind, key_bytes, value_bytes, entries, flags: 0, inner: None }
}

fn create(layout: &MapLayout<'_>, cpus: u32) -> Result<Map> {
    Map::create(layout, cpus).map_err(|source| refused("create BPF maps", source))
}

fn set(map: &Map, key: u32, value: &[u8]) -> Result<()> {
    map.update(&key.to_le_bytes(), value)
        .map_err(|source| Error::System { doing: "update a BPF map", source })
}

/// The instructions of program `name`, with the maps and the functions it calls.
fn relocate(object: &mut Object, name: &str, by_name: &[(&str, &Map)]) -> Result<Vec<bpf_insn>> {
    let text: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    let declared = std::mem::take(&mut object.maps);
    let mut maps = Vec::new();
    for (name, map) in &declared {
        let created = by_name.iter().find(|(known, _)| known == name);
        let (_, created) = created.ok_or_else(|| Error::Object(format!("unexpected map {name}")))?;
        maps.push((name.as_str(), created.as_fd().as_raw_fd(), map));
    }
    object.relocate_maps(maps.into_iter(), &text).map_err(|error| Error::Object(error.to_string()))?;
    object.relocate_calls(&text).map_err(|error| Error::Object(error.to_string()))?;
    let program = object.programs.get(name).map(aya_obj::Program::function_key);
    let function = program.and_then(|key| object.functions.get(&key));
    let function = function.ok_or_else(|| Error::Object(format!("no program {name}")))?;
    Ok(function.instructions.clone())
}

fn load(instructions: &[bpf_insn], attach: AttachType) -> Result<OwnedFd> {
    match bpf::load_program(ProgramType::Kprobe, attach, instructions, &mut []) {
        Ok(program) => Ok(program),
        // What an old kernel says to an attach type it does not know.
        Err(source) if attach == AttachType::UprobeMulti && source.raw_os_error() == Some(libc::EINVAL) => {
            Err(Error::Unsupported {
                doing: "attach many probes at once",
                needs: "Linux 6.6 or newer",
                source,
            })
        }
        Err(source) if matches!(source.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
            Err(refused("load BPF programs", source))
        }
        Err(source) => Err(verifier_error(instructions, attach, source)),
    }
}

/// Loads again with a log to find out why it failed.
fn verifier_error(instructions: &[bpf_insn], attach: AttachType, source: io::Error) -> Error {
    let mut log = vec![0; 1 << 20];
    if let Err(again) = bpf::load_program(ProgramType::Kprobe, attach, instructions, &mut log)
        && again.raw_os_error() == Some(libc::EPERM)
    {
        return refused("load BPF programs", again);
    }
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let text = String::from_utf8_lossy(&log[..end]);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(12)..].join("; ");
    Error::Verifier { program: "site", log: tail, source }
}

/// The error for a refusal by the kernel as such.
fn refused(doing: &'static str, source: io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if is_locked_down() => Error::Lockdown { doing, source },
        Some(libc::EPERM | libc::EACCES) => Error::Permission { doing, source },
        Some(libc::ENOSYS | libc::EINVAL) => {
            Error::Unsupported { doing, needs: "Linux 5.15 or newer with CONFIG_BPF_SYSCALL", source }
        }
        _ => Error::System { doing, source },
    }
}

fn is_locked_down() -> bool {
    std::fs::read_to_string("/sys/kernel/security/lockdown")
        .is_ok_and(|text| text.contains("[confidentiality]"))
}

/// The number of CPUs the kernel keeps per-CPU values for, whether they are online or not.
fn possible_cpus() -> Result<u32> {
    let cpus = aya::util::nr_cpus()
        .map_err(|(_, source)| Error::System { doing: "count the processors", source })?;
    u32::try_from(cpus).ok().filter(|cpus| *cpus < u32::from(u16::MAX)).ok_or_else(|| Error::System {
        doing: "count the processors",
        source: io::ErrorKind::InvalidData.into(),
    })
}

/// A spec as the bytes of its map value.
fn spec_bytes(spec: &SiteSpec) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of::<SiteSpec>());
    bytes.extend([spec.count, spec.shape]);
    bytes.extend(spec.no_mask.to_le_bytes());
    bytes.extend(spec.reserved);
    for argument in &spec.arguments {
        bytes.extend(argument.displacement.to_le_bytes());
        bytes.extend([
            argument.flags,
            argument.base,
            argument.index,
            argument.scale_log2,
            argument.size_bytes,
        ]);
        bytes.extend(argument.reserved);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::ArgumentSpec;

    #[test]
    fn a_spec_has_the_bytes_of_its_layout() {
        let mut spec = SiteSpec { count: 1, shape: 2, ..Default::default() };
        spec.arguments[0] = ArgumentSpec {
            displacement: -4,
            flags: 5,
            base: 7,
            index: 8,
            scale_log2: 3,
            size_bytes: 2,
            ..Default::default()
        };
        let bytes = spec_bytes(&spec);
        assert_eq!(bytes.len(), size_of::<SiteSpec>());
        assert_eq!(bytes[..8], [1, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[8..24], [0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 5, 7, 8, 3, 2, 0, 0, 0]);
        assert_eq!(bytes[24..], [0; 16 * 11]);
    }

    #[test]
    fn the_embedded_object_is_what_the_loader_expects() {
        let object = Object::parse(&OBJECT.0).expect("the object parses");
        assert!(object.programs.contains_key("site"));
        let mut names: Vec<&str> = object.maps.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, [".rodata", "LANES", "PIDS", "RINGS", "SCRATCH", "SITES", "SITE_DROPS"]);
    }

    #[test]
    fn a_refusal_says_what_is_missing() {
        let error = refused("load BPF programs", io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(
            error.to_string(),
            "cannot load BPF programs: permission denied (needs root, or CAP_BPF and CAP_PERFMON)"
        );
    }
}
