"""Memory outside the table: tm-info, tm-top and tm-diff say how much there is, and a difference says what grew."""

import json

import debuggers
import pytest
from e2e_programs import program

MIB = 1 << 20


@pytest.fixture(scope="module")
def grown(python, tmp_path_factory):
    """A process that has grown, with a core and a snapshot of before."""
    folder = tmp_path_factory.mktemp("private")
    with debuggers.start_traced_process(python, program("native_growth.py"), frames=5) as process:
        process.python = python
        process.snapshot = folder / "before.snapshot"
        process.before = debuggers.gcore(process.pid, folder / "before.core")
        debuggers.answers("gdb", ["tm-save %s" % process.snapshot], pid=process.pid)
        process.tell()
        assert process.ready() == "after"
        process.after = debuggers.gcore(process.pid, folder / "after.core")
        yield process


def ask(debugger, *commands, **target):
    return debuggers.answers(debugger, commands, private=True, **target)


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
@pytest.mark.parametrize("where", ["live", "core"])
def test_the_whole_is_the_sum_of_its_parts(grown, debugger, where):
    target = {"pid": grown.pid} if where == "live" else {"core": grown.after, "program": grown.python}
    texts = ask(debugger, "tm-info", "tm-top -n 0", "tm-info --json", "tm-top -n 0 --json", **target)
    private = [json.loads(text)["private"] for text in texts[2:]]
    kind = {"live": "resident", "core": "in the core"}[where]
    for text in texts[:2]:
        assert "rivate memory: " in text and " MiB %s: " % kind in text and "the tracer's, " in text
    for found in private:
        assert found["kind"] == kind
        assert found["traced"] > 16 * MIB and found["other"] > 64 * MIB and 0 < found["tracer"] < 16 * MIB
        assert found["size"] == found["traced"] + found["tracer"] + found["other"]
    assert private[0]["size"] == private[1]["size"]


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_difference_shows_growth_that_is_not_traced(grown, debugger):
    command = "tm-diff %s %s -n 0" % (grown.before, grown.after)
    text, answer = ask(debugger, command, command + " --json")
    answer = json.loads(answer)
    growth = {key: answer["private"][key] - answer["private_old"][key] for key in ("size", "traced", "other")}
    assert abs(growth["traced"] - 16 * MIB) < MIB
    assert abs(growth["other"] - 64 * MIB) < 2 * MIB
    assert abs(growth["size"] - 80 * MIB) < 2 * MIB
    (line,) = [line for line in text.splitlines() if line.startswith("Private memory: ")]
    assert line.endswith(" other (tm-diff --memory shows what)") and " in the core: " in line and line.count("(+") == 4


@pytest.mark.parametrize("debugger", debuggers.DEBUGGERS)
def test_a_snapshot_does_not_know_it(grown, debugger):
    live, old, both = ask(
        debugger,
        "tm-diff %s -n 0" % grown.snapshot,
        "tm-diff %s -n 0" % grown.before,
        "tm-diff %s %s -n 0" % (grown.snapshot, grown.snapshot),
        pid=grown.pid,
    )
    assert live.endswith("; unknown of OLD\n")
    assert old.endswith("; OLD is what its core holds, which may include unused pages\n")
    assert "rivate" not in both


def test_a_process_under_stock_tracemalloc_has_the_line_too(python):
    with debuggers.start_process([python, "-X", "tracemalloc=5", program("native_growth.py")]) as process:
        process.tell()
        process.ready()
        (answer,) = ask("gdb", "tm-top -n 0 --json", pid=process.pid)
    private = json.loads(answer)["private"]
    assert private["tracer"] == 0 and private["other"] > 64 * MIB and private["kind"] == "resident"
