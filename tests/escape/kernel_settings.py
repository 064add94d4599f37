# CVE-2025-52881 and the like: settings of the whole machine, by their path and by ways round a read-only mount.
def core_pattern():
    return write_back("/proc/sys/kernel/core_pattern")


def modprobe_path():
    return write_back("/proc/sys/kernel/modprobe")


def through_thread_and_root():
    return write_back("/proc/thread-self/root/proc/sys/kernel/panic")


def through_another_process():
    return write_back("/proc/1/root/proc/sys/kernel/panic")


def magic_sysrq():
    os.close(os.open("/proc/sysrq-trigger", os.O_WRONLY))
    return "opened /proc/sysrq-trigger for writing"


def interrupts():
    return write_back("/proc/irq/default_smp_affinity")


def new_mount_of_proc():
    os.makedirs("/tmp/proc", exist_ok=True)
    call(165, b"proc", b"/tmp/proc", b"proc", 0, 0)
    try:
        return write_back("/tmp/proc/sys/kernel/core_pattern")
    finally:
        call(166, b"/tmp/proc", 2)


def remount_writable():
    MS_REMOUNT, MS_BIND = 32, 4096
    call(165, b"none", b"/proc/sys", b"none", MS_REMOUNT | MS_BIND, 0)
    return "remounted /proc/sys"


attempt(core_pattern, modprobe_path, through_thread_and_root, through_another_process, magic_sysrq, interrupts,
        new_mount_of_proc, remount_writable)
