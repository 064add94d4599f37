"""The warm Python interpreter of a sandbox: forks a child for each run and each context, and carries their output.

Started as `python3 -c LAUNCH DRIVER`; LAUNCH is in `launch.py`. This text runs in a namespace of its own, so that the
`__main__` of a child is as empty as that of `python3 FILE`. The only process that returns from `serve` is a child.

    server --stdin--> u32 length, u8 kind, u32 key, payload --> driver -- fork --> child, leader of its process group
    server <--stdout- the same <-------------------------------  driver <- pipes - its standard output and error

A child may send WINDOW frames before the server grants more, so that a slow reader of one never stops another. What is
imported here is what every interpreter has loaded, or is forgotten again in the child.
"""

import sys

if sys.path and sys.path[0] == "":
    # What `-c` put there: a file of the working directory must not stand in for a module of ours.
    del sys.path[0]
LOADED = frozenset(sys.modules)

import atexit
import gc
import io
import os
import select
import time

RUN, KILL, CREDIT, OPEN, CELL = 1, 2, 3, 4, 5
# How a run prints: as any program does, or as `python3 -u` with both streams in one.
APART, MIXED = 0, 1
HELLO, STARTED, DECLINED, STALE, OUT, ERR, RESULT, EXITED = 1, 2, 3, 4, 5, 6, 7, 8

VERSION = 1
TERMINATE, KILLED = 15, 9
WINDOW = 32
CHUNK = 32 * 1024
# How long output may stay open after the child has ended, in seconds: as long as for any other command.
DRAIN = 0.1
# The most that a pipe holds without privilege, in bytes: what an ended child can have left in one.
PIPE_MAX = 1 << 20


def pack(fields):
    return b"".join(len(field).to_bytes(4, "little") + field for field in fields)


def unpack(payload):
    fields, at = [], 0
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 4], "little")
        fields.append(bytes(payload[at + 4 : at + 4 + size]))
        at += 4 + size
    return fields


def mark(path):
    """What changes when the file or the directory at `path` does; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def start_files():
    """What a new interpreter would read at its start: a change of it makes this one stale."""
    paths = []
    for directory in os.get_exec_path():
        paths.append(os.path.join(directory, "python3"))
        if os.access(paths[-1], os.X_OK):
            break
    program = os.path.realpath(sys.executable)
    paths += [program, os.path.dirname(os.__file__)]
    for directory in (os.path.dirname(sys.executable), os.path.dirname(os.path.dirname(sys.executable))):
        paths.append(os.path.join(directory, "pyvenv.cfg"))
    site = sys.modules.get("site")
    if site is not None:
        paths += site.getsitepackages()
        if site.ENABLE_USER_SITE is not False:
            paths.append(site.getusersitepackages())
    paths += [entry for entry in sys.path if entry]
    return {path: mark(path) for path in paths}


class Child:
    """A run or a context."""

    def __init__(self, key, pid, streams, orders=None, script=None):
        self.key, self.pid, self.streams, self.orders, self.script = key, pid, streams, orders, script
        self.pidfd = os.pidfd_open(pid)
        self.credit = WINDOW
        self.backlog = b""  # for `orders`
        self.held = None  # of RESULT, until what was printed before it has been sent
        self.drained = 0
        self.status = None
        self.owed = {}
        self.late = False
        self.until = None
        self.is_unwanted = False

    def descriptors(self):
        found = [self.pidfd, *self.streams.values()]
        return found if self.orders is None else [*found, self.orders]


class Driver:
    def __init__(self, control, out, null):
        self.control, self.out, self.null = control, out, null
        self.inbox = bytearray()
        self.children = {}
        self.start_files = start_files()
        self.prepared = None

    def send(self, kind, key, payload=b""):
        frame = memoryview(len(payload).to_bytes(4, "little") + bytes([kind]) + key.to_bytes(4, "little") + payload)
        while frame:
            frame = frame[os.write(self.out, frame) :]

    def serve(self):
        """Serves until the server closes its end; returns the child's program in a child."""
        self.send(HELLO, 0, VERSION.to_bytes(4, "little"))
        while True:
            ready = self.wait()
            if self.control in ready and not self.receive():
                os._exit(0)
            if self.prepared is not None:
                return self.prepared
            now = time.monotonic()
            for child in list(self.children.values()):
                self.attend(child, ready, now)

    def wait(self):
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        until = None
        for child in self.children.values():
            if child.status is None:
                poll.register(child.pidfd, select.POLLIN)
            if child.backlog and child.orders is not None:
                poll.register(child.orders, select.POLLOUT)
            if child.credit > 0:
                for kind, fd in child.streams.items():
                    if kind != RESULT or child.held is None:
                        poll.register(fd, select.POLLIN)
                if child.until is not None:
                    until = child.until if until is None else min(until, child.until)
        patience = None if until is None else max(0, until - time.monotonic()) * 1000 + 1
        return {fd for fd, _ in poll.poll(patience)}

    def receive(self):
        got = os.read(self.control, 1 << 16)
        self.inbox += got
        while len(self.inbox) >= 9:
            size = int.from_bytes(self.inbox[:4], "little")
            if len(self.inbox) < 9 + size:
                break
            kind, key = self.inbox[4], int.from_bytes(self.inbox[5:9], "little")
            payload = bytes(self.inbox[9 : 9 + size])
            del self.inbox[: 9 + size]
            self.obey(kind, key, payload)
            if self.prepared is not None:
                break
        return bool(got)

    def obey(self, kind, key, payload):
        child = self.children.get(key)
        if kind == RUN:
            self.start(key, unpack(payload), self.run)
        elif kind == OPEN:
            self.start(key, unpack(payload), self.open)
        elif child is None:
            pass  # It has ended meanwhile.
        elif kind == CREDIT:
            child.credit += int.from_bytes(payload, "little")
        elif kind == CELL:
            child.backlog += len(payload).to_bytes(4, "little") + payload
        elif kind == KILL and child.status is None:
            # Not reaped yet, so the number is still its own.
            child.is_unwanted = child.is_unwanted or payload[0] in (TERMINATE, KILLED)
            os.killpg(child.pid, payload[0])

    def start(self, key, fields, begin):
        if any(mark(path) != before for path, before in self.start_files.items()):
            return self.send(STALE, key)
        opened = []
        try:
            begin(key, fields, opened)
        except OSError as error:
            self.send(DECLINED, key, (error.errno or 0).to_bytes(4, "little"))
        finally:
            # A child stays where it was put, and has closed what is not its own.
            if self.prepared is None:
                os.chdir("/")
                for fd in opened:
                    os.close(fd)

    def run(self, key, fields, opened):
        cwd, path, code, prints, count = fields[:5]
        count, is_mixed = int.from_bytes(count, "little"), prints[0] == MIXED
        args, env = fields[5 : 5 + count], fields[5 + count :]
        os.chdir(cwd)
        script = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(script, "wb") as file:
                file.write(code)
            kinds = [OUT, RESULT] if is_mixed else [OUT, ERR]
            streams = self.fork(key, env, opened, kinds, None, path)
        except OSError:
            os.unlink(path)
            raise
        if streams is not None:
            results = os.dup(streams[RESULT]) if is_mixed else None
            self.prepared = (lambda: script_program(os.fsdecode(path), code, args, results)), env

    def open(self, key, fields, opened):
        cwd, program = fields[:2]
        os.chdir(cwd)
        orders, orders_end = os.pipe()
        opened.append(orders)
        env = fields[2:]
        try:
            ends = self.fork(key, env, opened, [OUT, ERR, RESULT], orders_end, None)
        except OSError:
            os.close(orders_end)
            raise
        if ends is not None:
            keep = os.dup(orders), os.dup(ends[RESULT])
            self.prepared = (lambda: context_program(program, *keep)), env

    def fork(self, key, env, opened, kinds, orders, script):
        """Makes the pipes and the child. In the child, whose descriptors are in place, returns its ends."""
        mine, theirs = {}, {}
        pid = None
        try:
            for kind in kinds:
                mine[kind], theirs[kind] = os.pipe()
                os.set_blocking(mine[kind], False)
            pid = os.fork()
            if pid != 0:
                try:
                    os.setpgid(pid, pid)
                except OSError:
                    pass  # It has done so itself, and may even have ended.
                if orders is not None:
                    os.set_blocking(orders, False)
                self.children[key] = Child(key, pid, mine, orders, script)
                self.send(STARTED, key, pid.to_bytes(4, "little"))
                return None
        finally:
            if pid != 0:
                opened.extend(theirs.values())
                if key not in self.children:
                    opened.extend(mine.values())
        os.setpgid(0, 0)
        os.dup2(self.null, 0)
        os.dup2(theirs[OUT], 1)
        os.dup2(theirs[ERR if ERR in theirs else OUT], 2)
        for other in self.children.values():
            for fd in other.descriptors():
                os.close(fd)
        ends = [fd for kind, fd in theirs.items() if kind != RESULT]
        for fd in [self.control, self.out, self.null, *ends, *mine.values()]:
            os.close(fd)
        if orders is not None:
            os.close(orders)
        return theirs

    def attend(self, child, ready, now):
        if child.status is None and child.pidfd in ready:
            if child.is_unwanted:
                # What is left of its group goes with it, while the number is still its own.
                os.killpg(child.pid, KILLED)
            child.status = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
            child.until = now + DRAIN
            child.owed = dict.fromkeys(child.streams, PIPE_MAX)
        if child.backlog and child.orders in ready:
            self.pass_on(child)
        self.pump(child, ready)
        if child.status is not None:
            over = now >= child.until and not any(child.owed.get(kind, 0) for kind in child.streams)
            if child.held is None and (over or not child.streams):
                self.end(child)

    def pass_on(self, child):
        try:
            child.backlog = child.backlog[os.write(child.orders, child.backlog) :]
        except BlockingIOError:
            pass
        except OSError:
            child.backlog = b""  # It reads no more: its end, or its silence, tells.

    def pump(self, child, ready):
        """Sends what the child has printed. A result is read first and sent last: what was printed before it goes
        before it."""
        if child.held is None and child.streams.get(RESULT) in ready and child.credit > 0:
            child.held, child.drained = self.read(child, RESULT), 0
        empty = True
        for kind in (OUT, ERR):
            while child.credit > 0 and kind in child.streams:
                data = self.read(child, kind)
                if data is None:
                    break
                child.drained += len(data)
                self.pass_out(child, kind, data)
                if child.held is not None and child.drained > 2 * PIPE_MAX:
                    break
            else:
                empty = empty and kind not in child.streams
        if child.held is not None and child.credit > 0 and (empty or child.drained > 2 * PIPE_MAX):
            self.pass_out(child, RESULT, child.held)
            child.held = None

    def pass_out(self, child, kind, data):
        if data:
            child.credit -= 1
            self.send(kind, child.key, data)

    def read(self, child, kind):
        """The next bytes; None when there are none now; empty at the end, when the stream is closed."""
        fd = child.streams[kind]
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            child.owed[kind] = 0
            return None
        except OSError:
            data = b""
        if not data:
            os.close(fd)
            del child.streams[kind]
        elif child.status is not None:
            child.late = child.late or len(data) > child.owed.get(kind, 0)
            child.owed[kind] = max(0, child.owed.get(kind, 0) - len(data))
        return data

    def end(self, child):
        for fd in child.descriptors():
            os.close(fd)
        if child.script is not None:
            try:
                os.unlink(child.script)
            except OSError:
                pass  # The script may have removed itself.
        cut = child.late and bool(child.streams)
        del self.children[child.key]
        self.send(EXITED, child.key, child.status.to_bytes(4, "little", signed=True) + bytes([cut]))


def script_program(path, code, args, results):
    """What `python3 path args` has when its first line runs; with `results`, what `python3 -u path args 2>&1` has."""
    if results is not None:
        sys.stdout = sys.__stdout__ = unbuffered(sys.stdout, 1)
        sys.stderr = sys.__stderr__ = unbuffered(sys.stderr, 2)
        for stream in (sys.stdout, sys.stderr):
            BUFFERLESS.extend(map(id, [stream, *gc.get_referents(stream)]))
        if b"matplotlib" in code:
            offer_backend(show_as_records(results))
    sys.argv = [path, *map(os.fsdecode, args)]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv = [sys.orig_argv[0], *sys.argv]
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, os.path.dirname(path))
    # A new one, which is not frozen: what is in it is destroyed at the end, in the order of every program.
    main = sys.modules["__main__"] = type(sys)("__main__")
    main.__annotations__, main.__builtins__ = {}, sys.modules["builtins"]
    main.__file__ = path
    main.__cached__ = None
    main.__loader__ = sys.modules["_frozen_importlib_external"].SourceFileLoader("__main__", path)
    return compile(code, path, "exec", dont_inherit=True), main.__dict__


def unbuffered(old, fd):
    """A standard stream as `-u` makes it."""
    file = io.open(fd, "wb", buffering=0, closefd=False)
    file.name = old.name
    file = io.TextIOWrapper(file, encoding=old.encoding, errors=old.errors, newline="\n", write_through=True)
    file.mode = "w"
    return file


def show_as_records(results):
    """A way to show: a record for each open figure, u32 length, then title, PNG and what is drawn in it (`figures.py`)."""

    def show(*_, **__):
        pyplot = sys.modules["matplotlib.pyplot"]
        for number in pyplot.get_fignums():
            figure = pyplot.figure(number)
            picture = io.BytesIO()
            figure.savefig(picture, format="png", bbox_inches="tight")
            titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
            title = (titles or [""])[0].encode("utf-8", "replace")
            record = pack([title, picture.getvalue(), describe(figure)])
            record = memoryview(len(record).to_bytes(4, "little") + record)
            while record:
                record = record[os.write(results, record) :]
            pyplot.close(figure)

    return show


# Types whose instances may stay behind without anybody noticing that they were never destroyed: no finaliser, no buffer.
PLAIN = frozenset([dict, list, tuple, set, frozenset, type, property, staticmethod, classmethod])
PLAIN |= {type(sys), type(pack), type(pack.__code__), type(sys._getframe()), type(os.__spec__)}
PLAIN |= {type(len), type(object.__init__), type(str.join), type(dict.__dict__["fromkeys"]), type(PLAIN.__len__)}
PLAIN |= {type(type.__dict__["__dict__"]), type(type(pack).__dict__["__globals__"]), type(iter([]))}
PLAIN |= {type((lambda x: lambda: x)(0).__closure__[0]), sys.modules["_frozen_importlib_external"].SourceFileLoader}
REFERENCE = type(sys.modules["_weakref"].ref(Child))
# Streams of ours that hold nothing back, and what they are made of: they too may stay behind. By identity, because a
# program may make others of their types.
BUFFERLESS = []


def is_plain(left):
    if type(left) is REFERENCE:
        return left.__callback__ is None
    return type(left) in PLAIN or id(left) in BUFFERLESS


def leave():
    """The last of the exit functions, when threads have been waited for: ends a program that has run to its end without
    taking the interpreter apart, if nobody can tell because all that it left behind is plain."""
    main = sys.modules.get("__main__")
    if getattr(main, "__lazaret__", None) == "ended":
        del main.__lazaret__
        if left_plain_things():
            try:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)
            except Exception:
                pass  # The interpreter meets it again, and makes an exit code of it.
    # The collector must see everything, or what is in a cycle with something of before the fork is not destroyed.
    gc.unfreeze()


def left_plain_things():
    if sys.warnoptions or sys.flags.dev_mode or sys.flags.verbose or sys.gettrace() or sys.getprofile():
        return False
    if "gc" in sys.modules:
        return False  # It may have hidden something from the look below.
    # A library may have a buffer or an exit function of its own, which the interpreter does not know.
    new = [getattr(sys.modules[name], "__file__", None) for name in sys.modules.keys() - LOADED]
    return all(file is None or file.endswith(".py") for file in new) and all(map(is_plain, gc.get_objects()))


def context_program(program, orders, results):
    sys.argv = [""]
    sys.path.insert(0, "")
    return compile(program, "<lazaret>", "exec", dont_inherit=True), {
        "__name__": "lazaret",
        "ORDERS": orders,
        "RESULTS": results,
        "pack": pack,
        "unpack": unpack,
        "offer_backend": offer_backend,
    }


def new_stdin():
    """Standard input again, as the interpreter makes it: what it knows of the old one was about a pipe."""
    old = sys.stdin
    file = io.open(0, "rb", closefd=False)
    file.raw.name = "<stdin>"
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(file, encoding=old.encoding, errors=old.errors, newline="\n")
    sys.stdin.mode = "r"


def prepare():
    """Serves; in a child, returns its code and its namespace."""
    control, out, null = os.dup(0), os.dup(1), os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(null, 1)
    if sys.stdin is not None:
        new_stdin()
    driver = Driver(control, out, null)
    gc.collect()
    gc.freeze()
    program, env = driver.serve()
    del driver
    for name in [name for name in sys.modules if name not in LOADED]:
        del sys.modules[name]
    sys.path_importer_cache.clear()
    for name, value in zip(env[::2], env[1::2]):
        os.environb[name] = value
    atexit.register(leave)
    return program()
