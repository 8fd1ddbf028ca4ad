//! What the machine is and allows, as far as files below `/proc` and `/sys` tell.

use std::path::PathBuf;

use super::{Check, Verdict};

/// Oldest kernel with cookies for uprobes, and the oldest that attaches many at once.
const OLDEST: (u32, u32) = (5, 15);
const MULTI: (u32, u32) = (6, 6);

/// Capabilities that matter here; `include/uapi/linux/capability.h`.
const SYS_PTRACE: Capability = Capability("CAP_SYS_PTRACE", 19);
const SYS_ADMIN: Capability = Capability("CAP_SYS_ADMIN", 21);
const PERFMON: Capability = Capability("CAP_PERFMON", 38);
const BPF: Capability = Capability("CAP_BPF", 39);
const CHECKPOINT_RESTORE: Capability = Capability("CAP_CHECKPOINT_RESTORE", 40);
/// Others that make a difference: to folders of others, to priorities and limits, to outputs, to commands of other users.
const USEFUL: [Capability; 9] = [
    Capability("CAP_CHOWN", 0),
    Capability("CAP_DAC_OVERRIDE", 1),
    Capability("CAP_DAC_READ_SEARCH", 2),
    Capability("CAP_FOWNER", 3),
    Capability("CAP_KILL", 5),
    Capability("CAP_SETGID", 6),
    Capability("CAP_SETUID", 7),
    Capability("CAP_SYS_NICE", 23),
    Capability("CAP_SYS_RESOURCE", 24),
];

/// Descriptors that a recording needs beside those of its links.
const OTHER_DESCRIPTORS: u64 = 64;

/// Name and number.
#[derive(Clone, Copy)]
struct Capability(&'static str, u32);

impl Capability {
    fn bit(self) -> u64 {
        1 << self.1
    }
}

/// Where facts come from.
#[derive(Debug)]
pub(super) struct System {
    /// `/`, or a folder that stands for it in tests.
    root: PathBuf,
    /// As `uname -r` prints it.
    release: String,
    /// As `uname -m` prints it.
    architecture: String,
}

impl System {
    pub(super) fn this() -> Self {
        let names = rustix::system::uname();
        Self {
            root: "/".into(),
            release: names.release().to_string_lossy().into_owned(),
            architecture: names.machine().to_string_lossy().into_owned(),
        }
    }

    /// What is said where the files that tell of processes are not there: nothing else could be told from it.
    pub(super) fn without_processes(&self) -> Option<Check> {
        if self.root.join("proc/self/status").exists() {
            return None;
        }
        let found = "not mounted at /proc: no process, program or capability can be seen, and nothing can be recorded";
        Some(Check::new(Verdict::Problem, "proc", found).advise("mount -t proc proc /proc"))
    }

    /// All checks that need no privilege.
    pub(super) fn checks(&self) -> Vec<Check> {
        vec![
            self.kernel(),
            self.processor(),
            self.capabilities(),
            self.namespace(),
            self.lockdown(),
            self.paranoid(),
            self.jit(),
            self.types(),
            self.descriptors(),
        ]
    }

    fn read(&self, path: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned())
    }

    /// Major and minor version; `None` if the kernel does not say it in this form.
    fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.release.split(|letter: char| !letter.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    /// Whether nothing can be recorded with this kernel.
    pub(super) fn is_too_old(&self) -> bool {
        self.version().is_some_and(|version| version < OLDEST)
    }

    fn kernel(&self) -> Check {
        let name = "kernel";
        let found = format!("Linux {}", self.release);
        match self.version() {
            Some(version) if version >= MULTI => Check::ok(name, found),
            Some(version) if version >= OLDEST => {
                let found = format!("{found}: every site is attached on its own, which is slower");
                Check::new(Verdict::Note, name, found).advise("Linux 6.6 or newer attaches all at once")
            }
            Some(_) => Check::new(Verdict::Problem, name, found).advise("needs Linux 5.15 or newer"),
            None => Check::new(Verdict::Note, name, format!("{found}: of unknown age")),
        }
    }

    fn processor(&self) -> Check {
        if self.architecture == "x86_64" {
            return Check::ok("processor", "x86-64");
        }
        let found = format!("{}: nothing can be recorded, the registers are not known", self.architecture);
        Check::new(Verdict::Problem, "processor", found)
            .advise("record on x86-64; reading a trace works everywhere")
    }

    /// This process's effective capabilities.
    fn held(&self) -> u64 {
        let status = self.read("proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
    }

    fn has(&self, capability: Capability) -> bool {
        self.held() & capability.bit() != 0
    }

    /// How many capabilities it has that nothing here needs. Those of root are not counted: it gives them up while it records.
    fn needless(&self) -> u32 {
        let needed = [SYS_PTRACE, SYS_ADMIN, PERFMON, BPF, CHECKPOINT_RESTORE].into_iter().chain(USEFUL);
        let needed = needed.fold(0, |bits, capability| bits | capability.bit());
        let status = self.read("proc/self/status").unwrap_or_default();
        let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
        let is_root = uids.split_whitespace().nth(1).is_none_or(|uid| uid == "0");
        if is_root { 0 } else { (self.held() & !needed).count_ones() }
    }

    /// Whether processes of other users can be looked into.
    pub(super) fn may_look_into_others(&self) -> bool {
        self.has(SYS_PTRACE)
    }

    /// Whether a filter of system calls is at work, as in most containers.
    pub(super) fn is_filtered(&self) -> bool {
        let status = self.read("proc/self/status").unwrap_or_default();
        status.lines().filter_map(|line| line.strip_prefix("Seccomp:")).any(|mode| mode.trim() == "2")
    }

    /// Whether sysfs is where the recorder looks for the processors, the kernel's types and the source of uprobes.
    pub(super) fn has_sysfs(&self) -> bool {
        self.root.join("sys/devices/system/cpu").exists()
    }

    fn capabilities(&self) -> Check {
        let name = "capabilities";
        // CAP_SYS_ADMIN includes what the two newer ones allow.
        let missing = |capability: &Capability| !self.has(*capability) && !self.has(SYS_ADMIN);
        let mut lacking: Vec<&str> = [BPF, PERFMON].iter().filter(|it| missing(it)).map(|it| it.0).collect();
        let verdict = if lacking.is_empty() { Verdict::Limit } else { Verdict::Problem };
        if !self.has(SYS_PTRACE) {
            lacking.push(SYS_PTRACE.0);
        }
        if lacking.is_empty() {
            return match self.needless() {
                0 => Check::ok(name, "CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE"),
                count => {
                    let found = format!("{count} more than anything here needs; SECURITY.md has a table");
                    Check::new(Verdict::Note, name, found).advise("leave them out of the unit or the file")
                }
            };
        }
        let meaning = match verdict {
            Verdict::Problem => "nothing can be recorded",
            _ => "processes of other users are not looked into",
        };
        let found = format!("without {}: {meaning}", lacking.join(", "));
        let grant =
            "run with sudo, or: sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep \"$(command -v tracer)\"";
        Check::new(verdict, name, found).advise(grant)
    }

    fn namespace(&self) -> Check {
        let name = "user namespace";
        let map = self.read("proc/self/uid_map").unwrap_or_default();
        let fields: Vec<&str> = map.split_whitespace().collect();
        if matches!(fields[..], [] | ["0", "0", "4294967295"]) {
            return Check::ok(name, "the first one");
        }
        let found = "not the first one: capabilities in it do not count for BPF";
        Check::new(Verdict::Problem, name, found)
            .advise("record outside the container, which sees inside as well")
    }

    fn lockdown(&self) -> Check {
        let name = "lockdown";
        match self.read("sys/kernel/security/lockdown") {
            None => Check::ok(name, "none that shows"),
            Some(text) if text.contains("[confidentiality]") => {
                let found = "confidentiality: BPF programs may not read memory, not even for root";
                let advice = "start the kernel with lockdown=integrity, or without Secure Boot";
                Check::new(Verdict::Problem, name, found).advise(advice)
            }
            Some(text) => {
                let mode = text.split(['[', ']']).nth(1).unwrap_or("unknown").to_owned();
                Check::ok(name, mode)
            }
        }
    }

    fn paranoid(&self) -> Check {
        let name = "perf_event_paranoid";
        let value = self.read("proc/sys/kernel/perf_event_paranoid").unwrap_or_else(|| "unknown".into());
        let overridden = self.has(PERFMON) || self.has(SYS_ADMIN);
        let found =
            if overridden { "which CAP_PERFMON overrides" } else { "which only CAP_PERFMON overrides" };
        Check::ok(name, format!("{value}, {found}"))
    }

    fn jit(&self) -> Check {
        let name = "BPF JIT";
        match self.read("proc/sys/net/core/bpf_jit_enable").as_deref() {
            // Shown in the first network namespace only.
            None => Check::ok(name, "not shown here, which says nothing"),
            Some("0") => {
                let found = "off: the program is interpreted, and every firing takes longer";
                Check::new(Verdict::Note, name, found).advise("sudo sysctl net.core.bpf_jit_enable=1")
            }
            Some(_) => Check::ok(name, "on"),
        }
    }

    fn types(&self) -> Check {
        let has = self.root.join("sys/kernel/btf/vmlinux").exists();
        if has {
            return Check::ok("BTF", "/sys/kernel/btf/vmlinux");
        }
        let found = "no /sys/kernel/btf/vmlinux: what happens to processes is not seen";
        Check::new(Verdict::Note, "BTF", found).advise("needs a kernel with CONFIG_DEBUG_INFO_BTF")
    }

    fn descriptors(&self) -> Check {
        let name = "open files";
        let limits = self.read("proc/self/limits").unwrap_or_default();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        // One for each binary below the first limit; without uprobe_multi one for each site below the second one, up to which
        // it is raised meanwhile.
        let has_multi = self.version().is_none_or(|version| version >= MULTI);
        let (position, what) = if has_multi { (0, "programs and libraries") } else { (1, "sites") };
        let limit = line.and_then(|line| line.split_whitespace().nth(position)).unwrap_or("unknown");
        let Ok(count) = limit.parse::<u64>() else { return Check::ok(name, limit) };
        // And one ring for each processor.
        let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
        let room = count.saturating_sub(OTHER_DESCRIPTORS + cpus);
        let found = format!("{count}, enough for {room} {what}");
        if room >= 100 {
            return Check::ok(name, found);
        }
        Check::new(Verdict::Limit, name, found).advise("ulimit -n 65536 before tracer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with these files, and the check of that name.
    fn check(name: &str, release: &str, files: &[(&str, &str)]) -> Check {
        // Two tests may ask for the same check at a time.
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("tracer-doctor-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let machine = System { root: root.clone(), release: release.into(), architecture: "x86_64".into() };
        let check = machine.checks().into_iter().find(|check| check.name == name).expect("such a check");
        let _ = std::fs::remove_dir_all(root);
        check
    }

    #[test]
    fn kernels_are_judged_by_their_version() {
        for (release, verdict) in [
            ("6.18.44-fc-v595", Verdict::Ok),
            ("6.6.0", Verdict::Ok),
            ("6.5.13-generic", Verdict::Note),
            ("5.15.0-91-generic", Verdict::Note),
            ("5.14.21", Verdict::Problem),
            ("4.18.0-553.el8", Verdict::Problem),
            ("next", Verdict::Note),
        ] {
            assert_eq!(check("kernel", release, &[]).verdict, verdict, "{release}");
        }
    }

    #[test]
    fn missing_capabilities_are_named() {
        let of = |bits: &str| {
            check("capabilities", "6.6.0", &[("proc/self/status", &format!("Name:\tx\nCapEff:\t{bits}\n"))])
        };
        assert_eq!(of("000001fffeffffff").verdict, Verdict::Ok);
        let none = of("0000000000000000");
        assert_eq!(none.verdict, Verdict::Problem);
        assert_eq!(none.found, "without CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE: nothing can be recorded");
        // CAP_SYS_ADMIN alone, and the two newer ones alone.
        for bits in ["0000000000200000", "000000c000000000"] {
            let some = of(bits);
            assert_eq!(some.verdict, Verdict::Limit, "{bits}");
            assert!(some.found.starts_with("without CAP_SYS_PTRACE:"), "{}", some.found);
        }
        assert_eq!(of("0000008000080000").found, "without CAP_PERFMON: nothing can be recorded");
    }

    #[test]
    fn without_proc_nothing_is_said_of_capabilities() {
        let folder = |name: &str| {
            let root = std::env::temp_dir().join(format!("tracer-doctor-{}-{name}", std::process::id()));
            std::fs::create_dir_all(root.join("proc/self")).expect("made");
            System { root, release: "6.6.0".into(), architecture: "x86_64".into() }
        };
        let machine = folder("proc");
        let check = machine.without_processes().expect("a problem");
        assert_eq!((check.verdict, &check.name[..]), (Verdict::Problem, "proc"));
        std::fs::write(machine.root.join("proc/self/status"), "CapEff:\t0\n").expect("written");
        assert_eq!(machine.without_processes(), None);
        let _ = std::fs::remove_dir_all(machine.root);
    }

    #[test]
    fn capabilities_that_nothing_needs_are_counted_unless_it_is_root() {
        let of = |uid: &str, bits: &str| {
            let status = format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nCapEff:\t{bits}\n");
            check("capabilities", "6.6.0", &[("proc/self/status", &status)])
        };
        // CAP_SYS_PTRACE, CAP_PERFMON and CAP_BPF, then with CAP_SYS_MODULE and CAP_SYS_BOOT.
        assert_eq!(of("1000", "000000c000080000").verdict, Verdict::Ok);
        let more = of("1000", "000000c000490000");
        assert_eq!(more.verdict, Verdict::Note);
        assert!(more.found.starts_with("2 more than anything here needs"), "{more:?}");
        assert_eq!(of("0", "000000c000490000").verdict, Verdict::Ok);
    }

    #[test]
    fn a_container_without_anything_below_sys_is_no_problem_by_itself() {
        for name in ["user namespace", "lockdown", "perf_event_paranoid", "BPF JIT", "open files"] {
            let check = check(name, "6.6.0", &[]);
            assert_eq!(check.verdict, Verdict::Ok, "{check:?}");
        }
        assert_eq!(check("BTF", "6.6.0", &[]).verdict, Verdict::Note);
    }

    #[test]
    fn what_stops_or_slows_a_recording_is_told() {
        for (name, path, text, verdict) in [
            ("user namespace", "proc/self/uid_map", "0 1000 1\n", Verdict::Problem),
            ("user namespace", "proc/self/uid_map", "         0          0 4294967295\n", Verdict::Ok),
            (
                "lockdown",
                "sys/kernel/security/lockdown",
                "none integrity [confidentiality]\n",
                Verdict::Problem,
            ),
            ("lockdown", "sys/kernel/security/lockdown", "none [integrity] confidentiality\n", Verdict::Ok),
            ("BPF JIT", "proc/sys/net/core/bpf_jit_enable", "0\n", Verdict::Note),
            ("BPF JIT", "proc/sys/net/core/bpf_jit_enable", "1\n", Verdict::Ok),
            ("open files", "proc/self/limits", "Max open files   128   4096   files\n", Verdict::Limit),
            ("open files", "proc/self/limits", "Max open files   65536  65536  files\n", Verdict::Ok),
        ] {
            let check = check(name, "6.6.0", &[(path, text)]);
            assert_eq!(check.verdict, verdict, "{check:?} of {text:?}");
            assert_eq!(check.advice.is_some(), verdict != Verdict::Ok, "{check:?}");
        }
    }

    #[test]
    fn without_uprobe_multi_each_site_takes_a_descriptor_up_to_the_hard_limit() {
        let files =
            [("proc/self/limits", "Max open files            128                  4096       files\n")];
        let check = check("open files", "5.15.0", &files);
        assert_eq!(check.verdict, Verdict::Ok, "{check:?}");
        assert!(check.found.starts_with("4096, enough for ") && check.found.ends_with(" sites"), "{check:?}");
    }

    #[test]
    fn a_filter_of_system_calls_is_seen() {
        let root = std::env::temp_dir().join(format!("tracer-doctor-{}-filter", std::process::id()));
        std::fs::create_dir_all(root.join("proc/self")).expect("made");
        for (mode, expected) in [("0", false), ("2", true)] {
            let text = format!("CapEff:\t0\nSeccomp:\t{mode}\nSeccomp_filters:\t2\n");
            std::fs::write(root.join("proc/self/status"), text).expect("written");
            let machine = System { root: root.clone(), release: String::new(), architecture: String::new() };
            assert_eq!(machine.is_filtered(), expected);
        }
        let _ = std::fs::remove_dir_all(root);
    }
}
