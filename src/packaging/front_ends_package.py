"""In a wheel this is the package tracemortem to gdb and lldb: it has the modules of the package two folders up.

A wheel cannot have the link that `make install` places beside the debuggers' scripts. And the folder of all packages
must not be on a debugger's path: they may be for another Python.
"""

import os

_package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
__path__ = [_package]
with open(os.path.join(_package, "__init__.py"), encoding="utf-8") as _file:
    exec(compile(_file.read(), _file.name, "exec"))
