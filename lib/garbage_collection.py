"""How the garbage collector of a long-running process works: see https://docs.python.org/3/library/gc.html."""

import gc

# A page leaves up to 1,200 objects that the collector alone frees. With Python's 700 it began four times a page, and each
# forty pages it went through everything, for 50 ms. With 10,000 it began each tenth page, which then took 5 ms longer; now
# each third, for 1.5 ms. The mean of a page is 0.6 ms of collecting, in place of 0.5.
YOUNG_OBJECTS = 3_000
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
