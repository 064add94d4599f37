# The root and working directories of other processes, as /proc shows them.
def roots_of_processes():
    for process in (name for name in os.listdir("/proc") if name.isdigit()):
        for link in ("root", "cwd"):
            try:
                return read(f"/proc/{process}/{link}{setting('SECRET_FILE')}")
            except OSError:
                pass
    raise Refused("no process has the host's root")


def map_files_of_pid_1():
    os.listdir("/proc/1/map_files")
    with open("/proc/1/mem", "rb") as file:
        return f"opened {file.name}"


attempt(roots_of_processes, map_files_of_pid_1)
