"""A context of the warm Python interpreter: runs cells one after another in one `__main__`, as a notebook does.

Runs in a child of the driver, with ORDERS and RESULTS as the descriptors of its two pipes:

    ORDERS   u32 length, fields: source, then names and values of variables for this cell alone
    RESULTS  u8 kind, u32 length, fields
             DISPLAY, VALUE  media types and what they hold, in turns; VALUE is that of the last expression
             ERROR           name, message, traceback
             CUT             (nothing) a representation was left out or shortened
             DONE            (nothing) the cell has ended, and all that it printed is in the pipes
"""

import ast
import builtins
import inspect
import io
import linecache
import os
import signal
import sys
import traceback

DISPLAY, VALUE, ERROR, CUT, DONE = 1, 2, 3, 4, 5
# The largest representation that is passed on, in bytes: a large figure. Text is shortened instead.
REPRESENTATION_MAX = 8 << 20
TEXT_MAX = 1 << 20
# What the fields of an error may have together, in bytes.
ERROR_MAX = 256 << 10

METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_latex_": "text/latex",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_pdf_": "application/pdf",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
}


def send(kind, fields=()):
    payload = pack(fields)
    record = memoryview(bytes([kind]) + len(payload).to_bytes(4, "little") + payload)
    while record:
        record = record[os.write(RESULTS, record) :]


def encode(text):
    return text.encode("utf-8", "replace")


def receive():
    """The fields of the next order; None when there will be none."""
    buffer = b""
    while len(buffer) < 4 or len(buffer) < 4 + int.from_bytes(buffer[:4], "little"):
        size = 4 - len(buffer) if len(buffer) < 4 else 4 + int.from_bytes(buffer[:4], "little") - len(buffer)
        got = os.read(ORDERS, min(size, 1 << 16))
        if not got:
            return None
        buffer += got
    return unpack(buffer[4:])


def to_bytes(media_type, value):
    if isinstance(value, tuple):  # With metadata, which nobody here reads.
        value = value[0]
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return encode(value)
    import json

    return encode(json.dumps(value))


def representations(value):
    """Media types and bytes of what a value shows of itself; its text comes first."""
    found = {"text/plain": encode(repr(value))}
    if not isinstance(value, type):
        bundle = call(value, "_repr_mimebundle_")
        if isinstance(bundle, tuple):
            bundle = bundle[0]
        shown = dict(bundle) if isinstance(bundle, dict) else {}
        for method, media_type in METHODS.items():
            if media_type not in shown:
                shown[media_type] = call(value, method)
        for media_type, shape in shown.items():
            if shape is not None:
                found[str(media_type)] = to_bytes(media_type, shape)
        if figure := picture(value):
            found["image/png"] = figure
    return found


def call(value, name):
    method = getattr(value, name, None)
    if not callable(method):
        return None
    try:
        return method()
    except Exception:
        return None  # A value that cannot show itself this way still has its text.


def show(kind, value):
    fields = []
    for media_type, data in representations(value).items():
        if media_type == "text/plain" and len(data) > TEXT_MAX:
            data = data[:TEXT_MAX].decode("utf-8", "ignore").encode()
            send(CUT)
        if len(data) > REPRESENTATION_MAX:
            send(CUT)
            continue
        fields += [encode(media_type), data]
    flush()
    send(kind, fields)


def display(*values):
    """Shows each value, in its richest forms."""
    for value in values:
        show(DISPLAY, value)


def picture(value):
    """A matplotlib figure as PNG, which is then shown; None for anything else."""
    figures = sys.modules.get("matplotlib.figure")
    if figures is None or not isinstance(value, figures.Figure):
        return None
    target = io.BytesIO()
    value.savefig(target, format="png", bbox_inches="tight")
    sys.modules["matplotlib.pyplot"].close(value) if "matplotlib.pyplot" in sys.modules else None
    return target.getvalue()


def show_figures(*_, **__):
    """Shows the figures that are open, and closes them."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        for number in pyplot.get_fignums():
            display(pyplot.figure(number))


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # The cell has closed or replaced it.


def report(error):
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == "<lazaret>":
        frames = frames.tb_next
    try:
        lines = traceback.format_exception(type(error), error, frames)
        message = str(error)
    except Exception:
        lines, message = [], "an error that cannot be shown"
    flush()
    send(ERROR, [encode(text)[:ERROR_MAX] for text in (type(error).__name__, message, "".join(lines))])


class Cells:
    def __init__(self):
        self.count = 0
        self.loop = None
        self.main = sys.modules["__main__"] = type(sys)("__main__")
        self.main.__builtins__ = builtins
        self.main.__annotations__ = {}
        self.main.display = display
        # What the cells have made of SIGINT; between cells it is ignored.
        self.on_interrupt = signal.default_int_handler

    def run(self, source, env):
        self.count += 1
        name = f"<cell {self.count}>"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        before = {key: os.environ.get(key) for key in env}
        os.environ.update(env)
        try:
            signal.signal(signal.SIGINT, self.on_interrupt)
            self.evaluate(source, name)
            show_figures()
        finally:
            self.on_interrupt = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            for key, value in before.items():
                os.environ.pop(key, None) if value is None else os.environ.__setitem__(key, value)

    def evaluate(self, source, name):
        try:
            tree = ast.parse(source, name)
        except (SyntaxError, ValueError) as error:
            raise error.with_traceback(None) from None
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self.execute(compile(tree, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True))
        if last is not None:
            code = compile(ast.Expression(last.value), name, "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True)
            value = self.execute(code)
            if value is not None:
                builtins._ = value
                show(VALUE, value)

    def execute(self, code):
        value = eval(code, self.main.__dict__)
        if not code.co_flags & inspect.CO_COROUTINE:
            return value
        import asyncio

        if self.loop is None or self.loop.is_closed():
            self.loop = asyncio.new_event_loop()
        return self.loop.run_until_complete(value)


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(sys.stdout, "reconfigure"):
        # What is printed is to be seen soon, and a line at a time is soon enough.
        sys.stdout.reconfigure(line_buffering=True)
    offer_backend(show_figures)
    cells = Cells()
    while (order := receive()) is not None:
        source, *env = [field.decode("utf-8", "surrogateescape") for field in order]
        try:
            cells.run(source, dict(zip(env[::2], env[1::2])))
        except BaseException as error:
            report(error)
        flush()
        send(DONE)


main()
