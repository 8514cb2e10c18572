"""What the tests of installing and packing share: make, folders, and questions to debuggers far from the sources."""

import contextlib
import os
import resource
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GDB = os.environ.get("TM_TEST_GDB", "gdb")
LLDB = os.environ.get("TM_TEST_LLDB") or shutil.which("lldb-19") or shutil.which("lldb-16") or "lldb"
PROGRAM = "data = bytearray(12345)\nprint('ready', flush=True)\ninput()"
LIMIT = 4 << 30  # bytes; it takes some 25 MB
ROW = "<string>:1: size=12.1 KiB"  # what tm-top shows of it
COMMANDS = "tm-info tm-top tm-traceback tm-traces tm-diff tm-save tm-export tm-filter tm-set tm-verify".split()


def make(*arguments, root=ROOT):
    """What make prints. Of a surrounding make, only the variables of its command line count."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKELEVEL", "MFLAGS")}
    answer = subprocess.run(
        ["make", "-s", "-C", str(root)] + list(arguments),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    text = answer.stdout.decode()
    assert answer.returncode == 0, text
    return text


def clean_environment(**more):
    """The environment without anything that would lead to the sources."""
    not_theirs = ("PYTHON", "TRACEMORTEM", "LD_PRELOAD", "MAKE", "PIP_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(not_theirs)}
    return dict(environment, PYTHONDONTWRITEBYTECODE="1", **more)


def tree(folder):
    """All files and folders below, as relative paths."""
    found = set()
    for path, folders, files in os.walk(str(folder)):
        found.update(os.path.relpath(os.path.join(path, name), str(folder)) for name in folders + files)
    return found


def files_below(folder):
    return {name for name in tree(folder) if not os.path.isdir(os.path.join(str(folder), name))}


def ask(command, **environment):
    """What a program prints in a folder that is no source tree."""
    answer = subprocess.run(
        command,
        cwd="/",
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    text = answer.stdout.decode()
    assert answer.returncode == 0, text
    return text


def ask_gdb(pid, line, *commands, **environment):
    """What gdb prints, attached to a process, after this line."""
    words = [word for command in (line, "attach %d" % pid) + commands for word in ("-ex", command)]
    return ask([GDB, "-nx", "-batch"] + words, **environment)


def ask_lldb(pid, line, *commands, **environment):
    words = [word for command in (line,) + commands for word in ("-o", command)]
    return ask([LLDB, "-x", "-b", "-p", str(pid)] + words, **environment)


def copy_sources(folder):
    shutil.copytree(
        ROOT, str(folder), symlinks=True, ignore=shutil.ignore_patterns("build", ".git", "__pycache__", "node_modules")
    )


def _limit_memory():
    """In the child: a fault must not take all memory of the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))


@contextlib.contextmanager
def running(command, **environment):
    """The pid of PROGRAM, which this command runs; it waits for the end of the context."""
    process = subprocess.Popen(
        command,
        cwd="/",
        env=clean_environment(**environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=_limit_memory,
    )
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        process.communicate(b"\n", timeout=600)
