# The process inside that the host talks to: its listening socket stolen, its memory opened, or itself ended.
PIDFD_OPEN, PIDFD_GETFD = 434, 438
AGENT = int(setting("AGENT"))


def steal_its_descriptors():
    process = call(PIDFD_OPEN, AGENT, 0)
    return f"holds its descriptor {call(PIDFD_GETFD, process, 3, 0)}"


def reopen_its_descriptors():
    os.listdir(f"/proc/{AGENT}/fd")
    return "sees its descriptors"


def write_its_memory():
    os.close(os.open(f"/proc/{AGENT}/mem", os.O_RDWR))
    return "opened its memory"


def trace_it():
    call(101, 16, AGENT, 0, 0)
    call(101, 17, AGENT, 0, 0)
    return "traced it"


def stop_or_end_it():
    # Only where it is the first process, which its own namespace cannot end: elsewhere this would prove nothing.
    if AGENT != 1:
        raise Refused("not tried")
    os.kill(1, 9)
    os.kill(1, 19)
    os.kill(1, 15)
    time.sleep(0.2)
    state = [line for line in read("/proc/1/status").splitlines() if line.startswith("State:")]
    if "T" in state[0].split()[1]:
        return "stopped it"
    raise Refused("it does not take the signals")


attempt(steal_its_descriptors, reopen_its_descriptors, write_its_memory, trace_it, stop_or_end_it)
