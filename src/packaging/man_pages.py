"""Makes the manual pages of the commands and of the launcher, out of their own help texts.

    python3 man_pages.py ENGINE COMMAND PACKAGE VERSION FOLDER

tm-NAME is the page of a debugger's command, and tracemortem-NAME that of the same one on a command line. If the command
COMMAND was not built, tracemortem is the page of `python3 -m tracemortem`; else that is tracemortem-module. Knows the shape of a help text: its first line is the summary; a line at the margin that ends with a colon begins a list;
what is indented keeps its lines.
"""

import ctypes
import os
import re
import subprocess
import sys

COMMAND = "tracemortem"


def commands(engine):
    """(name, help text) of each of the engine's commands."""
    library = ctypes.CDLL(os.path.abspath(engine))
    library.tm_command_name.restype = library.tm_command_help.restype = ctypes.c_char_p
    library.tm_command_name.argtypes, library.tm_command_help.argtypes = [ctypes.c_size_t], [ctypes.c_char_p]
    index = 0
    while library.tm_command_name(index):
        name = library.tm_command_name(index)
        yield name.decode(), library.tm_command_help(name).decode()
        index += 1


def command_helps(command, names):
    """(name, help text) of the command itself and of its commands; nothing if it was not built."""
    if not os.path.exists(command):
        return
    yield COMMAND, output_of(command, "--help")
    for name in ["run", "report", "metrics", "push"] + [name[3:] for name in names]:
        text = output_of(command, name, "--help")
        if text:
            yield "%s-%s" % (COMMAND, name), text


def output_of(*words):
    """What a command prints; "" if it fails."""
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()


def switch_helps(package):
    """The help of the debuggers' two commands that are not the engine's."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(package)))
    sys.dont_write_bytecode = True
    from tracemortem.debugger import switch

    return switch.HELP


def launcher_help(package):
    """What `python3 -m tracemortem --help` prints; the usage comes first there."""
    environment = dict(os.environ, PYTHONPATH=os.path.dirname(package), PYTHONDONTWRITEBYTECODE="1")
    command = [sys.executable, "-m", "tracemortem", "--help"]
    text = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout.decode().strip()
    return "Run a Python program with its memory allocations traced.\n\n%s" % text


def escaped(text):
    """The text as groff shows it: a hyphen may be copied into a shell, no line is a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def as_it_is(lines):
    return [".nf", *map(escaped, lines), ".fi"]


def options(lines):
    """A list of options: what one does is below it, further to the right, or in a column beside it."""
    for line in lines:
        option, *text = re.split(r" {2,}", line.strip())
        if re.match(r" {1,7}\S", line):
            yield from (".TP", escaped(option))
            yield from map(escaped, text)
        else:
            yield escaped(line.strip())


def body(text):
    """The text below the usage, paragraph by paragraph."""
    for paragraph in re.split(r"\n{2,}", text.strip("\n")):
        lines = paragraph.split("\n")
        heading = re.fullmatch(r"(Options|Examples|Commands|Exit status):", lines[0])
        if heading:
            yield ".SH " + heading.group(1).upper()
            yield from options(lines[1:]) if heading.group(1) == "Options" else as_it_is(lines[1:])
        elif lines[0].startswith("  -"):
            yield ".SH OPTIONS"
            yield from options(lines)
        else:
            yield ".SH JSON" if lines[0].startswith("The JSON object") else ".PP"
            yield from as_it_is(lines) if any(line.startswith(" ") for line in lines) else map(escaped, lines)


def page(name, text, version, others):
    summary, _, rest = text.partition("\n")
    usage, _, rest = rest.lstrip("\n").partition("\n\n")
    usage = [re.sub(r"^(Usage:)?\s+", "", line) for line in usage.split("\n")]
    lines = ['.TH %s 1 "" "tracemortem %s" "tracemortem"' % (escaped(name.upper()), version)]
    lines += [".SH NAME", "%s \\- %s" % (escaped(name), escaped(summary[:1].lower() + summary[1:].rstrip(".")))]
    lines += [".SH SYNOPSIS", *as_it_is(usage), ".SH DESCRIPTION", *body(rest)]
    lines += [".SH SEE ALSO", ",\n".join(".BR %s (1)" % escaped(other) for other in others if other != name)]
    return "\n".join(lines) + "\n"


def main():
    engine, command, package, version, folder = sys.argv[1:]
    texts = dict(commands(engine))
    texts.update(switch_helps(package))
    texts.update(command_helps(os.path.abspath(command), list(texts)))
    texts[COMMAND + "-module" if COMMAND in texts else COMMAND] = launcher_help(package)
    os.makedirs(folder, exist_ok=True)
    for name, text in texts.items():
        with open(os.path.join(folder, name + ".1"), "w", encoding="utf-8") as file:
            file.write(page(name, text, version, sorted(texts)))


if __name__ == "__main__":
    main()
