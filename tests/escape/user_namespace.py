# A nested user namespace, where root holds every capability again, and the packet filters it can then load.
CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWNS = 0x10000000, 0x40000000, 0x00020000
CLONE, CLONE3, UNSHARE = 56, 435, 272
SIGCHLD = 17
NETLINK_NETFILTER = 12


def child_of(number, *arguments):
    child = call(number, *arguments)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return f"made a process in a new user namespace by call {number}"


def by_clone():
    return child_of(CLONE, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)


def by_clone3():
    arguments = ctypes.create_string_buffer(struct.pack("8Q", CLONE_NEWUSER, 0, 0, 0, SIGCHLD, 0, 0, 0))
    return child_of(CLONE3, arguments, 64)


def by_unshare_and_nf_tables():
    call(UNSHARE, CLONE_NEWUSER | CLONE_NEWNET)
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER).close()
    return "became root of a new namespace with packet filters"


def packet_filters_without_one():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER).close()
    return "opened the packet filters"


attempt(by_clone, by_clone3, packet_filters_without_one, by_unshare_and_nf_tables)
