# Neighbours on the network: their hardware addresses as the kernel knows them, or as the kernel asks for them.
RTM_NEWROUTE, RTM_GETNEIGH, RTM_NEWNEIGH, NLMSG_DONE = 24, 30, 28, 3
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300


def cables():
    """A network that neighbours could be on, other than loopback."""
    names = [name for name in os.listdir("/sys/class/net") if name != "lo"]
    if not names:
        raise Refused("no network but loopback")
    return names


def known_by_arp():
    cables()
    lines = read("/proc/net/arp").splitlines()[1:]
    return known([line.split()[0] for line in lines if line.split()[3] != "00:00:00:00:00:00"])


def known_by_netlink():
    cables()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.settimeout(5)
        kernel.send(struct.pack("IHHII", 28, RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + bytes(12))
        found = 0
        while True:
            data = kernel.recv(65536)
            while data:
                size, kind = struct.unpack_from("IH", data)
                if kind == NLMSG_DONE:
                    return known([found] if found else [])
                found += kind == RTM_NEWNEIGH
                data = data[(size + 3) & ~3:]


def known(list_of):
    if list_of:
        return f"knows neighbours: {list_of}"
    raise Refused("no neighbour is known")


def packets_to_them():
    name = cables()[0]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((name, 0))
    return f"may ask the neighbours of {name} by itself"


attempt(packets_to_them, known_by_arp, known_by_netlink)
