"""How much is recorded: lean where the environment starts tracing, full where the program does, or as asked.

Both profiles have the same frames. They differ in the number of all frames of a stack: a lean tracer counts no frame
beyond the frame limit, and says of such a traceback only that it was cut.
"""

import os

import debuggers
import looking
import pytest
import pythons
from e2e_programs import program, run
from selection import is_newest, is_oldest, light

AS_PRELOADED = {"LD_PRELOAD": debuggers.TRACER}
SIZES = {5003: 3, 5005: 5, 5007: 7}  # bytes: frames below the block
LEAN, FULL = "lean", "full"


def totals(python, words, before="", **variables):
    """[{size: total_nframe}] of a program that makes SIZES, prints this, and then traces again by its own start()."""
    outcome = run([python] + words + [program("profiles.py"), before], **variables)
    assert (outcome.returncode, outcome.stderr) == (0, ""), outcome.stderr
    return [eval(line) for line in outcome.stdout.splitlines()]


def counts_frames(python):
    """Whether tracemalloc does."""
    return pythons.probe(python).version >= (3, 9)


def expected(python, profile, limit):
    if not counts_frames(python):
        return dict.fromkeys(SIZES)
    return {size: total if total <= limit or profile == FULL else None for size, total in SIZES.items()}


def launch(way, limit, **variables):
    """(words after the interpreter's name, variables) of a way to trace a script."""
    if way == "preloaded":
        return [], dict(AS_PRELOADED, TRACEMORTEM=str(limit), **variables)
    return ["-m", "tracemortem", "-f", limit], variables


@light(lambda any_python, way: is_newest(any_python) or is_oldest(any_python) and way == "preloaded")
@pytest.mark.parametrize("limit", [1, 5, 25])
@pytest.mark.parametrize("way", ["preloaded", "module"])
def test_the_environment_traces_lean_and_the_program_full(any_python, way, limit):
    words, variables = launch(way, limit)
    assert totals(any_python, words, **variables) == [
        expected(any_python, LEAN, limit),
        expected(any_python, FULL, limit),
    ]


@pytest.mark.parametrize("way", ["preloaded", "module"])
@pytest.mark.parametrize("profile", [LEAN, FULL])
def test_the_profile_is_as_asked(python, way, profile):
    words, variables = launch(way, 5, TRACEMORTEM_DETAIL=profile)
    assert totals(python, words, **variables) == [expected(python, profile, 5)] * 2
    if way == "module":
        words, variables = launch(way, 5)
        words[2:2] = ["--detail", profile]
        now, after = totals(python, words, **variables)
        assert (now, after) == (expected(python, profile, 5), expected(python, FULL, 5))


def test_the_launchers_option_comes_before_the_variable(python):
    words, variables = launch("module", 5, TRACEMORTEM_DETAIL=LEAN)
    words[2:2] = ["--detail=full"]
    assert totals(python, words, **variables) == [
        expected(python, FULL, 5),
        expected(python, LEAN, 5),
    ]


HOOKED = """
import tracemortem
def deep(left): return deep(left - 1) if left else bytes(5003 - len(b""))
kept = deep(9)
print([trace.traceback.total_nframe for trace in tracemortem.take_snapshot().traces if 5003 <= trace.size < 5050])
"""


def test_the_start_up_hook_traces_lean(python):
    with open(os.path.join(debuggers.ROOT, "src", "packaging", "tracemortem.pth")) as hook:
        code = hook.read() + HOOKED
    assert run([python, "-c", code], TRACEMORTEM="5").stdout == "[None]\n"
    assert run([python, "-c", code], TRACEMORTEM="5", TRACEMORTEM_DETAIL=FULL).stdout == "[11]\n"


def test_importing_the_package_changes_nothing(python):
    words, variables = launch("preloaded", 5)
    before = "import tracemortem; tracemortem.install(); tracemortem.start(9)"
    assert totals(python, words, before, **variables)[0] == expected(python, LEAN, 5)


def test_hooks_that_the_program_has_wrapped_record_in_the_profile_of_now(python):
    """Ours stay below its own at a stop, and pass on when tracing starts in the other profile."""
    words, variables = launch("preloaded", 5)
    before = "import _testcapi; _testcapi.set_nomemory(1 << 30, 0)"
    if run([python, "-c", "import _testcapi"]).returncode:
        pytest.skip("this CPython has no _testcapi")
    assert totals(python, words, before, **variables) == [
        expected(python, LEAN, 5),
        expected(python, FULL, 5),
    ]


@light(lambda any_python: is_newest(any_python))
@pytest.mark.parametrize("profile", [LEAN, FULL])
def test_debuggers_say_what_is_not_known(any_python, profile):
    _, variables = launch("preloaded", 5, TRACEMORTEM_DETAIL=profile)
    with debuggers.start_process([any_python, program("profiles.py"), "", "wait"], environment=variables) as process:
        info = looking.answer("tm-info", pid=process.pid)
        traces = looking.answer("tm-traces -n 1000000", pid=process.pid)["traces"]
        found = {trace["size"]: trace for trace in traces if trace["size"] in SIZES}
        commands = ["tm-info"] + ["tm-traceback %d" % found[size]["address"] for size in sorted(SIZES)]
        commands += ["tm-traceback -n 2 %d" % found[5007]["address"], "tm-verify"]
        text, exact, full, cut, two, verified = debuggers.answers("gdb", commands, pid=process.pid)
    assert info["detail"] == profile and ("detail:            %s: " % profile) in text
    knows = profile == FULL and counts_frames(any_python)
    assert {size: trace["total_nframe"] for size, trace in found.items()} == {
        5003: 3,
        5005: 5,
        5007: 7 if knows else None,
    }
    assert "(most recent call last):" in exact and "(most recent call last):" in full
    more = "7" if knows else "more than 5"
    assert "(most recent call last; showing 5 of %s frames):" % more in cut
    assert "(most recent call last; showing 2 of %s frames):" % more in two
    assert "is consistent" in verified
