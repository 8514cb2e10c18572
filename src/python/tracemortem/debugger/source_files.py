"""Which file on this host a file name of the target means, if any.

A name in a trace is what the program saw: relative to its working directory, below its root, in its mount namespace.
The same name can be another file here. So each part of a name is looked up where the process sees it, and a link on
the way leads where it leads there. Names come from the target and can be anything. This module knows no debugger and
no trace table, and reads no file.
"""

from __future__ import annotations

import os
import shlex
import stat
from typing import Callable, List, NamedTuple

MOST_LINKS = 40  # as in Linux

UNKNOWN_FOLDER = "the core does not say which folder this name is relative to"
OUT_OF_REACH = "its folder cannot be reached from here"
ELSEWHERE = "the process may be on another host, so its files are not looked for here"


class Found(NamedTuple):
    """The file's path here, without links; or "" and why there is none, or "" if the file is simply not there."""

    path: str
    why: str = ""
    changed: int = 0  # nanoseconds since 1970: when the file, or a link on the way to it, last changed


class SourceFiles:
    """The files of a process of which nothing is known: none."""

    latest = 0  # nanoseconds since 1970 after which the process did not run; 0: it still may

    def find(self, name: str) -> Found:
        return Found("", ELSEWHERE)


class HostFiles(SourceFiles):
    """Files of a core: absolute names are names of this host. `shell_folder` finds out $PWD of the program's first
    environment. That is a hint for the user and no fact: a program can be started in any folder, and go to another."""

    def __init__(self, latest: int = 0, shell_folder: Callable[[], bytes] = bytes) -> None:
        self.latest = latest
        self._shell_folder = shell_folder

    def find(self, name: str) -> Found:
        return resolve("", name) if name.startswith("/") else Found("", UNKNOWN_FOLDER + self._advice())

    def _advice(self) -> str:
        folder = self._shell_folder().decode("utf-8", "replace")
        if not folder.startswith("/") or not folder.isprintable() or "\ufffd" in folder:
            return "\nIf you know it, type tm-set folder /THE/FOLDER"
        return "\nIts environment has PWD=%s. If that is the folder, type tm-set folder %s" % (
            folder,
            shlex.quote(folder),
        )


class ProcessFiles(SourceFiles):
    """Files as a process of this host sees them."""

    def __init__(self, pid: int) -> None:
        self._process = "/proc/%d" % pid
        self._root = self._find_root()
        self._folder = self._find_folder()

    def find(self, name: str) -> Found:
        if self._root is None:
            return Found("", OUT_OF_REACH)
        if name.startswith("/"):
            return resolve(self._root, name)
        return Found("", OUT_OF_REACH) if self._folder is None else resolve(self._root, self._folder + "/" + name)

    def _find_root(self) -> str | None:
        """The prefix of its files' names here: "" if it has our root and our mounts."""
        root = self._process + "/root"
        try:
            same_root = os.path.samestat(os.stat(root), os.stat("/"))
            same_mounts = os.readlink(self._process + "/ns/mnt") == os.readlink("/proc/self/ns/mnt")
        except OSError:
            return None
        return "" if same_root and same_mounts else root

    def _find_folder(self) -> str | None:
        """Its working directory, as a name below its root; None if it is not there."""
        try:
            folder, top = os.readlink(self._process + "/cwd"), os.readlink(self._process + "/root").rstrip("/")
            if self._root is None or not (folder + "/").startswith(top + "/"):
                return None
            inner = folder[len(top) :].rstrip("/")
            there = os.path.samestat(os.stat(self._root + inner + "/"), os.stat(self._process + "/cwd"))
        except (OSError, ValueError):
            return None
        return inner if there else None


def resolve(root: str, name: str) -> Found:
    """The file of an absolute name below the folder `root`, which is the root for links on the way too."""
    rest = name.split("/")[::-1]
    done: List[str] = []
    changed = links = 0
    try:
        while rest:
            part = rest.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del done[-1:]
                continue
            path = "/".join([root] + done + [part])
            status = os.lstat(path)
            if not stat.S_ISLNK(status.st_mode):
                done.append(part)
                continue
            changed = max(changed, status.st_ctime_ns)
            links += 1
            # Links in /proc mean something else to each process that reads them.
            if links > MOST_LINKS or done[:1] == ["proc"]:
                return Found("")
            target = os.readlink(path)
            done = [] if target.startswith("/") else done
            rest += target.split("/")[::-1]
        path = "/".join([root] + done)
        return Found(path, "", max(changed, os.lstat(path).st_ctime_ns))
    except (OSError, ValueError):
        return Found("")
