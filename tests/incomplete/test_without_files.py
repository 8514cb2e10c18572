"""Programs without symbols, without files, in containers, with tables of other processes: the right table is found."""

import json
import os
import re
import shutil
import subprocess
import sys

import asking
import cores
import debuggers
import pytest
import subsets
from selection import light

FULL = bool(os.environ.get("TM_TEST_FULL"))
HERE = os.path.dirname(os.path.realpath(__file__))
TOP = "tm-top lineno --json -n 1000000"
QUESTIONS = [subsets.INFO, TOP]


def program(name):
    return os.path.join(HERE, "programs", name)


def alive(debugger, pid, commands):
    return debuggers.answers(debugger, commands, pid=pid)


def everywhere(process, core, asked=debuggers.DEBUGGERS):
    """[(info, top)] of a live process and of its core without other files, in each debugger. Makes a missing core."""
    if not os.path.exists(str(core)):
        debuggers.gcore(process.pid, core)
    said = [alive(debugger, process.pid, QUESTIONS) for debugger in asked]
    for debugger in asked:
        (answers,) = asking.ask(debugger, [(core, QUESTIONS)])
        said.append([answer.output for answer in answers])
    return [(subsets.parse(info), top) for info, top in said]


class Copies:
    """Copies of the interpreter and the tracer, stripped, which a test can remove."""

    def __init__(self, folder):
        self.python = str(folder / "python3")
        self.package = str(folder / "package")
        self.tracer = os.path.join(self.package, "tracemortem", "_tracer.abi3.so")
        shutil.copy(os.path.realpath(sys.executable), self.python)
        shutil.copytree(os.path.join(debuggers.PACKAGE_PATH, "tracemortem"), os.path.join(self.package, "tracemortem"))
        for name in (self.python, self.tracer):
            subprocess.run(["strip", "--strip-all", name], check=True)
        self.folder = folder

    def start(self, script):
        return debuggers.start_process(
            [self.python, "-m", "tracemortem", "-f", "5", script],
            environment={"PYTHONPATH": self.package, "PYTHONHOME": sys.base_prefix},
            folder=self.folder,
        )

    def rebuild_tracer(self):
        """Another library with the tracer's name. Its symbol is at another address and holds an address."""
        source = self.folder / "other.c"
        source.write_text("unsigned long before[5000] = {1}, tracemortem_root = 0x7f0000100000, after = 1;")
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(self.folder / "other.so"), str(source)], check=True)
        os.replace(str(self.folder / "other.so"), self.tracer)

    def remove(self):
        shutil.rmtree(self.package)
        os.unlink(self.python)


@pytest.fixture
def copies(tmp_path):
    return Copies(tmp_path)


@light(lambda asked: asked == ["gdb"])
@pytest.mark.parametrize("asked", [["gdb"], debuggers.DEBUGGERS], ids=["gdb", "both"])
def test_stripped_then_rebuilt_then_gone_it_says_the_same(copies, tmp_path, asked):
    with copies.start(program("holder.py")) as process:
        stripped = everywhere(process, tmp_path / "core", asked)
        copies.rebuild_tracer()
        rebuilt = everywhere(process, tmp_path / "core", asked)
        copies.remove()
        gone = everywhere(process, tmp_path / "core", asked)
    assert len({top for said in (stripped, rebuilt, gone) for _, top in said}) == 1
    assert len({info["table_address"] for said in (stripped, rebuilt, gone) for info, _ in said}) == 1
    assert {info["found_by"] for info, _ in rebuilt + gone} == {"search"}
    assert {info["found_by"] for info, _ in stripped[: len(asked)]} == {"symbol"}


# -- decoys


@pytest.fixture
def decoys(copies):
    """A process full of decoys, whose symbols cannot be read. `root` is the address of the real table."""
    with copies.start(program("decoys.py")) as process:
        process.root = int(process.first_line)
        copies.remove()
        yield process


def add_decoy(process, owner):
    process.tell("process %d" % owner)
    return int(process.ready())


def test_decoys_are_refused(decoys, tmp_path):
    for info, _ in everywhere(decoys, tmp_path / "core"):
        assert (info["table_address"], info["found_by"]) == (decoys.root, "search")


def test_of_two_tables_the_one_with_the_processs_id_is_taken(decoys, tmp_path):
    assert add_decoy(decoys, decoys.pid + 1) < decoys.root
    for info, _ in everywhere(decoys, tmp_path / "core"):
        assert (info["table_address"], info["pid"]) == (decoys.root, decoys.pid)
    # The core's notes show that a mapped file is not the process's table. Without notes, the process id shows it.
    core = cores.Core(tmp_path / "core").without_note(tmp_path / "no-files", cores.NT_FILE)
    for debugger in debuggers.DEBUGGERS:
        (answers,) = asking.ask(debugger, [(core, [subsets.INFO])])
        assert subsets.parse(answers[0].output)["table_address"] == decoys.root


def test_two_tables_of_one_process_are_both_named_and_none_is_read(decoys, tmp_path):
    decoy = add_decoy(decoys, decoys.pid)
    core = debuggers.gcore(decoys.pid, tmp_path / "core")
    for debugger in debuggers.DEBUGGERS:
        live = debuggers.run_debugger(debugger, ["tm-top"], pid=decoys.pid)
        (answers,) = asking.ask(debugger, [(core, ["tm-top"])])
        assert live.status == 1
        for message in (live.stderr, answers[0].error):
            assert "there are 2 trace tables" in message and "tracemortem_root" in message
            for place in (decoy, decoys.root):
                assert "at 0x%x, of process %d" % (place, decoys.pid) in message


def test_the_symbol_tells_two_tables_of_one_process_apart(copies):
    with copies.start(program("decoys.py")) as process:
        add_decoy(process, process.pid)
        for debugger in debuggers.DEBUGGERS:
            info = json.loads(alive(debugger, process.pid, [subsets.INFO])[0])
            assert (info["table_address"], info["found_by"]) == (int(process.first_line), "symbol")


# -- much memory


LARGE = """import os, sys
keep = [bytearray(b"%02d" % (n % 100)) * (1 << 23) for n in range(int(sys.argv[1]))]
os.write(int(os.environ["TM_READY"]), b"ready\\n")
sys.stdin.readline()
"""
COUNT_BYTES = {
    "gdb": "python exec(%r)",
    "lldb": "script exec(%r)",
}
COUNTING = """
from tracemortem.debugger import engine
leave = engine.Target.__exit__
def count(self, *arguments):
    print("read %d bytes" % self.bytes_read())
    leave(self, *arguments)
engine.Target.__exit__ = count
"""


def test_in_a_large_core_little_is_read_to_find_the_table(copies, tmp_path):
    size = 4 << 30 if FULL else 608 << 20
    if shutil.disk_usage(str(tmp_path)).free < 2 * size:
        pytest.skip("a core of %d MiB needs more disk than there is" % (size >> 20))
    script = tmp_path / "large.py"
    script.write_text(LARGE)
    with debuggers.start_process(
        [copies.python, "-m", "tracemortem", script, size >> 24],
        environment={"PYTHONPATH": copies.package, "PYTHONHOME": sys.base_prefix},
    ) as process:
        copies.remove()
        core = debuggers.gcore(process.pid, tmp_path / "core")
    assert os.path.getsize(core) > size
    for debugger in debuggers.DEBUGGERS:
        counted = debuggers.answers(debugger, [COUNT_BYTES[debugger] % COUNTING, subsets.INFO], core=core)[1]
        info = json.loads(re.search(r"^\{.*\}$", counted, re.MULTILINE).group())
        assert info["found_by"] == "search" and info["traced_memory"] > size
        # 40 bytes for each MiB, plus the sites.
        assert int(re.search(r"read (\d+) bytes", counted).group(1)) < 2 << 20
    os.unlink(core)


# -- containers


CONTAINER = """set -e
mount --make-rprivate /
mount --bind /usr {root}/usr
mount -t proc proc {root}/proc
exec chroot {root} /usr/bin/env -i PATH=/usr/bin TM_READY=$TM_READY PYTHONPATH=/app {python} -m tracemortem -f 5 /app/here.py
"""


def can_make_namespaces():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"]).returncode == 0


@pytest.fixture
def container(tmp_path):
    """A traced program in its own pid and mount namespaces. Its files exist only there. `inside` is its pid outside."""
    if not can_make_namespaces() or not os.path.realpath(sys.executable).startswith("/usr/"):
        pytest.skip("namespaces need root, and a Python below /usr")
    root = tmp_path / "root"
    for name in ("usr", "proc", "app"):
        (root / name).mkdir(parents=True)
    for name in ("lib", "lib64", "bin"):
        if os.path.islink("/" + name):
            os.symlink(os.readlink("/" + name), str(root / name))
    shutil.copytree(os.path.join(debuggers.PACKAGE_PATH, "tracemortem"), str(root / "app" / "tracemortem"))
    shutil.copy(program("holder.py"), str(root / "app" / "here.py"))
    script = tmp_path / "start.sh"
    script.write_text(CONTAINER.format(root=root, python=os.path.realpath(sys.executable)))
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", script]
    with debuggers.start_process(words, folder=tmp_path) as process:
        with open("/proc/%d/task/%d/children" % (process.pid, process.pid)) as file:
            process.inside = int(file.read().split()[0])
        yield process


def test_a_process_in_a_container_is_read_from_outside(container, tmp_path):
    said = []
    for debugger in debuggers.DEBUGGERS:
        info, top, text = alive(debugger, container.inside, QUESTIONS + ["tm-top -n 1"])
        said.append(top)
        assert json.loads(info)["pid"] == 1  # as it sees itself
        # The source file is in the container only, and its line is shown.
        assert not os.path.exists("/app/here.py") and "/app/here.py:" in text and "large = [" in text
    core = debuggers.gcore(container.inside, tmp_path / "core")
    for debugger in debuggers.DEBUGGERS:
        (answers,) = asking.ask(debugger, [(core, [TOP])])
        said.append(answers[0].output)
    assert len(set(said)) == 1
