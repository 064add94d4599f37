# What /proc and /sys tell about the machine: its memory, addresses, log, keys and serial numbers.
def first_line(*paths):
    for path in paths:
        try:
            text = read(path)
        except OSError:
            continue
        if text:
            return f"{path} says {text[:40]!r}"
    if any(os.path.exists(path) for path in paths):
        raise Refused("reads as empty")
    raise Refused("not shown")


def memory():
    with open("/proc/kcore", "rb") as file:
        if file.read(4) == b"\x7fELF":
            return "read /proc/kcore"
    raise Refused("reads as empty")


def symbols():
    return first_line("/proc/kallsyms", "/proc/modules", "/proc/vmallocinfo", "/proc/slabinfo", "/proc/timer_list")


def serial_numbers():
    return first_line("/sys/class/dmi/id/product_uuid", "/sys/devices/virtual/dmi/id/board_serial",
                      "/sys/firmware/dmi/tables/smbios_entry_point", "/sys/firmware/acpi/tables/FACP")


def keys():
    return first_line("/proc/keys", "/proc/key-users")


def interrupts():
    return first_line("/proc/interrupts", "/proc/softirqs")


def disks_of_neighbours():
    for disk in os.listdir("/sys/block"):
        if disk.startswith("loop"):
            return first_line(f"/sys/block/{disk}/loop/backing_file", f"/sys/block/{disk}/size")
    raise Refused("no disk is shown")


def kernel_log():
    size = call(103, 10, 0, 0)
    return f"the kernel log holds {size} bytes"


attempt(memory, symbols, serial_numbers, keys, interrupts, disks_of_neighbours, kernel_log)
