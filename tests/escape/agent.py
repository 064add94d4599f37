# Not an attempt: a naive agent for the weak place, which keeps its listening socket as descriptor 3 and stays alive.
import os, signal, socket
listener = socket.create_server(("127.0.0.1", 0))
os.dup2(listener.fileno(), 3)
print(os.getpid(), listener.getsockname()[1], flush=True)
signal.pause()
