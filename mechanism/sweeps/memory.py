"""Memory of freed arrays stays with a process that does many tasks.

A task makes and frees arrays of some megabytes thousands of times. glibc's allocator hands such
memory back to the system, which must clear every page again at the next use: a quarter to a third
of the time of Table 1.
"""

import ctypes
from functools import cache

TRIM, MAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
HELD, WHOLE = 2**28, 2**25  # bytes: kept at most; an array of more is the system's own matter


@cache
def keep() -> bool:
    """Keep up to 256 MB of freed memory for the next array; True where this could be had.

    It is a setting of the whole process, made once; elsewhere than on glibc nothing changes.
    Source: mallopt(3).

    >>> keep() in (True, False)
    True
    """
    try:
        option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(option(TRIM, HELD) and option(MAP, WHOLE))
