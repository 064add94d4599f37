# Memory of a process outside: ptrace, process_vm_readv, /proc/<pid>/mem.
PTRACE, PROCESS_VM_READV = 101, 310
PTRACE_PEEKDATA, PTRACE_ATTACH, PTRACE_DETACH = 2, 16, 17
PID, ADDRESS = int(setting("VICTIM")), int(setting("VICTIM_ADDRESS"))
LENGTH = int(setting("SECRET_LENGTH"))


def by_process_vm_readv():
    text = ctypes.create_string_buffer(LENGTH)
    local = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(text), LENGTH))
    remote = ctypes.create_string_buffer(struct.pack("QQ", ADDRESS, LENGTH))
    call(PROCESS_VM_READV, PID, local, 1, remote, 1, 0)
    return text.raw[:LENGTH].decode()


def by_mem():
    with open(f"/proc/{PID}/mem", "rb", buffering=0) as file:
        file.seek(ADDRESS)
        return file.read(LENGTH).decode()


def by_ptrace():
    call(PTRACE, PTRACE_ATTACH, PID, 0, 0)
    os.waitpid(PID, 0)
    try:
        word = ctypes.c_long()
        call(PTRACE, PTRACE_PEEKDATA, PID, ADDRESS, ctypes.byref(word))
        return f"read the word {word.value:x} of process {PID}"
    finally:
        call(PTRACE, PTRACE_DETACH, PID, 0, 0)


attempt(by_process_vm_readv, by_mem, by_ptrace)
