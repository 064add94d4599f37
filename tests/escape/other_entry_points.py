# The kernel's other doors: 32-bit calls by interrupt 0x80 (socketcall among them) and x32 numbers, past a 64-bit filter.
import mmap

GETPID_32, SOCKETCALL_32 = 20, 102
X32_BIT = 0x40000000


def machine_code(code):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    return ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page))), page


def in_a_child(body):
    """The filter answers these with death, which a parent can report."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(body())
        except BaseException:
            os._exit(99)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        raise Refused(f"killed by signal {os.WTERMSIG(status)}")
    return os.WEXITSTATUS(status)


def interrupt(number):
    # push rbx; mov eax, number; xor ebx, ebx; int 0x80; pop rbx; ret
    return machine_code(b"\x53\xb8" + struct.pack("<I", number) + b"\x31\xdb\xcd\x80\x5b\xc3")


def getpid_by_interrupt():
    def body():
        function, page = interrupt(GETPID_32)
        return 7 if (function() & 0xFFFFFFFF) == os.getpid() else 1

    if in_a_child(body) == 7:
        return "made a 32-bit call"
    raise Absent("a kernel without 32-bit calls")


def socketcall_by_interrupt():
    def body():
        function, page = interrupt(SOCKETCALL_32)
        # Sub-call 0 does not exist: EINVAL says that the call was taken.
        result = ctypes.c_int(function() & 0xFFFFFFFF).value
        return 7 if result == -errno.EINVAL else 1

    if in_a_child(body) == 7:
        return "made a socketcall"
    raise Absent("a kernel without 32-bit calls")


def getpid_by_x32():
    try:
        call(X32_BIT + 39)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            raise Absent("no x32 numbers") from None
        raise
    return "made an x32 call"


attempt(getpid_by_interrupt, socketcall_by_interrupt, getpid_by_x32)
