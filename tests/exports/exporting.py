"""What the tests of exports share: the files that were exported, and what is installed here."""

import os

import debuggers

HERE = os.path.dirname(os.path.realpath(__file__))
FORMATS = "html speedscope pprof collapsed json csv".split()
NODE_MODULES = os.path.join(debuggers.ROOT, "src", "packaging", "npm", "node_modules")


def path_in(folder, name):
    """A browser takes a file for a page by its suffix."""
    return os.path.join(folder, name + (".html" if name.startswith("html") else ""))


class Exported:
    """The folder with FORMAT of the process, FORMAT.diff of its growth; and what tm-top and tm-diff say as JSON."""

    def __init__(self, folder, top, functions, diff):
        self.folder, self.top, self.functions, self.diff = folder, top, functions, diff

    def path(self, name):
        return path_in(self.folder, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", newline="") as file:
            return file.read()


def has_page():
    """Whether the engine was built with the page: then npm had fetched its libraries."""
    with open(os.path.join(debuggers.BUILD, "lib", "libtracemortem.so"), "rb") as file:
        return b"<!DOCTYPE html>" in file.read()
