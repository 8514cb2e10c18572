"""A worker of a real gunicorn in a control group of 160 MB, which the kernel kills because no memory is left, leaves a file that says
which line leaked: the same, byte for byte, as what was said just before, while SIGSTOP held the worker.
"""

import contextlib
import glob
import http.client
import os
import shutil
import signal
import socket
import subprocess
import time

import debuggers
import pytest
from cli_command import COMMAND, run
from selection import thorough

pytestmark = thorough

SYSTEMS = "/usr/bin/python3"
LIMIT = 160 << 20
HERE = os.path.dirname(os.path.realpath(__file__))
LINE = next(number for number, line in enumerate(open(os.path.join(HERE, "leak.py")), 1) if "bytes(4000)" in line)


class Group:
    """A control group with a limit of memory, of the first or the second version."""

    def __init__(self):
        with open("/proc/self/cgroup") as file:
            paths = dict(line.rstrip("\n").split(":", 2)[1:] for line in file)
        candidates = [("/sys/fs/cgroup/memory" + paths.get("memory", "/none"), "memory.limit_in_bytes")]
        candidates.append(("/sys/fs/cgroup" + paths.get("", "/none"), "memory.max"))
        for parent, limit in candidates:
            self.path = os.path.join(parent, "tracemortem-%d" % os.getpid())
            with contextlib.suppress(OSError):
                os.mkdir(self.path)
                try:
                    self._write(limit, LIMIT)
                    with contextlib.suppress(OSError):
                        self._write("memory.swap.max", 0)
                    return
                except OSError:
                    os.rmdir(self.path)
        pytest.skip("no control group with a limit of memory can be made here")

    def _write(self, name, value):
        with open(os.path.join(self.path, name), "w") as file:
            file.write(str(value))

    def enter(self):
        """For the child that is to be in the group."""
        self._write("cgroup.procs", os.getpid())

    def kills(self):
        for name in ("memory.oom_control", "memory.events"):
            with contextlib.suppress(OSError), open(os.path.join(self.path, name)) as file:
                counts = dict(line.split() for line in file)
                return int(counts.get("oom_kill", 0))
        return 0

    def close(self):
        end = time.monotonic() + debuggers.PATIENCE
        while True:
            try:
                return os.rmdir(self.path)
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.1)


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def ask(path, size):
    """Let the application keep so many bytes: the worker's id, and the address of an object that it keeps."""
    connection = Unix(path)
    try:
        connection.request("GET", "/?%d" % size)
        return tuple(map(int, connection.getresponse().read().split()))
    finally:
        connection.close()


def until(condition, what):
    end = time.monotonic() + debuggers.PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def state_of(pid):
    with contextlib.suppress(OSError), open("/proc/%d/stat" % pid) as file:
        return file.read().rpartition(")")[2].split()[0]
    return "gone"


def hold(pid):
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state_of(pid) == "T", "it does not stop")


@contextlib.contextmanager
def serving(group, folder):
    """gunicorn with one worker, traced and recorded, in the group. Yields the process id of its master."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    words = [COMMAND, "run", "-f", "10", "-o", str(folder), SYSTEMS, "-m", "gunicorn", "--workers", "1"]
    words += ["--timeout", "3600", "--bind", "unix:%s" % (folder / "socket"), "--chdir", HERE, "leak:application"]
    with open(str(folder / "log"), "wb") as log:
        master = subprocess.Popen(
            words, env=environment, stdout=log, stderr=log, preexec_fn=group.enter, start_new_session=True
        )
    try:
        yield master.pid
    finally:
        os.killpg(master.pid, signal.SIGKILL)
        master.wait()


@pytest.fixture
def group():
    group = Group()
    yield group
    group.close()


def use_up(group, victim):
    """Allocate in the group until the kernel kills its largest process."""
    code = "import time\nkept = []\nwhile True:\n    kept.append(bytearray(1 << 20))\n    time.sleep(0.01)\n"
    with subprocess.Popen([SYSTEMS, "-c", code], preexec_fn=group.enter) as other:
        try:
            until(lambda: state_of(victim) in ("Z", "gone") or other.poll() is not None, "the kernel kills nobody")
        finally:
            other.kill()


@pytest.mark.skipif(
    subprocess.call([SYSTEMS, "-c", "import gunicorn"], stderr=subprocess.DEVNULL) != 0, reason="no gunicorn"
)
def test_a_worker_killed_when_memory_ran_out_says_which_line_leaked(group, tmp_path):
    with serving(group, tmp_path) as master:
        until(lambda: (tmp_path / "socket").exists(), "gunicorn does not start")
        path = str(tmp_path / "socket")
        worker, _ = ask(path, 10 << 20)
        (file,) = glob.glob(str(tmp_path / ("*-%d.tm-core" % worker)))
        (masters,) = glob.glob(str(tmp_path / ("*-%d.tm-core" % master)))
        hold(worker)
        earlier = shutil.copy(file, str(tmp_path / "earlier.tm-core"))
        os.kill(worker, signal.SIGCONT)
        for _ in range(7):
            _, address = ask(path, 10 << 20)
        hold(master)
        hold(worker)

        lines = [
            "tm-top -n 3",
            "tm-top traceback -n 1",
            "tm-traceback 0x%x" % address,
            "tm-diff %s %s -n 3" % (masters, file),
            "tm-diff %s %s -n 3 --json" % (earlier, file),
        ]

        def told():
            targets = [[] if line.startswith("tm-diff") else [file] for line in lines]
            outcomes = [run(line.split()[0][3:], *(where + line.split()[1:])) for line, where in zip(lines, targets)]
            assert all(outcome.status == 0 for outcome in outcomes), outcomes
            return [outcome.stdout for outcome in outcomes]

        before = told()
        assert before[0].startswith("%s/leak.py:%d: size=8" % (HERE, LINE)), before[0]
        assert 'leak.py", line %d, in application' % LINE in before[2] or "<listcomp>" in before[2]
        assert before[3].startswith("%s/leak.py:%d: size=8" % (HERE, LINE)) and "(+8" in before[3]
        use_up(group, worker)
        assert state_of(worker) in ("Z", "gone") and group.kills() >= 1
        assert told() == before
        assert "died: no end is recorded" in run("info", file).stdout
        for debugger in ("gdb", "lldb"):
            shown = debuggers.answers(debugger, lines, core=file)
            assert shown == before
