# Devices of the host: its disk, its memory, its kernel log, made with mknod or already there.
import stat


def made(kind, major, minor):
    path = f"/tmp/node-{major}-{minor}"
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    os.mknod(path, kind | 0o600, os.makedev(major, minor))
    try:
        os.close(os.open(path, os.O_RDONLY))
    finally:
        os.unlink(path)
    return f"opened device {major}:{minor}"


def the_hosts_disk():
    return made(stat.S_IFBLK, int(setting("DISK_MAJOR")), int(setting("DISK_MINOR")))


def physical_memory():
    return made(stat.S_IFCHR, 1, 1)


def kernel_log():
    return made(stat.S_IFCHR, 1, 11)


def fuse():
    return made(stat.S_IFCHR, 10, 229)


def loop_control():
    return made(stat.S_IFCHR, 10, 237)


def those_in_dev():
    for name in ("kmsg", "mem", "port", "kvm", "fuse", "loop-control", "vda", "sda", "nvme0n1", "mapper/control"):
        try:
            os.close(os.open(f"/dev/{name}", os.O_RDONLY))
        except OSError:
            continue
        return f"opened /dev/{name}"
    raise Refused("none of the host's devices is there")


attempt(the_hosts_disk, physical_memory, kernel_log, fuse, loop_control, those_in_dev)
