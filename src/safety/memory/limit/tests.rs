use std::fs;

use super::*;

const MIB: u64 = 1 << 20;
const V1_UNLIMITED: &str = "9223372036854771712\n";

/// A tree of files that is removed with it.
struct System(tempfile::TempDir);

impl System {
    /// A machine of 8 GiB.
    fn new(cgroup: &str, mountinfo: &str) -> Self {
        let system = Self(tempfile::tempdir().unwrap());
        system
            .with("proc/self/cgroup", cgroup)
            .with("proc/self/mountinfo", mountinfo)
            .with("proc/meminfo", "MemTotal:        8388608 kB\nMemFree:  17 kB\n")
    }

    fn with(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn with_mib(self, path: &str, mib: u64) -> Self {
        self.with(path, &format!("{}\n", mib * MIB))
    }

    fn limit(&self) -> MemoryLimit {
        memory_limit(&SystemRoot::at(self.0.path())).unwrap()
    }

    fn has(&self, mib: u64, source: LimitSource) {
        assert_eq!(self.limit(), MemoryLimit { bytes: mib * MIB, source });
    }
}

const V2_MOUNT: &str = "\
22 28 0:21 / /proc rw,nosuid - proc proc rw
30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate
";

const V1_MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 master:3 - cgroup cgroup rw,memory
";

#[test]
fn v2_takes_the_limit_of_the_own_group() {
    System::new("0::/app.slice/shop.service\n", V2_MOUNT)
        .with_mib("sys/fs/cgroup/app.slice/shop.service/memory.max", 512)
        .has(512, LimitSource::CgroupV2);
}

#[test]
fn the_smallest_limit_of_all_ancestors_wins_wherever_it_stands() {
    for (own, middle, top, smallest) in [(100, 200, 300, 100), (300, 100, 200, 100), (300, 200, 100, 100)] {
        System::new("0::/a/b/c\n", V2_MOUNT)
            .with_mib("sys/fs/cgroup/a/b/c/memory.max", own)
            .with_mib("sys/fs/cgroup/a/b/memory.max", middle)
            .with_mib("sys/fs/cgroup/a/memory.max", top)
            .has(smallest, LimitSource::CgroupV2);
    }
}

#[test]
fn max_is_no_limit_and_ancestors_still_count() {
    System::new("0::/a/b\n", V2_MOUNT)
        .with("sys/fs/cgroup/a/b/memory.max", "max\n")
        .with_mib("sys/fs/cgroup/a/memory.max", 256)
        .has(256, LimitSource::CgroupV2);
    System::new("0::/a\n", V2_MOUNT).with("sys/fs/cgroup/a/memory.max", "max\n").has(8_192, LimitSource::Machine);
}

#[test]
fn in_a_cgroup_namespace_the_mount_point_is_the_own_group() {
    System::new("0::/\n", V2_MOUNT).with_mib("sys/fs/cgroup/memory.max", 128).has(128, LimitSource::CgroupV2);
}

#[test]
fn a_mount_that_begins_inside_the_tree_is_walked_from_there() {
    let mount = "30 23 0:26 /kube/pod7 /sys/fs/cgroup ro - cgroup2 cgroup ro\n";
    System::new("0::/kube/pod7/app/worker\n", mount)
        .with_mib("sys/fs/cgroup/app/worker/memory.max", 400)
        .with_mib("sys/fs/cgroup/app/memory.max", 300)
        .with_mib("sys/fs/cgroup/memory.max", 350)
        .with_mib("sys/fs/cgroup/kube/pod7/app/memory.max", 1)
        .has(300, LimitSource::CgroupV2);
}

#[test]
fn a_mount_from_above_the_namespace_is_walked_where_the_group_is_known() {
    let mount = "30 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
    System::new("0::/../../other\n", mount)
        .with_mib("sys/fs/cgroup/other/memory.max", 90)
        .has(90, LimitSource::CgroupV2);
    // The own group's name in the parent is not visible: only the top is known to be an ancestor.
    System::new("0::/\n", mount).with_mib("sys/fs/cgroup/memory.max", 70).has(70, LimitSource::CgroupV2);
}

#[test]
fn a_group_outside_the_mount_never_leads_out_of_it() {
    System::new("0::/../secret\n", V2_MOUNT)
        .with_mib("sys/fs/secret/memory.max", 1)
        .with_mib("sys/fs/cgroup/memory.max", 64)
        .has(64, LimitSource::CgroupV2);
}

#[test]
fn a_top_group_is_a_prefix_in_whole_names_only() {
    let mounts = "\
30 23 0:26 /kube /first rw - cgroup2 cgroup rw
31 23 0:26 /kubepods /second rw - cgroup2 cgroup rw
";
    System::new("0::/kubepods/app\n", mounts)
        .with_mib("first/memory.max", 1)
        .with_mib("second/app/memory.max", 50)
        .has(50, LimitSource::CgroupV2);
}

#[test]
fn groups_that_the_mount_does_not_show_are_skipped_up_to_those_it_does() {
    System::new("0::/docker/4711\n", V2_MOUNT).with_mib("sys/fs/cgroup/memory.max", 96).has(96, LimitSource::CgroupV2);
}

#[test]
fn v1_reads_the_memory_controllers_own_group() {
    System::new("5:cpu,cpuacct:/fast\n4:memory:/jobs/shop\n1:name=systemd:/init\n", V1_MOUNTS)
        .with_mib("sys/fs/cgroup/memory/jobs/shop/memory.limit_in_bytes", 700)
        .with_mib("sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", 600)
        .with("sys/fs/cgroup/memory/memory.limit_in_bytes", V1_UNLIMITED)
        .with_mib("sys/fs/cgroup/cpu,cpuacct/fast/memory.limit_in_bytes", 1)
        .has(600, LimitSource::CgroupV1);
}

#[test]
fn v1_without_a_limit_says_a_huge_number() {
    for unlimited in [V1_UNLIMITED, "9223372036854710272\n", "18446744073709551615\n"] {
        System::new("4:memory:/jobs\n", V1_MOUNTS)
            .with("sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", unlimited)
            .has(8_192, LimitSource::Machine);
    }
}

#[test]
fn v1_in_a_container_strips_the_mounts_own_group() {
    let mount = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    System::new("4:memory:/docker/abc\n", mount)
        .with_mib("sys/fs/cgroup/memory/memory.limit_in_bytes", 333)
        .has(333, LimitSource::CgroupV1);
}

#[test]
fn a_hybrid_system_takes_the_limit_where_the_controller_is() {
    let mounts = format!("{V1_MOUNTS}40 31 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    System::new("4:memory:/shop\n0::/shop\n", &mounts)
        .with("sys/fs/cgroup/unified/shop/cgroup.procs", "1\n")
        .with_mib("sys/fs/cgroup/memory/shop/memory.limit_in_bytes", 222)
        .has(222, LimitSource::CgroupV1);
}

#[test]
fn a_limit_above_the_machines_memory_is_the_machines() {
    System::new("0::/a\n", V2_MOUNT).with_mib("sys/fs/cgroup/a/memory.max", 1_000_000).has(8_192, LimitSource::Machine);
}

#[test]
fn a_mount_point_with_a_blank_is_found() {
    let mount = "30 23 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n";
    System::new("0::/a\n", mount).with_mib("my groups/a/memory.max", 48).has(48, LimitSource::CgroupV2);
}

#[test]
fn files_that_are_missing_or_odd_count_as_no_limit() {
    for (cgroup, mountinfo) in
        [("", V2_MOUNT), ("0::/a\n", ""), ("garbage\n0:\n", "1 2\n - \n30 23 0:26 / - cgroup2 x\n")]
    {
        System::new(cgroup, mountinfo).with_mib("sys/fs/cgroup/a/memory.max", 1).has(8_192, LimitSource::Machine);
    }
    System::new("0::/a\n", V2_MOUNT).with("sys/fs/cgroup/a/memory.max", "lots\n").has(8_192, LimitSource::Machine);
    // A directory where the file should be: it opens but cannot be read.
    System::new("0::/a\n", V2_MOUNT).with("sys/fs/cgroup/a/memory.max/x", "").has(8_192, LimitSource::Machine);
}

#[test]
fn without_the_machines_memory_a_group_still_answers_and_else_it_is_an_error() {
    let system = System::new("0::/a\n", V2_MOUNT).with_mib("sys/fs/cgroup/a/memory.max", 32);
    fs::remove_file(system.0.path().join("proc/meminfo")).unwrap();
    system.has(32, LimitSource::CgroupV2);
    let empty = tempfile::tempdir().unwrap();
    assert!(memory_limit(&SystemRoot::at(empty.path())).is_err());
}

#[test]
fn a_very_deep_group_is_walked_without_trouble() {
    let group = "/g".repeat(1_000);
    let directories = directories(&group, &[Mount { top_group: "/".into(), mount_point: "/m".into() }]);
    assert_eq!(directories.len(), 1_001);
    assert_eq!((directories[0].len(), directories[1_000].as_str()), (2_002, "/m"));
}

#[test]
#[cfg(target_os = "linux")]
fn this_machine_has_a_limit() {
    let limit = memory_limit(&SystemRoot::host().unwrap()).unwrap();
    let machine = kibibytes_of(std::path::Path::new("/proc/meminfo"), "MemTotal").unwrap();
    assert!((1..=machine).contains(&limit.bytes));
}
