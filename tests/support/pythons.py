#!/usr/bin/env python3
"""Finds the CPythons to test: 3.8 and later, from pyenv, /usr/bin and /usr/local/bin.

The environment variable PYTHONS, a list of programs separated by spaces, replaces the search. As a program it prints a
line for each one, "version path". As a module: `find()` returns them, oldest first; `find_debug()` and
`find_free_threaded()` return the special builds.
"""

import collections
import functools
import glob
import os
import re
import subprocess
import sys

OLDEST = (3, 8)

Python = collections.namedtuple("Python", "version path")
Python.__doc__ = "One interpreter: `version` is a tuple of three numbers, `path` starts it."

PROBE = """if 1:
    import os, platform, sys
    print(platform.python_implementation(), *sys.version_info[:3], os.path.realpath(sys.executable))"""


@functools.lru_cache(maxsize=None)
def candidates(names=r"python3(\.\d+)?", elsewhere=False):
    """Paths of possible interpreters; with `elsewhere` those in $PATH too. One interpreter may have several names."""
    chosen = os.environ.get("PYTHONS", "").split()
    if chosen:
        return chosen
    pyenv = os.environ.get("PYENV_ROOT") or os.path.join(os.path.expanduser("~"), ".pyenv")
    folders = glob.glob(os.path.join(pyenv, "versions", "*", "bin")) + ["/usr/bin", "/usr/local/bin"]
    folders += [
        folder for folder in os.environ.get("PATH", "").split(os.pathsep) if elsewhere and folder not in folders
    ]
    paths = [path for folder in folders for path in sorted(glob.glob(os.path.join(folder, "python3*")))]
    return [path for path in paths if re.fullmatch(names, os.path.basename(path))]


@functools.lru_cache(maxsize=None)
def probe(path):
    """The interpreter at `path`, or None if it is not a CPython or too old."""
    try:
        answer = subprocess.run([path, "-c", PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=600)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = answer.stdout.decode(errors="surrogateescape").split(None, 4)
    if answer.returncode or len(words) != 5 or words[0] != "CPython":
        return None
    version = tuple(int(word) for word in words[1:4])
    return Python(version, words[4].rstrip("\n")) if version >= OLDEST else None


def find():
    """All interpreters, each once, oldest first. It is an error if one of PYTHONS does not start."""
    found = {}
    for path in candidates():
        python = probe(path)
        if python is not None:
            found.setdefault(python.path, python)
        elif os.environ.get("PYTHONS"):
            raise SystemExit("%s: not a CPython of %d.%d or later" % ((path,) + OLDEST))
    return sorted(python for python in found.values() if not is_free_threaded(python.path))


def is_free_threaded(path):
    """Whether it is a build without the global lock."""
    return os.path.basename(path).endswith("t")


def find_free_threaded():
    """The builds without the global lock, oldest first. If PYTHONS is set, only those that it names."""
    found = filter(None, map(probe, candidates(r"python3\.\d+t", elsewhere=True)))
    return sorted({python for python in found if is_free_threaded(python.path)})


def find_debug():
    """The interpreters built with Py_DEBUG, which `find()` leaves out. None if PYTHONS is set."""
    if os.environ.get("PYTHONS"):
        return []
    return sorted(set(filter(None, map(probe, candidates(r"python3\.\d+-dbg")))))


def name(python):
    """Its name in tests: version, kind of build and first folder, so that two of one version differ."""
    build = "d" if re.search(r"(d|-dbg)$", python.path) else "t" if is_free_threaded(python.path) else ""
    return ".".join(map(str, python.version)) + build + ":" + python.path.strip("/").split("/")[0]


if __name__ == "__main__":
    pythons = find() + find_free_threaded()
    for python in pythons:
        print("%d.%d.%d" % python.version, python.path)
    sys.exit(not pythons)
