__lazaret__ = {"__name__": "lazaret"}
exec(compile(__import__("sys").argv.pop(), "<lazaret>", "exec"), __lazaret__)
try:
    exec(*globals().pop("__lazaret__")["prepare"]())
except SystemExit:
    raise
except BaseException as __lazaret__:
    __lazaret__.__traceback__ = __lazaret__.__traceback__.tb_next
    while __lazaret__.__traceback__ and __lazaret__.__traceback__.tb_frame.f_code.co_filename == "<lazaret>":
        __lazaret__.__traceback__ = __lazaret__.__traceback__.tb_next
    __import__("sys").excepthook(type(__lazaret__), __lazaret__, __lazaret__.__traceback__)
    __import__("sys").excepthook = lambda *_: None
    raise
else:
    __import__("__main__").__lazaret__ = "ended"
