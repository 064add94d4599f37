# What every attempt begins with. An attempt tries a number of ways and ends with one line on its standard output:
#
#   reached <proof>    it got what a sandbox must not have; where a secret is the proof, the test compares it
#   refused <why>      every way failed, each named with its error
#   absent <why>       this kernel or machine has nothing of the kind, whoever asks
#
# Any other ending fails the test, so that a broken attempt is never taken for a refusal. Attempts also run in a place
# without any wall, as the host's root: none may harm the machine. A setting is only ever written with its own value.
import ctypes, errno, os, socket, struct, sys, time

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class Absent(Exception):
    """What is tried does not exist here."""


class Refused(Exception):
    """The way was tried and led nowhere, without an error of the system."""


def call(number, *arguments):
    """A system call by number; raises OSError like the functions of os."""
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = libc.syscall(ctypes.c_long(number), *wide)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def setting(name):
    """What the test tells this attempt about the outside."""
    return os.environ[name]


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.read(4096).decode("latin-1").strip()


def write_back(path):
    """Writes a setting's own value; that this is allowed is the proof."""
    value = read(path)
    with open(path, "w") as file:
        file.write(value)
    return f"wrote {path}"


def attempt(*ways):
    """Tries the ways in turn and reports the first that leads out."""
    failures, absent = [], []
    for way in ways:
        try:
            proof = way()
        except Absent as why:
            absent.append(f"{way.__name__}: {why}")
        except (OSError, Refused) as why:
            failures.append(f"{way.__name__}: {why}")
        else:
            print("reached", str(proof).replace("\n", " "), flush=True)
            os._exit(0)
    if failures:
        print("refused", "; ".join(failures + absent).replace("\n", " "), flush=True)
    else:
        print("absent", "; ".join(absent).replace("\n", " "), flush=True)
    os._exit(0)
