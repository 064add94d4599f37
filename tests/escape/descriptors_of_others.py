# Descriptors of a process outside: pidfd_getfd, and /proc/<pid>/fd.
PIDFD_OPEN, PIDFD_GETFD = 434, 438
PID, NUMBER = int(setting("VICTIM")), int(setting("VICTIM_FILE"))


def by_pidfd_getfd():
    file = call(PIDFD_GETFD, call(PIDFD_OPEN, PID, 0), NUMBER, 0)
    return os.pread(file, 4096, 0).decode().strip()


def by_proc():
    return read(f"/proc/{PID}/fd/{NUMBER}")


attempt(by_pidfd_getfd, by_proc)
