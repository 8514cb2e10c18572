"""Objects from free lists. Prints for each kind whether the block was used again (where that is sure), its line before
and after, and how many blocks the line has.

Usage: reborn.py NFRAME
"""

import gc
import sys
import tracemalloc


def frames(thing, limit):
    """The lines of the most recent frames of an object's traceback, oldest first."""
    traceback = tracemalloc.get_object_traceback(thing)
    return traceback and [frame.lineno for frame in traceback][-limit:]


def first(make):
    return make()


def second(make):
    return make()


half, one = 0.5, 1


def new_float():
    return half * 3


def new_tuple():
    return (half, one)


def new_long_tuple():
    return (half, one, half, one, half, one, half, one, half, one)


def new_list():
    return []


def new_list_with_items():
    return [half, one]


def new_dict():
    return {}


def new_dict_with_items():
    return {one: half}


def new_generator():
    return (i for i in ())


def new_slice():
    return slice(one, half)


def new_instance():
    return Thing()


def new_complex():
    return half * 1j


def new_range():
    return range(one, 7000)


def new_string():
    return str(half) * one


def new_function():
    return lambda: one


class Thing:
    pass


FREE_LISTS = {"new_float", "new_tuple", "new_long_tuple", "new_list", "new_list_with_items"}
FREE_LISTS |= {"new_dict", "new_dict_with_items"}


def main(limit):
    tracemalloc.stop()
    for name, make in sorted(globals().items()):
        if not name.startswith("new_"):
            continue
        for tracing_before in (True, False):
            if tracing_before:
                tracemalloc.start(limit)
                gc.collect()  # this empties the free lists
            old = first(make)
            if not tracing_before:
                tracemalloc.start(limit)
                gc.collect()
            address = id(old)
            was = frames(old, 3)
            del old
            new = second(make)
            same = id(new) == address
            now = frames(new, 3)
            newest = [trace[2][0] for trace in tracemalloc.take_snapshot().traces._traces]
            lines = [line for name_of_file, line in newest if name_of_file == __file__]
            tracemalloc.stop()
            reuse = ("same block" if same else "another block") if name in FREE_LISTS else "-"
            print(name, tracing_before, reuse, was, now, lines.count(now[-1] if now else 0))
            del new


main(int(sys.argv[1]))
