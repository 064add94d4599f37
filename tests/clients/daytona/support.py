"""What the scripts beside this have in common."""


def raises(kind, fn, *args, **kw):
    """The error of this kind that a call raises."""
    try:
        fn(*args, **kw)
    except kind as error:
        return error
    raise AssertionError(f"{fn} did not raise {kind.__name__}")


async def raises_async(kind, awaitable):
    """The error of this kind that an awaited call raises."""
    try:
        await awaitable
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")
