# CVE-2022-29162: capabilities in the inheritable or ambient set, which a program with file capabilities turns into its own.
WORDS = dict(line.split(":", 1) for line in read("/proc/self/status").splitlines() if ":" in line)
CAP_SYS_ADMIN = 1 << 21


def inheritable_or_ambient():
    for name in ("CapInh", "CapAmb"):
        if int(WORDS[name], 16):
            return f"{name} is {WORDS[name].strip()}"
    raise Refused("both are empty")


def bounding_set():
    if int(WORDS["CapBnd"], 16) & CAP_SYS_ADMIN:
        return "CAP_SYS_ADMIN can be had"
    raise Refused("holds no CAP_SYS_ADMIN")


def of_an_ordinary_user():
    if os.getuid() and int(WORDS["CapEff"], 16):
        return f"uid {os.getuid()} holds {WORDS['CapEff'].strip()}"
    raise Refused("none for this user")


attempt(inheritable_or_ambient, bounding_set, of_an_ordinary_user)
