"""Puts the page of an HTML export together, and writes it as C for the engine: page.h beside this folder has the names.

Usage: make_page.py LIBRARIES OUTPUT.c

LIBRARIES is the folder into which npm installed d3 and d3-flame-graph. If it lacks one of them, the page is empty, and
the engine says so when it is asked for one. The page's policy allows the scripts and styles that are in it, by their
hashes, and nothing else: so nothing in the data of a report can run.
"""

import base64
import hashlib
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = ("data.js", "look.js", "panel.js", "flame.js", "table.js", "map.js", "main.js")
D3 = "d3/dist/d3.min.js"
FLAMEGRAPH = "d3-flame-graph/dist/d3-flamegraph.umd.min.js"
LICENCES = (("d3", "d3/LICENSE"), ("d3-flame-graph", "d3-flame-graph/LICENSE"))
STRICT = '"use strict";'


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def hash_of(text):
    """The source of a policy that allows a script or a style with this text."""
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def own_script():
    """All own scripts as one, in a scope of its own."""
    parts = [read(HERE, name).replace(STRICT, "", 1).strip() for name in SCRIPTS]
    return "(() => {\n%s\n%s\n})();" % (STRICT, "\n\n".join(parts))


def style_of(library):
    """The style that d3-flame-graph adds to the page when it is loaded."""
    found = re.findall(r"textContent=`([^`]*)`", library)
    if len(found) != 1:
        sys.exit("make_page.py: %s adds %d styles, not one" % (FLAMEGRAPH, len(found)))
    return found[0]


def page(libraries):
    """The page before and after the place of its data."""
    scripts = {"d3": read(libraries, D3), "flamegraph": read(libraries, FLAMEGRAPH), "report": own_script()}
    for name, text in scripts.items():
        if re.search(r"</script|<!--", text, re.IGNORECASE):
            sys.exit("make_page.py: the script %s would end its element" % name)
    style = read(HERE, "report.css")
    styles = [style, style_of(scripts["flamegraph"])]
    policy = "default-src 'none'; script-src %s; style-src %s; base-uri 'none'; form-action 'none'" % (
        " ".join(map(hash_of, scripts.values())),
        " ".join(map(hash_of, styles)),
    )
    licences = "\n\n".join("%s\n\n%s" % (name, read(libraries, path)) for name, path in LICENCES)
    parts = dict(scripts, policy=policy, style=style, licences=licences)
    before, after = read(HERE, "report.html").split("@data@")
    return tuple(re.sub(r"@(\w+)@", lambda match: parts[match.group(1)], text) for text in (before, after))


def as_c(text):
    """String literals, each on a line. Octal escapes end after three digits, so that no digit joins them."""
    safe = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n", ord("?"): "\\?"}
    data = text.encode()
    for start in range(0, len(data), 2000):
        piece = data[start : start + 2000]
        yield '    "%s"\n' % "".join(
            safe.get(byte) or (chr(byte) if 32 <= byte < 127 else "\\%03o" % byte) for byte in piece
        )


def main(arguments):
    libraries, output = arguments
    needed = [D3, FLAMEGRAPH] + [path for _, path in LICENCES]
    there = all(os.path.exists(os.path.join(libraries, path)) for path in needed)
    before, after = page(libraries) if there else ("", "")
    length = len((before + after).encode())
    if not there:
        print("  the libraries of the HTML page are missing, so there will be no tm-export html: see `make deps`")
    os.makedirs(os.path.dirname(output), exist_ok=True)
    with open(output, "w", encoding="ascii") as file:
        file.write("// Made by src/engine/export/page/make_page.py.\n\n")
        file.write('#include "engine/export/page.h"\n\n')
        file.write("const char tm_page[] =\n%s;\n" % ("".join(as_c(before + after)) or '    ""'))
        file.write("const size_t tm_page_length = %d;\n" % length)
        file.write("const size_t tm_page_data = %d;\n" % len(before.encode()))


if __name__ == "__main__":
    main(sys.argv[1:])
