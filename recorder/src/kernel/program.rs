//! The eBPF program and its maps in the kernel: created from the embedded object, loaded, and fed with sites.
//!
//! Attaching is in `link.rs`, reading the rings in [`drain`](crate::drain).

mod admitted;
mod deferred;
mod load;
mod variants;

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use aya_obj::Object;

use crate::abi::{
    KernelLayout, LANE_MARGIN, LaneControl, SCRATCH_PAYLOAD_BYTES, SCRATCH_PER_CPU, STRING_ROOM, SiteSpec,
};
use crate::arch::machine;
use crate::error::{Error, Result};
use crate::kernel::bpf::{self, MAPPABLE, Map, MapLayout, MapType, bytes_of};
use crate::kernel::btf;
use crate::kernel::code::{refused, relocate};
use crate::kernel::constants;
use crate::kernel::sites::{MAX_SITES, Sites};
use tracer_format::SiteId;

pub use self::load::load_empty;
use self::load::load_watchers;
use self::variants::Variants;

/// The object, aligned as the ELF parser wants it.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);
static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../ebpf-probes/probes.bpf.o"));

/// Bytes of the program's `Scratch`: a flag and the payload.
const SCRATCH_BYTES: u32 = bytes_of::<[u64; 1 + SCRATCH_PAYLOAD_BYTES / 8]>();
/// Bytes of the buffer that nothing reads.
const SINK_BYTES: u32 = bytes_of::<[u8; STRING_ROOM]>();

/// How the program is loaded; fixed for its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramOptions {
    /// Slots of 24 bytes in the lane of each CPU, rounded up to a power of two from 4096 to 1 048 576. An event with up to
    /// one argument takes one, two more arguments one more.
    pub lane_slots: u32,
    /// Bytes of the ring buffer of each CPU, which takes what a lane has no room for, and strings: a power of two, at
    /// least a memory page.
    pub ring_bytes: u32,
    /// Whether only the processes given to [`Program::admit`] are recorded.
    pub only_admitted: bool,
    /// Whether sites are attached one by one, through perf events, where the kernel could attach many at once, too.
    pub one_by_one: bool,
}

/// Fewest and most slots of a lane.
const MIN_LANE_SLOTS: u32 = 4096;
const MAX_LANE_SLOTS: u32 = 1 << 20;
const _: () = assert!(MIN_LANE_SLOTS as u64 >= 4 * LANE_MARGIN);

/// Bytes of a lane with so many slots.
pub(crate) fn lane_bytes(slots: u32) -> u32 {
    bytes_of::<LaneControl>() + slots * bytes_of::<[u64; 3]>()
}

/// Bytes of the ring for what happens to processes, for each CPU, and in all.
const PROCESS_RING_BYTES: u32 = 256 << 10;
const MAX_PROCESS_RING_BYTES: u32 = 16 << 20;

/// The tracepoints for processes, and the programs at them.
const TRACEPOINTS: [(&CStr, &str); 3] = [
    (c"sched_process_fork", "process_fork"),
    (c"sched_process_exec", "process_exec"),
    (c"sched_process_exit", "process_exit"),
];

/// Processes whose lost events are counted apart, for each CPU and at least: the kernel keeps some of the room for each.
const LOSERS_OF_CPU: u32 = 256;
const MIN_LOSERS: u32 = 4096;

/// Most processes that can be admitted at a time; the kernel's greatest number of processes by default.
pub(crate) const MAX_ADMITTED: u32 = 32 * 1024;

/// The loaded program with its maps.
#[derive(Debug)]
pub struct Program {
    /// The program at sites, in its variants.
    pub(crate) variants: Variants,
    pub(crate) rings: Vec<Map>,
    pub(crate) lanes: Map,
    pub(crate) sites: Arc<Sites>,
    pub(crate) lane_slots: u32,
    /// The ring of what happens to processes, and the count of what it had no room for.
    pub(crate) processes: Map,
    pub(crate) process_drops: Map,
    /// Lost events by process.
    losers: Map,
    /// For the tracepoints, in their order; `Err` when the kernel does not say where to find what they read.
    watchers: io::Result<Vec<OwnedFd>>,
    pub(crate) admitted: Map,
    /// Referred to by the program; kept for its life.
    _others: [Map; 4],
}

impl Program {
    /// Creates the maps and loads the program.
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::Permission`], [`Error::Lockdown`], [`Error::Unsupported`] as the machine is; [`Error::Verifier`] and
    /// [`Error::Object`] if this build does not fit the kernel.
    pub fn load(options: &ProgramOptions) -> Result<Self> {
        let object = Object::parse(&OBJECT.0).map_err(|error| Error::Object(error.to_string()))?;
        Self::of(object, options)
    }

    /// Loads the program of this object.
    fn of(mut object: Object, options: &ProgramOptions) -> Result<Self> {
        machine::refuse_untried(std::env::consts::ARCH)?;
        let cpus = possible_cpus()?;
        let options = &ProgramOptions {
            lane_slots: options.lane_slots.next_power_of_two().clamp(MIN_LANE_SLOTS, MAX_LANE_SLOTS),
            ..*options
        };
        let kernel = btf::kernel_layout();
        constants::set(&mut object, options, kernel.as_ref().unwrap_or(&KernelLayout::default()))?;
        let rings = create_rings(cpus, options.ring_bytes)?;
        let outer = MapLayout { inner: Some(rings[0].as_fd()), ..layout(MapType::ArrayOfMaps, 4, 4, cpus) };
        let outer = create(&outer, cpus)?;
        for (cpu, ring) in (0..cpus).zip(&rings) {
            set(&outer, cpu, &ring.as_fd().as_raw_fd().to_le_bytes())?;
        }
        let sites = Arc::new(Sites::new(cpus)?);
        let lanes = layout(MapType::Array, 4, lane_bytes(options.lane_slots), cpus);
        let lanes = create(&MapLayout { flags: MAPPABLE, ..lanes }, cpus)?;
        let scratch = create(&layout(MapType::Array, 4, SCRATCH_BYTES, cpus * SCRATCH_PER_CPU), cpus)?;
        let sink = create(&layout(MapType::Array, 4, SINK_BYTES, 1), cpus)?;
        let admitted = create(&layout(MapType::Hash, 4, 1, MAX_ADMITTED), cpus)?;
        let process_ring_bytes =
            (PROCESS_RING_BYTES * cpus.next_power_of_two()).clamp(PROCESS_RING_BYTES, MAX_PROCESS_RING_BYTES);
        let processes = create(&layout(MapType::RingBuffer, 0, 0, process_ring_bytes), cpus)?;
        let process_drops = create(&layout(MapType::Array, 4, 8, 1), cpus)?;
        let losers = layout(MapType::LruHash, 4, 8, (cpus * LOSERS_OF_CPU).max(MIN_LOSERS));
        let losers = create(&losers, cpus)?;
        let constants = constants::create(&object, cpus)?;

        let by_name = [
            ("RINGS", &outer),
            ("SITES", &sites.specs),
            ("PIDS", &admitted),
            ("LANES", &lanes),
            ("SITE_DROPS", &sites.drops),
            ("SCRATCH", &scratch),
            ("SINK", &sink),
            ("PROCESSES", &processes),
            ("PROCESS_DROPS", &process_drops),
            ("PID_DROPS", &losers),
            (".rodata", &constants),
        ];
        relocate(&mut object, &by_name)?;
        let variants = Variants::load(&object, options.one_by_one)?;
        let watchers = match kernel {
            Ok(_) => Ok(load_watchers(&object)?),
            Err(error) => Err(error),
        };
        Ok(Self {
            variants,
            rings,
            lanes,
            sites,
            lane_slots: options.lane_slots,
            processes,
            process_drops,
            losers,
            watchers,
            admitted,
            _others: [outer, scratch, sink, constants],
        })
    }

    /// Adds a site, and says what the program does there; gives its number, for attaching. To be called by one thread at a
    /// time.
    ///
    /// # Errors
    /// [`Error::Sites`] when there are as many as an event can name.
    pub fn add_site(&self, spec: &SiteSpec) -> Result<SiteId> {
        self.sites.add(spec)
    }

    /// Sites that were added.
    #[must_use]
    pub fn site_count(&self) -> u32 {
        self.sites.count()
    }

    /// Sites that can still be added.
    #[must_use]
    pub fn room(&self) -> u32 {
        MAX_SITES - self.site_count()
    }

    /// Starts watching processes: fork, exec, exit. Stops when the links are dropped.
    ///
    /// # Errors
    /// When the kernel has no type information, or refuses.
    pub fn watch_processes(&self) -> io::Result<Vec<OwnedFd>> {
        let watchers =
            self.watchers.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
        let points = TRACEPOINTS.iter().zip(watchers);
        points.map(|((point, _), program)| bpf::open_raw_tracepoint(program.as_fd(), point)).collect()
    }

    /// Events of processes that were lost.
    ///
    /// # Errors
    /// [`Error::System`] when the counter cannot be read.
    pub(crate) fn lost_processes(&self) -> Result<u64> {
        let mut value = [0; 8];
        self.process_drops
            .lookup(&0_u32.to_le_bytes(), &mut value)
            .map_err(|source| Error::System { doing: "read the counter of lost processes", source })?;
        Ok(u64::from_le_bytes(value))
    }

    /// How many events each process has lost, the most first. Of very many, those that lost some last.
    #[must_use]
    pub(crate) fn losses(&self) -> Vec<(u32, u64)> {
        let count = |pid: u32| {
            let mut value = [0; 8];
            self.losers.lookup(&pid.to_le_bytes(), &mut value).ok()?;
            Some((pid, u64::from_le_bytes(value)))
        };
        let mut losses: Vec<(u32, u64)> = keys(&self.losers).into_iter().filter_map(count).collect();
        losses.sort_unstable_by_key(|(pid, count)| (std::cmp::Reverse(*count), *pid));
        losses
    }

    /// Time that the program took at sites, ns, and for how many runs, while it was measured ([`Meter`](crate::kernel::meter::Meter)).
    ///
    /// # Errors
    /// [`Error::System`] when the kernel does not tell.
    pub(crate) fn run_time(&self) -> Result<(u64, u64)> {
        let mut sum = (0, 0);
        for program in self.variants.loaded() {
            let (time_ns, runs) = bpf::run_time(program)
                .map_err(|source| Error::System { doing: "read the run time of a BPF program", source })?;
            sum = (sum.0 + time_ns, sum.1 + runs);
        }
        Ok(sum)
    }

    /// Number of possible CPUs, and of rings.
    #[must_use]
    pub fn cpus(&self) -> usize {
        self.rings.len()
    }
}

fn create_rings(cpus: u32, ring_bytes: u32) -> Result<Vec<Map>> {
    (0..cpus).map(|_| create(&layout(MapType::RingBuffer, 0, 0, ring_bytes), cpus)).collect()
}

pub(super) fn layout(kind: MapType, key_bytes: u32, value_bytes: u32, entries: u32) -> MapLayout<'static> {
    MapLayout { kind, key_bytes, value_bytes, entries, flags: 0, inner: None }
}

pub(super) fn create(layout: &MapLayout<'_>, cpus: u32) -> Result<Map> {
    Map::create(layout, cpus).map_err(|source| refused("create BPF maps", source))
}

pub(super) fn set(map: &Map, key: u32, value: &[u8]) -> Result<()> {
    map.update(&key.to_le_bytes(), value)
        .map_err(|source| Error::System { doing: "update a BPF map", source })
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

/// The keys of a map of processes, ascending.
fn keys(map: &Map) -> Vec<u32> {
    let mut pids = Vec::new();
    let mut key = None;
    // If one goes away meanwhile the walk starts again, so its length is limited.
    while pids.len() < map.entries() as usize
        && let Ok(next) = map.next_key(key)
    {
        pids.push(next);
        key = Some(next);
    }
    pids.sort_unstable();
    pids.dedup();
    pids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs root and eBPF"]
    fn a_program_that_may_wait_and_is_refused_is_said_and_costs_no_other() {
        let options =
            ProgramOptions { lane_slots: 4096, ring_bytes: 65536, only_admitted: false, one_by_one: false };
        let mut object = Object::parse(&OBJECT.0).expect("the object parses");
        assert_eq!(Program::load(&options).expect("loaded").variants.unwaiting(), None);
        let key = object.programs["site_of_memory"].function_key();
        // It ends without an end, which no kernel takes.
        object.functions.get_mut(&key).expect("it is there").instructions.truncate(1);
        let program = Program::of(object, &options).expect("loaded");
        let (text, is_limit) = program.variants.unwaiting().expect("said");
        assert!(
            text.starts_with(variants::UNWAITING) && text.contains("site_of_memory") && !is_limit,
            "{text}"
        );
        assert!([true, false].into_iter().all(|is_multi| program.variants.of_memory(is_multi).is_none()));
    }

    #[test]
    #[ignore = "needs root and eBPF"]
    fn what_attaching_needs_is_loaded_before_a_helper_attaches() {
        let options =
            ProgramOptions { lane_slots: 4096, ring_bytes: 65536, only_admitted: false, one_by_one: false };
        let program = Program::load(&options).expect("loaded");
        for (is_multi, is_of_memory, count) in
            [(true, false, 1), (false, false, 1), (true, true, 2), (false, true, 2)]
        {
            // A kernel without links for many sites has none of the first kind.
            let missing = usize::from(is_multi && program.variants.multi.is_err());
            let given = program.variants.attachable(is_multi, is_of_memory).len();
            assert_eq!(given + missing, count, "{is_multi} {is_of_memory}");
        }
    }

    #[test]
    fn the_embedded_object_is_what_the_loader_expects() {
        let object = Object::parse(&OBJECT.0).expect("the object parses");
        let mut programs: Vec<&str> = object.programs.keys().map(String::as_str).collect();
        programs.sort_unstable();
        assert_eq!(programs, ["process_exec", "process_exit", "process_fork", "site", "site_of_memory"]);
        let mut names: Vec<&str> = object.maps.keys().map(String::as_str).collect();
        names.sort_unstable();
        let others = ["PROCESSES", "PROCESS_DROPS", "RINGS", "SCRATCH", "SINK", "SITES", "SITE_DROPS"];
        assert_eq!(names[..4], [".rodata", "LANES", "PIDS", "PID_DROPS"]);
        assert_eq!(names[4..], others);
    }
}
