# A socket of the host with a name in no file system, and one with a path.
def abstract():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + setting("BAIT_NAME"))
        return client.recv(4096).decode()


def listed():
    if setting("BAIT_NAME") in read("/proc/net/unix"):
        return "sees the names of the host's sockets"
    raise Refused("only own sockets are listed")


attempt(abstract, listed)
