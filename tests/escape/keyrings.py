# Kernel keyrings: a key that the host's root holds, read by its number or found by its name.
ADD_KEY, REQUEST_KEY, KEYCTL = 248, 249, 250
KEYCTL_READ, KEYCTL_SEARCH, USER_KEYRING = 11, 10, -4


if int(setting("KEY")) < 0:
    print("absent a kernel without keyrings", flush=True)
    os._exit(0)


def content(key):
    text = ctypes.create_string_buffer(256)
    size = call(KEYCTL, KEYCTL_READ, key, text, 256)
    return text.raw[:size].decode()


def by_number():
    return content(int(setting("KEY")))


def by_name():
    return content(call(KEYCTL, KEYCTL_SEARCH, USER_KEYRING, b"user", setting("BAIT_NAME").encode(), 0))


def by_request():
    return content(call(REQUEST_KEY, b"user", setting("BAIT_NAME").encode(), 0, 0))


attempt(by_number, by_name, by_request)
