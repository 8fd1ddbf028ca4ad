//! Limits of the control groups that this process is in: memory, and time of processors. Both versions of control groups.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of memory that this process and what shares its groups may use; `None` without a limit.
#[must_use]
pub(crate) fn memory_limit() -> Option<u64> {
    folders("memory").iter().filter_map(|folder| memory_limit_of(folder)).min()
}

/// Processors that this process and what shares its groups may use on average; `None` without a limit.
#[must_use]
pub(crate) fn cpu_quota() -> Option<f64> {
    folders("cpu").iter().filter_map(|folder| cpu_quota_of(folder)).min_by(f64::total_cmp)
}

fn memory_limit_of(folder: &Path) -> Option<u64> {
    /// The older version has a number close to the greatest one for "no limit".
    const NO_LIMIT: u64 = 1 << 60;
    let numbers = ["memory.max", "memory.limit_in_bytes"].into_iter().filter_map(|name| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        text.trim().parse().ok()
    });
    numbers.filter(|limit| *limit < NO_LIMIT).min()
}

fn cpu_quota_of(folder: &Path) -> Option<f64> {
    let read = |name| fs::read_to_string(folder.join(name));
    let (quota, period) = match read("cpu.max") {
        Ok(both) => {
            both.trim().split_once(' ').map(|(quota, period)| (quota.to_owned(), period.to_owned()))?
        }
        Err(_) => (read("cpu.cfs_quota_us").ok()?, read("cpu.cfs_period_us").ok()?),
    };
    // "max", or in the older version -1, is none.
    let (quota, period): (u32, u32) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (period > 0).then(|| f64::from(quota) / f64::from(period))
}

/// The folders of this process's group for `controller` and of the groups around it, the group itself first.
fn folders(controller: &str) -> Vec<PathBuf> {
    let read = |name| fs::read_to_string(name).unwrap_or_default();
    find(controller, &read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
}

/// The same, by the content of `cgroup` and `mountinfo` in a folder of `/proc`.
fn find(controller: &str, groups: &str, mounts: &str) -> Vec<PathBuf> {
    let has = |list: &str| list.split(',').any(|name| name == controller);
    let mut folders = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        // The newer version has all controllers in one group, and names none.
        let is_new = controllers.is_empty();
        if !is_new && !has(controllers) {
            continue;
        }
        for line in mounts.lines() {
            let Some((place, kind)) = line.split_once(" - ") else { continue };
            let (mut place, mut kind) = (place.split(' ').skip(3), kind.split(' '));
            let (Some(root), Some(place)) = (place.next(), place.next()) else { continue };
            let is_it = match kind.next() {
                Some("cgroup2") => is_new,
                Some("cgroup") => !is_new && kind.nth(1).is_some_and(has),
                _ => false,
            };
            // A container may see a part of the hierarchy only.
            let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or(path);
            if is_it {
                let group = Path::new(place).join(below.trim_start_matches('/'));
                let around = group.ancestors().take_while(|folder| folder.starts_with(place));
                folders.extend(around.map(Path::to_owned));
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
        30 23 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
        31 23 0:27 /outer /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        32 23 0:28 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n\
        33 23 0:29 / /proc rw - proc proc rw\n";

    #[test]
    fn the_group_and_those_around_it_are_found() {
        let groups = "9:memory:/outer/inner\n2:cpu,cpuacct:/\n0::/user/one\n";
        let found = |controller| -> Vec<String> {
            let folders = find(controller, groups, MOUNTS);
            folders.iter().map(|folder| folder.to_string_lossy().into_owned()).collect()
        };
        let unified = ["/user/one", "/user", ""].map(|group| format!("/sys/fs/cgroup/unified{group}"));
        assert_eq!(
            found("memory"),
            [&["/sys/fs/cgroup/memory/inner", "/sys/fs/cgroup/memory"].map(String::from)[..], &unified]
                .concat()
        );
        assert_eq!(found("cpu"), [&["/sys/fs/cgroup/cpu/".to_owned()][..], &unified].concat());
        assert_eq!(find("cpu", "", MOUNTS), Vec::<PathBuf>::new());
    }

    #[test]
    fn limits_are_read_as_both_versions_write_them() {
        let folder = std::env::temp_dir().join(format!("tracer-cgroup-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("made");
        let limits = |files: &[(&str, &str)]| {
            fs::remove_dir_all(&folder).expect("removed");
            fs::create_dir_all(&folder).expect("made");
            files.iter().for_each(|(name, text)| fs::write(folder.join(name), text).expect("written"));
            (memory_limit_of(&folder), cpu_quota_of(&folder))
        };
        let new = [("memory.max", "67108864\n"), ("cpu.max", "50000 100000\n")];
        assert_eq!(limits(&new), (Some(64 << 20), Some(0.5)));
        assert_eq!(limits(&[("memory.max", "max\n"), ("cpu.max", "max 100000\n")]), (None, None));
        let old = [
            ("memory.limit_in_bytes", "1048576\n"),
            ("cpu.cfs_quota_us", "150000\n"),
            ("cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(limits(&old), (Some(1 << 20), Some(1.5)));
        let none = [
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("cpu.cfs_quota_us", "-1\n"),
            ("cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(limits(&none), (None, None));
        fs::remove_dir_all(&folder).expect("removed");
    }
}
