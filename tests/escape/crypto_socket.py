# The class of CVE-2026-31431: the kernel's crypto interface (AF_ALG) spliced to the page cache of a file that is shared.
AF_ALG = 38


def a_cipher():
    try:
        crypto = socket.socket(AF_ALG, socket.SOCK_SEQPACKET, 0)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            raise Absent("no AF_ALG") from None
        raise
    crypto.close()
    return "opened a crypto socket"


attempt(a_cipher)
