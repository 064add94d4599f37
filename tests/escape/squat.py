# Ports and names taken in the hope that the outside dials them and takes a tenant's process for its agent.
import selectors

PORTS = [int(setting("DIALED"))] if setting("DIALED") else list(range(1, 1025)) + [2375, 3000, 5000, 8000, 8080, 9000, 49983]
NAMES = [] if setting("DIALED") else ["agent", "guest", "lazaret-guest", "lazaret", "/run/guest.sock"]
AGENT = int(setting("AGENT"))


def take_and_wait():
    if AGENT != 1:
        os.kill(AGENT, 9)
    waiting = selectors.DefaultSelector()
    taken = 0
    for port in PORTS:
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            end = time.monotonic() + 5
            while True:
                try:
                    listener.bind((address, port))
                    listener.listen()
                except OSError:
                    # The agent's death may take a moment to free its port.
                    if setting("DIALED") and time.monotonic() < end:
                        continue
                    break
                waiting.register(listener, selectors.EVENT_READ)
                taken += 1
                break
    for name in NAMES:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("\0" + name)
        listener.listen()
        waiting.register(listener, selectors.EVENT_READ)
        taken += 1
    open("/tmp/squatting", "w").close()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for event, _ in waiting.select(0.2):
            client, _ = event.fileobj.accept()
            return f"the outside dialled {event.fileobj.getsockname()!r}"
        if os.path.exists("/tmp/enough"):
            break
    raise Refused(f"nobody came to {taken} ports and names")


attempt(take_and_wait)
