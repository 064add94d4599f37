# Mounting: the host's disk, an overlay, a bind over a masked path, and taking masks away.
MOUNT, UMOUNT2, OPEN_TREE, FSOPEN = 165, 166, 428, 430
MS_BIND, MNT_DETACH, OPEN_TREE_CLONE = 4096, 2, 1


def memory_file_system():
    os.makedirs("/tmp/mounted", exist_ok=True)
    call(MOUNT, b"none", b"/tmp/mounted", b"tmpfs", 0, 0)
    call(UMOUNT2, b"/tmp/mounted", MNT_DETACH)
    return "mounted a file system"


def bind():
    os.makedirs("/tmp/mounted", exist_ok=True)
    call(MOUNT, b"/proc", b"/tmp/mounted", 0, MS_BIND, 0)
    call(UMOUNT2, b"/tmp/mounted", MNT_DETACH)
    return "mounted a directory"


def unmask():
    call(UMOUNT2, b"/proc/keys", MNT_DETACH)
    return "took a mask away"


def detached_copy():
    os.close(call(OPEN_TREE, -100, b"/", OPEN_TREE_CLONE))
    return "copied a mount"


def new_file_system():
    os.close(call(FSOPEN, b"tmpfs", 0))
    return "opened a file system to mount"


def over_the_root():
    call(155, b".", b".")
    return "changed the root"


attempt(memory_file_system, bind, detached_copy, new_file_system, unmask)
