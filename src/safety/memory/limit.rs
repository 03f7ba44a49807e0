//! How much memory the process may use: the smallest limit of its cgroup and that group's ancestors, else the machine's.
//!
//! Files read: `/proc/self/cgroup` and `/proc/self/mountinfo` (which group, and where its tree is mounted),
//! `memory.max` (cgroup v2) or `memory.limit_in_bytes` (v1) of each group on the way up, `/proc/meminfo`.
//!
//! ```text
//!   /proc/self/cgroup      0::/kube/pod7/app
//!   mountinfo              … /kube  /sys/fs/cgroup … - cgroup2 …        (root and mount point)
//!   read                   /sys/fs/cgroup/pod7/app/memory.max
//!                          /sys/fs/cgroup/pod7/memory.max
//!                          /sys/fs/cgroup/memory.max
//! ```

use super::super::system::{SystemRoot, SystemUnknown, read_file};
use super::kibibytes_of;

/// cgroup v1 says "no limit" as the largest multiple of the page size below 2^63: no page is larger than 2^61 bytes,
/// and no machine has 4 EiB.
const V1_NO_LIMIT: u64 = 1 << 62;

/// What the process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryLimit {
    /// In bytes.
    pub(crate) bytes: u64,
    /// Who sets it.
    pub(crate) source: LimitSource,
}

/// Who limits the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitSource {
    /// `memory.max` of a group.
    CgroupV2,
    /// `memory.limit_in_bytes` of a group.
    CgroupV1,
    /// The machine's memory: no group has a limit below it.
    Machine,
}

/// Finds the limit: the smallest of all groups' and the machine's. Files that cannot be read count as no limit.
///
/// Limits change while a process runs, but seldom: ask at the start and now and then. Costs some ten file reads,
/// less than 1 ms in all.
///
/// # Errors
/// When no group has a limit and the machine's memory cannot be read.
pub(crate) fn memory_limit(root: &SystemRoot) -> Result<MemoryLimit, SystemUnknown> {
    let group = Hierarchy::ALL
        .into_iter()
        .filter_map(|hierarchy| {
            let bytes = hierarchy.smallest_limit(root)?;
            Some(MemoryLimit { bytes, source: hierarchy.source() })
        })
        .min_by_key(|limit| limit.bytes);
    let machine = kibibytes_of(&root.join("/proc/meminfo"), "MemTotal")
        .map(|bytes| MemoryLimit { bytes, source: LimitSource::Machine });
    match (group, machine) {
        (Some(group), Ok(machine)) if machine.bytes < group.bytes => Ok(machine),
        (Some(group), _) => Ok(group),
        (None, machine) => machine,
    }
}

#[derive(Clone, Copy)]
enum Hierarchy {
    V2,
    /// The memory controller's; a hybrid system has it beside v2.
    V1,
}

/// One `cgroup` mount: the group at its top, and where that group appears in the file system.
struct Mount {
    top_group: String,
    mount_point: String,
}

impl Hierarchy {
    const ALL: [Self; 2] = [Self::V2, Self::V1];

    fn source(self) -> LimitSource {
        match self {
            Self::V2 => LimitSource::CgroupV2,
            Self::V1 => LimitSource::CgroupV1,
        }
    }

    fn limit_file(self) -> &'static str {
        match self {
            Self::V2 => "memory.max",
            Self::V1 => "memory.limit_in_bytes",
        }
    }

    fn smallest_limit(self, root: &SystemRoot) -> Option<u64> {
        let group = read_file(&root.join("/proc/self/cgroup")).ok()?.lines().find_map(|line| self.group_of(line))?;
        let mounts = read_file(&root.join("/proc/self/mountinfo")).ok()?;
        let mounts: Vec<Mount> = mounts.lines().filter_map(|line| self.mount_of(line)).collect();
        directories(&group, &mounts)
            .iter()
            .filter_map(|directory| {
                // A group without the controller, or one that we may not look into, sets no limit that we know of.
                let text = read_file(&root.join(&format!("{directory}/{}", self.limit_file()))).ok()?;
                self.limit_in(&text)
            })
            .min()
    }

    /// The process's group, from a line `0::/group` (v2) or `4:cpu,memory:/group` (v1).
    fn group_of(self, line: &str) -> Option<String> {
        let mut fields = line.splitn(3, ':');
        let (id, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
        let is_ours = match self {
            Self::V2 => id == "0" && controllers.is_empty(),
            Self::V1 => controllers.split(',').any(|controller| controller == "memory"),
        };
        is_ours.then(|| group.to_owned())
    }

    /// Reads `36 35 0:29 /top /mount/point options [tags…] - type source super-options`.
    fn mount_of(self, line: &str) -> Option<Mount> {
        let (mount, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let (file_system, options) = (system.next()?, system.nth(1)?);
        let is_ours = match self {
            Self::V2 => file_system == "cgroup2",
            Self::V1 => file_system == "cgroup" && options.split(',').any(|option| option == "memory"),
        };
        let mut mount = mount.split(' ').skip(3);
        let (top_group, mount_point) = (unescape(mount.next()?), unescape(mount.next()?));
        is_ours.then_some(Mount { top_group, mount_point })
    }

    fn limit_in(self, text: &str) -> Option<u64> {
        // "max" is no number.
        let limit = text.trim().parse::<u64>().ok()?;
        match self {
            Self::V1 if limit >= V1_NO_LIMIT => None,
            _ => Some(limit),
        }
    }
}

/// The directories of `group` and of its ancestors, as far up as they are mounted.
///
/// Where no mount shows the group itself (the container's view begins elsewhere than the process's), the top of the
/// first mount is taken for its ancestor: that is so when a runtime mounts a container's own group over the tree, and
/// a limit too low costs traces, one too high the host.
fn directories(group: &str, mounts: &[Mount]) -> Vec<String> {
    let mut found: Vec<String> = mounts
        .iter()
        .filter_map(|mount| below(&mount.top_group, group).map(|path| mount.upwards(path)))
        .flatten()
        .collect();
    if found.is_empty() {
        found.extend(mounts.first().map(|mount| mount.mount_point.clone()));
    }
    found
}

impl Mount {
    fn upwards(&self, path: &str) -> Vec<String> {
        let mut directory = format!("{}{path}", self.mount_point.trim_end_matches('/'));
        let mut directories = Vec::new();
        while directory.len() > self.mount_point.len() {
            directories.push(directory.clone());
            directory.truncate(directory.rfind('/').unwrap_or(0));
        }
        directories.push(self.mount_point.clone());
        directories
    }
}

/// The part of `group` below `top`: empty, or with a leading slash. None when it lies elsewhere: paths with `..` come
/// from a cgroup namespace whose root is not an ancestor of the group.
fn below<'a>(top: &str, group: &'a str) -> Option<&'a str> {
    let path = group.strip_prefix(top.trim_end_matches('/'))?.trim_end_matches('/');
    let is_whole_names = path.is_empty() || path.starts_with('/');
    let is_inside = !path.split('/').any(|name| name == "..");
    (is_whole_names && is_inside).then_some(path)
}

/// The kernel writes blank, tab, newline and backslash in mount tables as `\040`, `\011`, `\012`, `\134`.
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
