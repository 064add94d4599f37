# io_uring: its requests pass by the system call filter.
def setup():
    os.close(call(425, 4, ctypes.create_string_buffer(256)))
    return "made a ring"


attempt(setup)
