"""Many processes at once: those that an option selects, a row for each, and the sum."""

import json
import os
import re
import signal
import subprocess

import debuggers
import pytest
from cli_command import COMMAND, run
from selection import thorough

pytestmark = thorough

MASTER = """import os, sys
children = []
for number in range(3):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        kept = bytes(1000000 * (number + 1))
        os.write(write, b"x")
        sys.stdin.readline()
        os._exit(0)
    os.read(read, 1)
    children.append(pid)
os.write(int(os.environ["TM_READY"]), (" ".join(map(str, children)) + "\\n").encode())
sys.stdin.readline()
"""


@pytest.fixture(scope="module")
def master(python, tmp_path_factory):
    """A process with three children; all four are traced."""
    script = tmp_path_factory.mktemp("master") / "tm_shop_master"
    script.write_text(MASTER)
    with debuggers.start_traced_process(python, script) as process:
        process.children = sorted(map(int, process.first_line.split()))
        yield process


def rows(text):
    """{pid or "sum": the row's other columns}"""
    table = re.split(r"\n\n|\n(?= *\d+  \S+.*: )", text)[0].splitlines()
    assert table[0].split() == ["process", "traced", "peak", "blocks", "private", "command", "line"]
    return {line.split()[0]: line.split()[1:] for line in table[1:]}


def test_children(master):
    outcome = run("info", "--children", master.pid)
    assert (outcome.status, outcome.stderr) == (0, "")
    table = rows(outcome.stdout)
    assert list(table) == [str(pid) for pid in sorted([master.pid] + master.children)] + ["sum"]
    assert outcome.stdout.endswith("4 of 4 processes are traced\n")
    answer = json.loads(run("info", "--children", master.pid, "--json").stdout)
    assert [row["pid"] for row in answer["processes"]] == sorted([master.pid] + master.children)
    for key in ("traced_memory", "blocks"):
        assert answer["sum"][key] == sum(row["info"][key] for row in answer["processes"])
    assert answer["sum"]["processes"] == 4
    for row in answer["processes"]:
        alone = json.loads(run("info", row["pid"], "--json").stdout)
        assert row["info"]["traced_memory"] == alone["traced_memory"] and "tm_shop_master" in row["title"]


def test_the_name_of_a_script_and_of_a_program(master, service):
    pids = [str(pid) for pid in sorted([master.pid] + master.children)]
    assert list(rows(run("info", "--name", "tm_shop_master").stdout))[:-1] == pids
    with open("/proc/%d/comm" % service.pid) as file:
        assert str(service.pid) in rows(run("info", "--name", file.read().strip()).stdout)
    nothing = run("info", "--name", "no_such_program")
    assert nothing.status == 4 and nothing.stdout == ""


def test_each_has_its_own_answer(master):
    outcome = run("top", "lineno", "-n", 1, "--children", master.pid)
    assert outcome.status == 0
    for number, pid in enumerate(master.children, 1):
        answer = outcome.stdout.split("\nprocess %d: " % pid)[1].split("\nprocess ")[0]
        assert "tm_shop_master:7: size=%d KiB" % round(1000000 * number / 1024) in answer
        assert run("top", pid, "lineno", "-n", 1).stdout.rstrip() == answer.split("\n", 1)[1].rstrip()
    parsed = json.loads(run("top", "--json", "--children", master.pid).stdout)
    assert [row["answer"]["command"] for row in parsed["processes"]] == ["tm-top"] * 4


def test_untraced_processes_are_named_with_the_reason(python):
    code = "import os, sys; os.write(int(os.environ['TM_READY']), b'x\\n'); sys.stdin.readline()"
    with debuggers.start_process([python, "-c", code]) as process:
        outcome = run("info", "--children", process.pid)
        assert outcome.status == 3 and "0 of 1 processes are traced" in outcome.stdout
        assert re.search(r"^ *%d  .*: this Python \S+ records nothing" % process.pid, outcome.stdout, re.MULTILINE)


def test_a_control_group(master, tmp_path):
    """A folder like those of the control groups: this machine may have none that a test can use."""
    below = tmp_path / "shop" / "workers"
    below.mkdir(parents=True)
    (tmp_path / "shop" / "cgroup.procs").write_text("%d\n" % master.pid)
    (below / "cgroup.procs").write_text("".join("%d\n" % pid for pid in master.children))
    pids = [str(pid) for pid in sorted([master.pid] + master.children)]
    assert list(rows(run("info", "--cgroup", tmp_path / "shop").stdout))[:-1] == pids
    assert list(rows(run("info", "--cgroup", "shop/workers", cwd=str(tmp_path)).stdout))[:-1] == pids[1:]
    with open("/proc/self/cgroup") as file:
        path = file.read().strip().split("0::")[-1]
    if os.path.exists("/sys/fs/cgroup%s/cgroup.procs" % path):
        assert str(master.pid) in rows(run("info", "--cgroup", path).stdout)


def test_wrong_uses():
    assert run("info", "--cgroup", "/no/such/group").status == 4
    assert run("info", "--children", "x").status == 2
    assert run("info", "--children", "999999999").status == 4
    for words in (["save", "--children", "1", "x"], ["info", "--children", "1", "--output", "x"]):
        outcome = run(*words)
        assert outcome.status == 2 and outcome.stdout == "" and not os.path.exists("x")


# -- again and again


def test_snapshots_are_saved_until_the_process_ends_and_the_oldest_are_removed(python, tmp_path):
    code = "import os, sys; kept = bytes(5432100); os.write(int(os.environ['TM_READY']), b'x\\n'); sys.stdin.readline()"
    environment = {"LD_PRELOAD": debuggers.TRACER, "TRACEMORTEM": "1"}
    with debuggers.start_process([python, "-c", code], environment=environment) as process:
        words = [COMMAND, "save", str(process.pid), str(tmp_path), "--every", "1ms", "--keep", "3"]
        words += ["--note", "version=1.2", "--note", "who=me"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
            names = [command.stdout.readline().decode().rstrip() for _ in range(8)]
            process.popen.kill()
            process.popen.wait()
            rest, message = command.communicate(timeout=debuggers.PATIENCE)
        names += rest.decode().split()
    assert command.returncode == 0 and ("has ended" in message.decode() or "there is no process" in message.decode())
    left = sorted(os.listdir(str(tmp_path)))
    newest = [os.path.basename(name) for name in names[-3:]]
    assert left == sorted(newest + [name.replace(".snapshot", ".json") for name in newest])
    facts = json.loads((tmp_path / newest[0].replace(".snapshot", ".json")).read_text())
    assert facts["pid"] == process.pid and facts["notes"] == {"version": "1.2", "who": "me"}
    assert facts["resident"] > 1000000 and "bytes(5432100)" in facts["title"]
    shown = run("top", tmp_path / newest[0], "--include", "<string>", "-n", 1).stdout
    assert re.match(r"<string>:1: size=53[0-3]\d KiB", shown)


def test_ctrl_c_ends_it(master, tmp_path):
    words = [COMMAND, "save", "--children", str(master.pid), str(tmp_path), "--every", "1h"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        names = [command.stdout.readline().decode().rstrip() for _ in range(4)]
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=debuggers.PATIENCE)
    assert command.returncode == -signal.SIGINT and all(map(os.path.exists, names))


@pytest.mark.parametrize(
    "words, message",
    [
        (["save", "1", "/nothing", "--every", "1s"], "cannot write to the folder /nothing: No such file"),
        (["save", "1", "--every", "1s"], "--every needs one folder"),
        (["save", "./core", "/tmp", "--every", "1s"], "--every is for processes"),
        (["top", "1", "--every", "1s"], "--every is for save"),
        (["save", "1", "/tmp", "--every", "soon"], '"soon" is not a time'),
        (["save", "1", "/tmp", "--every", "1s", "--keep", "0"], '"0" is not a number of snapshots'),
        (["save", "1", "/tmp", "--every", "1s", "--note", "x"], '"x" is not KEY=VALUE'),
    ],
)
def test_wrong_uses_of_every(words, message):
    outcome = run(*words)
    assert outcome.status in (1, 2) and outcome.stdout == "" and message in outcome.stderr
