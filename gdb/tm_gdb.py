"""tracemortem in gdb: `source` this file, then see `help tm-top`.

Afterwards `import tm_gdb` works in gdb's Python: it is this file, loaded once as a module. It has take_snapshot(),
which returns a real tracemalloc.Snapshot of the stopped process or the core, get_object_traceback(address),
objects(type) and holders(address). This file finds the parts. The commands are in tm_gdb_commands, what they need from gdb is in tm_gdb_target, and the rest in
the package tracemortem.debugger.
"""

import os
import sys


def _extend_path() -> None:
    """Put this folder and the package tracemortem first on sys.path.

    After `make install` the package is in this folder. In the source tree it is where `make` puts it.
    """
    here = os.path.dirname(os.path.realpath(__file__))
    built = os.path.join(os.path.dirname(here), "build", "python")
    for path in (built, here):
        if path == here or os.path.isdir(os.path.join(path, "tracemortem")):
            sys.path[:] = [path] + [other for other in sys.path if other != path]


if __name__ == "__main__":
    # gdb's `source` runs this in a namespace that all sourced scripts share: leave nothing of ours there.
    _extend_path()
    del _extend_path
    import tm_gdb  # noqa: F401
else:
    _extend_path()
    import tm_gdb_commands
    from tm_gdb_commands import get_object_traceback, holders, objects, take_snapshot  # noqa: F401

    tm_gdb_commands.register()
