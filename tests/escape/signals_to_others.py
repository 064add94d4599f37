# Signals and priorities of a process outside; signal 0 asks whether one could be sent.
PIDFD_OPEN, PIDFD_SEND_SIGNAL = 434, 424
PID = int(setting("VICTIM"))


def by_kill():
    os.kill(PID, 0)
    return f"may signal process {PID}"


def by_pidfd():
    call(PIDFD_SEND_SIGNAL, call(PIDFD_OPEN, PID, 0), 0, 0, 0)
    return f"may signal process {PID}"


def by_affinity():
    os.sched_setaffinity(PID, os.sched_getaffinity(PID))
    return f"set the processors of process {PID}"


attempt(by_kill, by_pidfd, by_affinity)
