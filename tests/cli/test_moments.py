"""Processes that run while they are read: an answer that is not of one moment says so, and --stop holds them still.

Strategy: one program allocates without pause, another one waits, a third cannot be interrupted. The first one is still,
too, while the kernel runs other programs: what must be seen of a program that moves is asked for until it is seen.
"""

import json
import os
import re
import signal
import subprocess
import time

import debuggers
import pytest
from cli_command import COMMAND, run
from selection import thorough

pytestmark = thorough

BUSY = """import os, threading
kept = {}
def work():
    number = 0
    while True:
        number += 1
        kept[number % 5000] = [number]
threading.Thread(target=work, daemon=True).start()
while True:
    os.write(int(os.environ["TM_READY"]), b"%d\\n" % len(kept))
    import sys
    if not sys.stdin.readline():
        break
"""
WAITING = "import os, sys\nkept = [bytes(999) for _ in range(77)]\nos.write(int(os.environ['TM_READY']), b'x\\n')\nsys.stdin.readline()\n"
MOVING = (
    "Read while the process ran: lines and sizes are right, but counts and totals may be off by what it allocated or "
    "freed meanwhile\n"
)
HELD = r"tracemortem: the process %d was held still for (\d+\.\d) ms\n"


@pytest.fixture(scope="module")
def busy(python, tmp_path_factory):
    script = tmp_path_factory.mktemp("busy") / "busy.py"
    script.write_text(BUSY)
    with debuggers.start_traced_process(python, script) as process:
        yield process


@pytest.fixture(scope="module")
def stock(python):
    command = [python, "-X", "tracemalloc=3", "-c", WAITING]
    with debuggers.start_process(command) as process:
        process.python = python
        yield process


@pytest.fixture(scope="module")
def stuck(tmp_path_factory):
    program = tmp_path_factory.mktemp("stuck") / "waits_in_vfork"
    source = os.path.join(os.path.dirname(__file__), "waits_in_vfork.c")
    subprocess.run(["gcc", "-o", str(program), source], check=True)
    with debuggers.start_process([str(program)]) as process:
        yield process


def test_a_process_that_waits_is_read_in_one_moment(service):
    assert MOVING not in run("top", service.pid).stdout
    assert "read_while_running" not in json.loads(run("top", service.pid, "--json").stdout)


def until(condition, *words):
    """The first outcome of this command for which the condition holds."""
    end = time.monotonic() + debuggers.PATIENCE
    while True:
        outcome = run(*words)
        if condition(outcome):
            return outcome
        assert time.monotonic() < end, outcome


def test_a_process_that_never_pauses_is_read_and_the_answer_says_so(busy):
    outcome = until(lambda outcome: outcome.stdout.endswith(MOVING), "top", busy.pid)
    assert (outcome.status, outcome.stderr) == (0, "") and "size=" in outcome.stdout
    outcome = until(lambda outcome: "read_while_running" in outcome.stdout, "info", busy.pid, "--json")
    assert json.loads(outcome.stdout)["read_while_running"] is True
    busy.tell()
    busy.ready()  # it goes on


def test_a_saved_snapshot_of_a_running_process_loads(busy, tmp_path, python):
    path = tmp_path / "running.snapshot"
    outcome = run("save", busy.pid, path)
    assert outcome.status == 0
    code = "import sys, tracemalloc; print(len(tracemalloc.Snapshot.load(sys.argv[1]).traces) > 100)"
    assert subprocess.run([python, "-c", code, str(path)], stdout=subprocess.PIPE).stdout == b"True\n"


def test_a_process_that_is_held_is_read_in_one_moment_and_goes_on(busy):
    outcome = run("verify", busy.pid, "--stop", "--max-stop", "60s", "--json")
    assert outcome.status == 0, outcome
    assert re.fullmatch(HELD % busy.pid, outcome.stderr) and MOVING not in outcome.stdout
    busy.tell()
    busy.ready()


def test_consistency_needs_a_still_process(busy):
    outcome = until(lambda outcome: outcome.status != 0, "verify", busy.pid)
    assert outcome.status == 1 and outcome.stdout == "" and "Add --stop" in outcome.stderr


def test_a_process_is_let_go_in_time(busy):
    outcome = run("top", busy.pid, "--stop", "--max-stop", "0.001ms")
    assert outcome.status in (1, 4) and outcome.stdout == ""
    assert "so the process was let go without it" in outcome.stderr or "is not still in time" in outcome.stderr
    assert "--max-stop 2s" in outcome.stderr
    busy.tell()
    busy.ready()


def test_stock_tables_need_a_still_process(stock):
    outcome = run("top", stock.pid)
    assert outcome.status == 1 and outcome.stdout == "" and "Add --stop" in outcome.stderr
    asked = ["tm-top", "tm-info"]
    by_gdb = debuggers.answers("gdb", asked, pid=stock.pid)
    for line, expected in zip(asked, by_gdb):
        outcome = run(line[3:], stock.pid, "--stop", "--max-stop", "60s")
        assert outcome.status == 0 and re.fullmatch(HELD % stock.pid, outcome.stderr)
        assert debuggers.without_private(outcome.stdout) == expected


def test_a_comparison_holds_both_processes(busy, service):
    outcome = run("diff", busy.pid, service.pid, "--stop", "--max-stop", "60s")
    assert outcome.status == 0 and len(re.findall(HELD % busy.pid + "|" + HELD % service.pid, outcome.stderr)) == 2


def test_a_thread_that_cannot_be_interrupted_is_not_waited_for(stuck):
    outcome = run("top", stuck.pid, "--stop", "--max-stop", "10ms")
    assert outcome.status == 1 and "is not still in time" in outcome.stderr
    many = run("info", "--children", stuck.pid, "--stop", "--max-stop", "10ms")
    assert many.status == 1 and many.stdout == "" and "is not still in time" in many.stderr
    assert stuck.popen.poll() is None and tracer_of(stuck.pid) == 0


def test_ctrl_c_ends_the_waiting_by_the_signal(stuck):
    with subprocess.Popen(
        [COMMAND, "top", str(stuck.pid), "--stop", "--max-stop", "1h"], stderr=subprocess.PIPE
    ) as process:
        while not tracer_of(stuck.pid):  # it has begun
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=debuggers.PATIENCE)
    assert process.returncode == -signal.SIGINT and stuck.popen.poll() is None


def tracer_of(pid):
    with open("/proc/%d/status" % pid) as file:
        return int(re.search(r"^TracerPid:\s*(\d+)$", file.read(), re.MULTILINE).group(1))
