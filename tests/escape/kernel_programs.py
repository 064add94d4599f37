# Interfaces that put code or handlers into the kernel: BPF, performance events, user page faults, modules, kexec.
USERFAULTFD, BPF, PERF_EVENT_OPEN, INIT_MODULE, KEXEC_LOAD = 323, 321, 298, 175, 246
BPF_MAP_CREATE, BPF_MAP_TYPE_ARRAY = 0, 2


def bpf_map():
    attributes = ctypes.create_string_buffer(struct.pack("4I", BPF_MAP_TYPE_ARRAY, 4, 4, 1) + bytes(112))
    os.close(call(BPF, BPF_MAP_CREATE, attributes, 128))
    return "made a BPF map"


def performance_event():
    attributes = ctypes.create_string_buffer(struct.pack("IIQ", 1, 128, 0) + bytes(112))
    os.close(call(PERF_EVENT_OPEN, attributes, -1, 0, -1, 0))
    return "watches a processor"


def page_faults():
    os.close(call(USERFAULTFD, 1))
    return "handles page faults"


def module():
    # An empty module is no module: past the check of rights the kernel complains about its format.
    try:
        call(INIT_MODULE, ctypes.create_string_buffer(64), 64, b"")
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            return "may load modules"
        if error.errno == errno.ENOSYS:
            raise Absent("a kernel without modules") from None
        raise
    return "loaded a module"


def another_kernel():
    call(KEXEC_LOAD, 0, 0, 0, 0)
    return "may replace the kernel"


attempt(bpf_map, performance_event, page_faults, module, another_kernel)
