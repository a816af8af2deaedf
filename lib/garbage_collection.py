"""How the garbage collector of a long-running process works: see https://docs.python.org/3/library/gc.html."""

import gc

# A page leaves some 2,000 objects that the collector alone frees. With Python's 700 it began four times a page, and each
# forty pages it went through everything, for 50 ms. Now it begins each fifth page, and goes through everything each 600.
YOUNG_OBJECTS = 10_000
_USUAL = gc.get_threshold()


def after_loading() -> None:
    """Let the collector pass over what is loaded by now, which stays in memory to the end, and work less often.

    A process that is forked later inherits both.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def as_python_does() -> None:
    """Let the collector work as often as usual, where no page waits for it: what it has not freed yet is memory."""
    gc.set_threshold(*_USUAL)
