# The clock, the processors' ports, swap and accounting of the whole machine; arguments that change nothing.
IOPL, SWAPON, ACCT, CLOCK_SETTIME = 172, 167, 163, 227


def io_ports():
    call(IOPL, 0)
    call(173, 0x80, 1, 1)
    call(173, 0x80, 1, 0)
    return "may use the processor's ports"


def swap():
    try:
        call(SWAPON, b"/nonexistent", 0)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return "may switch swap space"
        raise


def clock():
    # An impossible time: past the check of rights the kernel complains about it.
    try:
        call(CLOCK_SETTIME, 0, ctypes.create_string_buffer(struct.pack("qq", 0, 2_000_000_000)))
    except OSError as error:
        if error.errno == errno.EINVAL:
            return "may set the clock"
        raise


def host_name():
    name = socket.gethostname()
    socket.sethostname(name)
    return "may rename the machine"


attempt(io_ports, swap, clock, host_name)
