# System V and POSIX shared memory and queues of the host.
SHMGET, SHMAT = 29, 30


def shared_memory():
    segment = call(SHMGET, int(setting("SHM_KEY")), 0, 0)
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(segment, None, 0o10000)
    if address == ctypes.c_void_p(-1).value:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return ctypes.string_at(address).decode()


attempt(shared_memory)
