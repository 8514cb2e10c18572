"""Runs programs, dumps them, and runs gdb and lldb on them. All tests that need a real debugger share it.

    with start_traced_process(python, script, frames=5) as process:   # the script says when it is ready
        core = gcore(process.pid, folder / "core")
        run = run_gdb(["tm-top"], pid=process.pid)                    # status, stdout, stderr
        texts = answers("lldb", ["tm-top", "tm-info"], program=python, core=core)

A script says that it is ready by writing a line to the file descriptor in $TM_READY, as often as it needs to:

    os.write(int(os.environ["TM_READY"]), b"what the test needs to know\\n")

Then it waits, for example in sys.stdin.readline(), until the test calls `process.tell()`. Nothing here sleeps.
"""

import collections
import contextlib
import ctypes
import glob
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(ROOT, "build")
PACKAGE_PATH = os.path.join(BUILD, "python")
TRACER = os.path.join(PACKAGE_PATH, "tracemortem", "_tracer.abi3.so")
TM_GDB = os.path.join(ROOT, "gdb", "tm_gdb.py")
TM_LLDB = os.path.join(ROOT, "lldb", "tm_lldb.py")
GDB = os.environ.get("TM_TEST_GDB", "gdb")
LLDB = os.environ.get("TM_TEST_LLDB", "lldb-19")
DEBUGGERS = ("gdb", "lldb")

PATIENCE = 600  # seconds; a guard against hanging, not a time that anything has to keep

Run = collections.namedtuple("Run", "status stdout stderr")
Run.__doc__ = "A debugger's exit status, and what it printed."


# -- programs that the debuggers look at


class Process:
    """A started program. A context manager that kills it at the end."""

    def __init__(self, command, environment=None, folder=None):
        self._scratch = tempfile.mkdtemp(prefix="tm-test-")
        self.folder = str(folder or self._scratch)  # its working directory; a relative core goes there
        self._stderr_path = os.path.join(self._scratch, "stderr")
        self._ready, child_end = os.pipe()
        variables = dict(os.environ, TM_READY=str(child_end), **(environment or {}))
        try:
            with open(self._stderr_path, "wb") as stderr:
                self.popen = subprocess.Popen(
                    [str(word) for word in command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    cwd=self.folder,
                    env=variables,
                    pass_fds=(child_end,),
                    preexec_fn=_let_be_looked_at,
                )
        finally:
            os.close(child_end)
        self.pid = self.popen.pid
        self._line = b""

    def ready(self):
        """Wait for the next line that the program writes to $TM_READY, and return it."""
        end = time.monotonic() + PATIENCE
        while b"\n" not in self._line:
            readable, _, _ = select.select([self._ready], [], [], max(0, end - time.monotonic()))
            data = os.read(self._ready, 65536) if readable else None
            if not data:
                why = "ended" if readable else "is silent for %d s" % PATIENCE
                raise AssertionError("the program %s before it was ready; its stderr:\n%s" % (why, self.stderr()))
            self._line += data
        line, self._line = self._line.split(b"\n", 1)
        return line.decode()

    def tell(self, line=""):
        """Write a line to its standard input."""
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def stderr(self):
        with open(self._stderr_path, errors="replace") as file:
            return file.read()

    def close(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.stdin.close()
        self.popen.wait()
        os.close(self._ready)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _let_be_looked_at():
    """In the child: let the kernel write a core, and let a debugger that is not the parent attach (Yama)."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    pr_set_ptracer, anyone = 0x59616D61, ctypes.c_ulong(-1)
    ctypes.CDLL(None).prctl(pr_set_ptracer, anyone, 0, 0, 0)


def start_process(command, **options):
    """Start any program, and wait until it is ready."""
    process = Process(command, **options)
    try:
        process.first_line = process.ready()
    except BaseException:
        process.close()
        raise
    return process


def start_traced_process(python, script, arguments=(), frames=1, preload=False, environment=None, folder=None):
    """Start the script at this path under `python -m tracemortem`, or with the tracer preloaded, and wait until it is
    ready. `process.first_line` is the line that it wrote.
    """
    variables = dict(environment or {})
    if preload:
        variables.update(LD_PRELOAD=TRACER, TRACEMORTEM=str(frames))
        command = [python, script]
    else:
        variables.update(PYTHONPATH=PACKAGE_PATH)
        command = [python, "-m", "tracemortem", "-f", frames, script]
    return start_process(command + list(arguments), environment=variables, folder=folder)


# -- cores


def run_preloaded(python, code, frames=5):
    """Run this code in a Python with the tracer preloaded, to its end. Returns a CompletedProcess, of bytes."""
    environment = dict(os.environ, LD_PRELOAD=TRACER, TRACEMORTEM=str(frames))
    command = [python, "-c", code]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)


def gcore(pid, path):
    """Let gdb write a core of a live process, which then goes on. Returns the path."""
    run = subprocess.run(
        [GDB, "-nx", "-batch", "-readnever", "-p", str(pid), "-ex", "gcore %s" % path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
    )
    assert os.path.exists(path), run.stdout.decode(errors="replace")
    return str(path)


def kernel_core(process, path):
    """Abort the process and take the kernel's core of it. If the kernel passes cores to another program or writes none,
    gdb writes the core. Returns which one did, "kernel" or "gcore"."""

    def end():
        process.popen.send_signal(signal.SIGABRT)
        process.popen.wait(PATIENCE)

    if kernel_writes_cores():
        take_kernel_core(process.folder, end, path)
        return "kernel"
    gcore(process.pid, path)
    end()
    return "gcore"


def kernel_writes_cores():
    """Whether the kernel writes cores to files."""
    return not _core_pattern().startswith("|") and resource.getrlimit(resource.RLIMIT_CORE)[1] != 0


def _core_pattern():
    with open("/proc/sys/kernel/core_pattern") as file:
        return file.read().strip()


def take_kernel_core(folder, end, path):
    """Kill a process of this folder by `end()`, which returns when it is dead, and move the kernel's core to `path`."""
    pattern, folder = _core_pattern(), os.path.realpath(str(folder))
    before = set(_cores(pattern, folder))
    end()
    found = [core for core in _cores(pattern, folder) if core not in before]
    assert found, "the kernel wrote no core by the pattern %s in %s" % (pattern, folder)
    shutil.move(max(found, key=os.path.getmtime), str(path))


def _cores(pattern, folder):
    pattern = re.sub(r"%.", "*", os.path.join(folder, pattern))
    return glob.glob(pattern) + glob.glob(pattern + ".*[0-9]")


# -- debuggers

_options = {"gdb": [], "lldb": []}


def save_time():
    """From now on, start the debuggers so that they spend less time on Python's debug information: gdb keeps an index of
    it for the next run, and lldb reads what is asked for. `make test-all` starts them as users do."""
    cache = ["set index-cache directory %s" % os.path.join(BUILD, "gdb-index"), "set index-cache enabled on"]
    _options["gdb"] = [word for setting in cache for word in ("-iex", setting)]
    _options["lldb"] = ["-O", "settings set target.preload-symbols false"]


def run_debugger(debugger, commands, environment=None, **options):
    """Run commands of "gdb" or "lldb" as a script, which ends at the first command that fails.

    Options: what to look at (`pid`, or `core` and `program`), and `load`: False runs without the tm- commands.
    """
    with command_line(debugger, commands, **options) as words:
        run = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, **(environment or {})),
            timeout=PATIENCE,
        )
    return Run(run.returncode, run.stdout.decode(errors="surrogateescape"), run.stderr.decode(errors="surrogateescape"))


def run_gdb(commands, **options):
    """As `gdb -batch -x` runs a script."""
    return run_debugger("gdb", commands, **options)


def run_lldb(commands, **options):
    """As `lldb -b -o` runs commands."""
    return run_debugger("lldb", commands, **options)


@contextlib.contextmanager
def command_line(debugger, commands, pid=None, core=None, program=None, load=True):
    """The command line that runs these commands in the debugger."""
    if debugger == "lldb":
        words = [LLDB, "-x", "-b"] + _options[debugger]
        words += ["-p", str(pid)] if pid else []
        words += ["-c", str(core)] if core else []
        words += [str(program)] if program and not pid else []
        for command in (["command script import %s" % TM_LLDB] if load else []) + list(commands):
            words += ["-o", command]
        yield words
        return
    words = [GDB, "-nx", "-batch"] + _options[debugger]
    words += ["-p", str(pid)] if pid else []
    words += [str(program)] if program and not pid else []
    words += ["-c", str(core)] if core else []
    with tempfile.TemporaryDirectory(prefix="tm-test-") as folder:
        script = os.path.join(folder, "script.gdb")
        with open(script, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(line + "\n" for line in (["source %s" % TM_GDB] if load else []) + list(commands))
        yield words + ["-x", script]


def answers(debugger, commands, private=False, **options):
    """What each of these commands printed, exactly, on its standard output; none of them may fail.

    Without `private` the answers lack what they say about private memory. A process and its core differ in it, and a
    debugger that attaches changes it: it writes breakpoints.
    """
    marker = "@@ answer %d @@"
    print_marker = {"gdb": "echo %s\\n", "lldb": "script print('%s')"}[debugger]
    lines = [print_marker % marker % 0]
    for number, command in enumerate(commands, 1):
        lines += [command, print_marker % marker % number]
    run = run_debugger(debugger, lines, **options)
    assert run.status == 0, "%s: status %d\n%s%s" % (debugger, run.status, run.stdout, run.stderr)
    # [what came before, number, text, number, text, …]
    parts = re.split("^%s\n" % marker.replace("%d", r"(\d+)"), run.stdout, flags=re.MULTILINE)
    assert parts[1::2] == list(map(str, range(len(commands) + 1))), run.stdout + run.stderr
    texts = parts[2:-1:2]
    texts = [_without_echo(text) if debugger == "lldb" else text for text in texts]
    return texts if private else list(map(without_private, texts))


def without_private(text):
    """An answer without what it says about private memory."""
    text = re.sub(r"^(Private memory: |private memory: +)\S.*\n", "", text, flags=re.MULTILINE)
    return re.sub(r'"private(_old)?": \{[^}]*\}, ', "", text)


def _without_echo(text):
    """lldb under -b repeats each command line."""
    lines = text.splitlines(keepends=True)
    assert lines[0].startswith("(lldb) ") and lines[-1].startswith("(lldb) "), text
    return "".join(lines[1:-1])


def lldb_asks_commands():
    """Whether this lldb asks commands what completes their words. It splits their lines then."""
    version = subprocess.run([LLDB, "--version"], stdout=subprocess.PIPE, universal_newlines=True).stdout
    number = re.search(r"version (\d+)", version)
    return bool(number) and int(number.group(1)) >= 21


# -- gdbserver

CONNECT = {"gdb": ["set sysroot /", "target remote localhost:%s"], "lldb": ["gdb-remote %s"]}  # the port goes in


@contextlib.contextmanager
def served(pid):
    """Let GNU's gdbserver stop the process, and serve one client. Yields the port."""
    if not shutil.which("gdbserver"):
        import pytest  # programs that have none use this module too

        pytest.skip("no gdbserver")
    words = ["gdbserver", "--once", "--attach", "localhost:0", str(pid)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, universal_newlines=True) as server:
        try:
            lines = []
            port = None
            while not port:
                lines.append(server.stderr.readline())
                assert lines[-1], lines
                port = re.match(r"Listening on port (\d+)$", lines[-1])
            yield port.group(1)
        finally:
            server.kill()
