# Sockets that see or forge packets, or reach past the network: raw, packet, vsock, and rare families.
def raw_icmp():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return "opened a raw socket"


def raw_ipv6():
    socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58).close()
    return "opened a raw socket of IPv6"


def packets():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    return "opened a packet socket"


def hypervisor():
    socket.socket(40, socket.SOCK_STREAM, 0).close()
    return "opened a socket to the hypervisor"


attempt(raw_icmp, raw_ipv6, packets, hypervisor)
