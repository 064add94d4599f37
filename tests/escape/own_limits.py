# Raising the limits of one's own control group, where it is mounted or by mounting it.
def memory_limit():
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                 "/sys/fs/cgroup/pids/cgroup.procs", "/sys/fs/cgroup/cgroup.subtree_control"):
        if os.path.exists(path):
            os.close(os.open(path, os.O_WRONLY))
            return f"opened {path} for writing"
    raise Refused("no control group is mounted")


def by_mounting():
    os.makedirs("/tmp/group2", exist_ok=True)
    call(165, b"cgroup2", b"/tmp/group2", b"cgroup2", 0, 0)
    call(166, b"/tmp/group2", 2)
    return "mounted the tree of control groups"


attempt(memory_limit, by_mounting)
