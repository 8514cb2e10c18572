"""Prints the newest version of glibc that any of these files needs; fails if that is newer than a limit.

    python3 glibc_needs.py [--at-most VERSION] [--at-least VERSION] FILE...

A file that needs glibc 2.34 does not load where glibc is older, whatever it does with it.
"""

import argparse
import os
import re
import subprocess
import sys


def versions_needed(path):
    """{version as a pair of numbers: the names bound to it}"""
    environment = dict(os.environ, LC_ALL="C")
    command = ["readelf", "--wide", "--dyn-syms", "--version-info", path]
    text = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout.decode()
    found = {number(version): [] for version in re.findall(r"Name: GLIBC_([0-9.]+)", text)}
    for name, version in re.findall(r" UND (\w+)@GLIBC_([0-9.]+)", text):
        found.setdefault(number(version), []).append(name)
    return found


def number(text):
    return tuple(map(int, text.split(".")))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--at-most", metavar="VERSION", type=number, help="fail if a file needs a newer one")
    parser.add_argument("--at-least", metavar="VERSION", type=number, default=(2, 0), help="print no older one")
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    newest = options.at_least
    for path in options.files:
        needed = versions_needed(path)
        newest = max([newest, *needed])
        for version in sorted(needed):
            if options.at_most and version > options.at_most:
                shown = [".".join(map(str, number)) for number in (version, options.at_most)]
                sys.exit(
                    "%s: needs glibc %s, which is newer than %s, for: %s\nBind an older version of these in "
                    "src/packaging/old_glibc.h, or do without them" % (path, *shown, ", ".join(needed[version]) or "?")
                )
    print("%d.%d" % newest[:2])


if __name__ == "__main__":
    main()
