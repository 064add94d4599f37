# Services of the host: on loopback, on its addresses, on a link-local address as clouds use for metadata.
def ask(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        client.connect((address, port))
        return client.recv(4096).decode()


def addresses():
    default = []
    try:
        for line in read("/proc/net/route").splitlines()[1:]:
            fields = line.split()
            default.append(socket.inet_ntoa(struct.pack("<I", int(fields[2], 16))))
    except OSError:
        pass
    return default + setting("HOST_ADDRESSES").split()


def every_address_of_the_host():
    failures = []
    for address in dict.fromkeys(addresses()):
        try:
            return ask(address, int(setting("HOST_PORT")))
        except OSError as error:
            failures.append(f"{address}: {error}")
    raise Refused(", ".join(failures))


def mapped_ipv4():
    return ask("::ffff:127.0.0.1", int(setting("HOST_PORT")))


attempt(every_address_of_the_host, mapped_ipv4)
