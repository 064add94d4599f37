# Not an attempt: the process outside that everybody is after. It holds the secret in its memory and in an open file, in a
# System V segment and in a key, and tells it to whoever connects to its port or to its abstract socket. It says where in
# one line, and takes everything away when its standard input ends.
import ctypes, os, selectors, socket, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
ADD_KEY, KEYCTL, NAME_TO_HANDLE_AT = 248, 250, 303
KEYCTL_SETPERM, KEYCTL_UNLINK, USER_KEYRING, EVERYBODY = 5, 9, -4, 0x3F3F3F3F
IPC_RMID = 0


def must(result, what):
    if result < 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


name, path = os.environ["BAIT_NAME"], os.environ["SECRET_FILE"]
text = os.environ["SECRET"].encode()
memory = ctypes.create_string_buffer(text)
file = os.open(path, os.O_RDONLY)

handle, mount = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128)), ctypes.c_int()
must(libc.syscall(NAME_TO_HANDLE_AT, -100, path.encode(), handle, ctypes.byref(mount), 0), "name_to_handle_at")
length = 8 + struct.unpack_from("I", handle.raw)[0]

shm_key = os.getpid() | 0x1A2A0000
segment = must(libc.shmget(shm_key, 4096, 0o1600), "shmget")
ctypes.memmove(libc.shmat(segment, None, 0), text + b"\0", len(text) + 1)

# A kernel without keyrings has no key to lose: the attempt then says that it is absent.
key = libc.syscall(ADD_KEY, b"user", name.encode(), text, len(text), USER_KEYRING)
if key > 0:
    must(libc.syscall(KEYCTL, KEYCTL_SETPERM, key, EVERYBODY), "keyctl")

port = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
abstract = socket.socket(socket.AF_UNIX)
abstract.bind("\0" + name)
abstract.listen()

print(os.getpid(), ctypes.addressof(memory), file, handle.raw[:length].hex(), shm_key, key, port.getsockname()[1],
      flush=True)

waiting = selectors.DefaultSelector()
for source in (sys.stdin, port, abstract):
    waiting.register(source, selectors.EVENT_READ)
while True:
    ready = [event.fileobj for event, _ in waiting.select()]
    if sys.stdin in ready:
        break
    for listener in ready:
        client = listener.accept()[0]
        client.sendall(text)
        client.close()
libc.shmctl(segment, IPC_RMID, None)
if key > 0:
    libc.syscall(KEYCTL, KEYCTL_UNLINK, key, USER_KEYRING)
