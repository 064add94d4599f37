//! Which limits the mounted cgroup hierarchies can enforce. Only read: making a group to see if it can be made would
//! switch controllers on for the whole machine.

use rustix::fs::Access;

use super::{Finding, Status};
use crate::cgroup::{Controller, CpuLimits, Layout};

const CONTROLLERS: &str = "cgroup-controllers";
const SWAP: &str = "swap-limit";

pub(super) fn examine(cpu: CpuLimits) -> Vec<Finding> {
    let layout = match Layout::detect() {
        Ok(layout) => layout,
        Err(error) => {
            return vec![Finding::fail(
                CONTROLLERS,
                error.to_string(),
                "mount proc: mount -t proc proc /proc",
            )];
        }
    };
    let unified = layout
        .unified
        .as_ref()
        .map(|mount| std::fs::read_to_string(mount.dir.join("cgroup.controllers")).unwrap_or_default());
    let read_only = |dir: &std::path::Path| rustix::fs::access(dir, Access::WRITE_OK).is_err();
    let locked =
        layout.legacy.iter().map(|mount| &mount.dir).chain(layout.unified.iter().map(|mount| &mount.dir));
    let locked = locked.filter(|dir| read_only(dir)).map(|dir| dir.display().to_string()).collect::<Vec<_>>();
    let swapping = std::fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() > 1);
    vec![
        judge_controllers(&layout, unified.as_deref(), cpu),
        judge_writable(&locked),
        judge_swap(swapping, limits_swap(&layout)),
    ]
}

/// `unified` is the content of the topmost `cgroup.controllers`, `None` without cgroup v2.
fn judge_controllers(layout: &Layout, unified: Option<&str>, cpu: CpuLimits) -> Finding {
    let legacy = |controller: Controller| {
        layout.legacy.iter().any(|mount| mount.controllers.iter().any(|name| name == controller.name()))
    };
    let served = |controller: Controller| {
        legacy(controller)
            || unified.is_some_and(|names| match controller {
                // Every group of cgroup v2 has these, whatever its controllers.
                Controller::Freezer | Controller::CpuAccounting => true,
                _ => names.split_whitespace().any(|name| name == controller.name()),
            })
    };
    let mut missing =
        Controller::ALL.into_iter().filter(|controller| !served(*controller)).collect::<Vec<_>>();
    let mut lost = "";
    let kind = match (unified, layout.legacy.is_empty()) {
        (None, true) => {
            return Finding::fail(
                CONTROLLERS,
                "no cgroup file system is mounted",
                "mount -t cgroup2 none /sys/fs/cgroup; inside a container, start it with its own cgroup namespace",
            );
        }
        (None, false) => "cgroup v1",
        (Some(_), true) => "cgroup v2",
        (Some(_), false) => "cgroup v1 and v2 side by side",
    };
    if cpu == CpuLimits::None {
        missing.retain(|controller| *controller != Controller::Cpu);
        lost = "; cpu_limit is \"none\": one sandbox can take every processor for as long as it likes";
    }
    if missing.is_empty() && lost.is_empty() {
        return Finding::ok(CONTROLLERS, format!("{kind}, with all controllers"));
    }
    if missing.is_empty() {
        return Finding::warn(
            CONTROLLERS,
            format!("{kind}{lost}"),
            "set cpu_limit = \"required\" under [runtime] where the kernel has the cpu controller",
        );
    }
    let names = missing.iter().map(|controller| controller.name()).collect::<Vec<_>>().join(", ");
    let status = if missing.contains(&Controller::Memory)
        || missing.contains(&Controller::Pids)
        || missing.contains(&Controller::Cpu)
    {
        Status::Fail
    } else {
        Status::Warn
    };
    let remedy = if missing.contains(&Controller::Memory) {
        "boot with cgroup_enable=memory; if systemd manages a part of the tree for us, set Delegate=yes in the unit"
    } else if missing == [Controller::Cpu] {
        "boot a kernel with the cpu controller, or set Delegate=yes in the unit, or do without CPU limits by \
         cpu_limit = \"none\" under [runtime]"
    } else {
        "boot a kernel with all cgroup controllers, or set Delegate=yes in the unit"
    };
    Finding {
        name: CONTROLLERS,
        status,
        detail: format!("{kind}, without {names}{lost}"),
        remedy: Some(remedy.into()),
    }
}

fn judge_writable(locked: &[String]) -> Finding {
    const NAME: &str = "cgroup-writable";
    if locked.is_empty() {
        Finding::ok(NAME, "groups can be made")
    } else {
        Finding::fail(
            NAME,
            format!("not writable: {}", locked.join(", ")),
            "run as root on the host; inside a container, mount the cgroup file systems for writing",
        )
    }
}

/// v1 has the file where the kernel counts swap; v2 counts it unless it was switched off at boot.
fn limits_swap(layout: &Layout) -> bool {
    let memory = layout.legacy.iter().find(|mount| mount.controllers.iter().any(|name| name == "memory"));
    match memory {
        Some(mount) => mount.dir.join("memory.memsw.limit_in_bytes").exists(),
        None => !std::fs::read_to_string("/proc/cmdline")
            .is_ok_and(|text| text.split_whitespace().any(|word| word == "swapaccount=0")),
    }
}

fn judge_swap(swapping: bool, limited: bool) -> Finding {
    match (swapping, limited) {
        (_, true) => Finding::ok(SWAP, "a sandbox cannot swap beyond its memory limit"),
        (false, false) => Finding::ok(SWAP, "the kernel does not count swap, and there is none"),
        (true, false) => Finding::warn(
            SWAP,
            "the kernel does not count swap: a sandbox can fill it beyond its memory limit",
            "boot with swapaccount=1, or switch swap off",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layout with these v1 controllers, one hierarchy each.
    fn legacy(controllers: &[&str]) -> Layout {
        let mountinfo = controllers
            .iter()
            .map(|name| format!("35 31 0:32 / /cg/{name} rw - cgroup cgroup rw,{name}\n"))
            .collect::<String>();
        Layout::parse(&mountinfo, "")
    }

    #[test]
    fn what_no_hierarchy_serves_is_named_and_a_limit_that_cannot_hold_is_a_failure() {
        for (controllers, unified, status, words) in [
            (&["memory", "cpu", "pids", "freezer", "cpuacct"][..], None, Status::Ok, "cgroup v1, with all"),
            (&["memory", "cpu", "pids"], Some(""), Status::Ok, "side by side, with all"),
            (&[], Some("cpuset cpu io memory pids\n"), Status::Ok, "cgroup v2, with all"),
            (&[], Some("cpu pids\n"), Status::Fail, "without memory"),
            (&[], Some("memory pids\n"), Status::Fail, "without cpu"),
            (&["memory", "cpu", "pids"], None, Status::Warn, "without freezer, cpuacct"),
            (&["cpu", "freezer", "cpuacct"], None, Status::Fail, "without memory, pids"),
            (&[], None, Status::Fail, "no cgroup file system"),
        ] {
            let finding = judge_controllers(&legacy(controllers), unified, CpuLimits::Required);
            assert_eq!(finding.status, status, "{finding:?}");
            assert!(finding.detail.contains(words), "{finding:?}");
        }
    }

    #[test]
    fn an_operator_can_do_without_cpu_limits_and_is_told_what_is_lost() {
        let without = |unified| judge_controllers(&legacy(&[]), Some(unified), CpuLimits::None);
        for unified in ["memory pids\n", "cpu memory pids\n"] {
            let finding = without(unified);
            assert_eq!(finding.status, Status::Warn, "{finding:?}");
            assert!(finding.detail.contains("every processor"), "{finding:?}");
        }
        assert_eq!(without("pids\n").status, Status::Fail);
    }

    #[test]
    fn read_only_hierarchies_and_uncounted_swap_are_complaints() {
        assert_eq!(judge_writable(&[]).status, Status::Ok);
        assert_eq!(judge_writable(&["/cg/pids".to_owned()]).status, Status::Fail);
        for (swapping, limited, status) in
            [(true, true, Status::Ok), (false, false, Status::Ok), (true, false, Status::Warn)]
        {
            assert_eq!(judge_swap(swapping, limited).status, status);
        }
    }
}
