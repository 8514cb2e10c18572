"""The sampled profile: do estimates from its blocks miss the truth as often as they should, and no more? Is the program's own
tracemalloc as it would be without us?

Everything drawn has a fixed seed. TM_TRIALS in the environment asks for more trials, and `make sampled` prints how often
the truth was within 1, 2 and 3 standard errors.
"""

import json
import math
import os
import re
import subprocess
import sys
import time

import debuggers
import looking
import pytest
import pythons
import scripts
from selection import is_newest, is_oldest, light

HERE = os.path.dirname(os.path.realpath(__file__))
TRIALS = os.path.join(HERE, "programs", "trials.py")
NORMAL = (0.6827, 0.9545, 0.9973)  # within 1, 2 and 3 standard errors


def sampled(period, frames=None, seed=1, **variables):
    """The variables that sample a program; with `frames`, from its launch on."""
    made = {"TRACEMORTEM_DETAIL": "sampled", "TRACEMORTEM_SAMPLE": str(period), "TRACEMORTEM_SEED": str(seed)}
    if frames:
        made.update(LD_PRELOAD=debuggers.TRACER, TRACEMORTEM=str(frames))
    return dict(made, **variables)


def run(python, words, **variables):
    return scripts.run(python, words, PYTHONPATH=debuggers.PACKAGE_PATH, PYTHONHASHSEED="0", **variables)


def print_of(python, code, **variables):
    return run(python, ["-c", code], **variables).stdout


# -- draws


@pytest.fixture(scope="module")
def draws(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("draws") / "draws")
    flags = ["-std=gnu11", "-Wall", "-Werror", "-g", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all"]
    source = os.path.join(HERE, "draws.c")
    include = os.path.join(debuggers.ROOT, "src")
    subprocess.run(["gcc"] + flags + ["-I", include, "-o", path, source, "-lm", "-lpthread"], check=True)
    return path


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_size_is_picked_with_its_chance_and_threads_and_children_draw_their_own(draws, seed):
    done = subprocess.run([draws, str(seed)], stdout=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 0, done.stdout


# -- estimates


def trials(python, case, period, count, seed=1):
    words = [TRIALS, case, count * int(os.environ.get("TM_TRIALS", "1"))]
    return json.loads(run(python, words, **sampled(period, seed=seed)).stdout)


CASES = [
    ("objects", 4096, 40),
    ("resizes", 2048, 40),
    ("threads", 2048, 40),
    ("tracked", 2048, 40),
    ("giants", 1 << 30, 40),
    ("tiny", 256, 40),
    ("forked objects", 4096, 40),
    ("forked resizes", 2048, 40),
    ("forked threads", 2048, 40),
]


@light(lambda any_python, case: is_newest(any_python) and case in ("objects", "resizes", "threads", "forked resizes"))
@pytest.mark.parametrize("case, period, count", CASES)
def test_estimates_are_unbiased_and_their_errors_as_large_as_they_should_be(any_python, case, period, count):
    if case == "tracked" and run(any_python, ["-c", "import _testcapi"], check=False).status:
        pytest.skip("this CPython has no _testcapi")
    if case == "threads" and pythons.is_free_threaded(any_python):
        pytest.skip("every thread is without a lock there")
    if case == "giants" and any_python in {python.path for python in pythons.find_debug()}:
        pytest.skip("a debug build writes to each byte: 100 GiB")
    result = trials(any_python, case, period, count)
    errors = result["errors"]
    count = len(errors)
    mean = sum(errors) / math.sqrt(count)
    square = sum(error * error for error in errors) / count
    shown = ["%.3f" % (within / count) for within in result["within"]]
    print("%s, %d: %d trials, %d samples: within 1, 2, 3 standard errors %s; the normal distribution: %s; mean %+.2f"
          % (case, period, count, result["samples"], ", ".join(shown), ", ".join(map(str, NORMAL)), mean))  # fmt: skip
    # Errors have a standard normal distribution, or nearly. With threads, the draws depend on which of them comes first.
    assert abs(mean) < 4.5, errors
    assert abs(square - 1) < 6 * math.sqrt(2 / count), errors
    for within, share in zip(result["within"], NORMAL):
        assert abs(within - share * count) < 4.5 * math.sqrt(share * (1 - share) * count) + 2, result["within"]


def test_blocks_of_more_than_some_periods_are_always_recorded(python):
    """Of 1 GiB where one byte in 512 KiB is picked, and of 37 bytes where each is picked with 63 %."""
    assert set(trials(python, "giants", 1 << 19, 3)["errors"]) == {0}
    code = (
        "import tracemortem; tracemortem.start()\n"
        "kept = [bytes(n) for n in range(20, 400) for _ in range(20)]; largest = range(20 + 33, 400 + 33)\n"
        "sizes = [trace.size for trace in tracemortem.take_snapshot().traces if trace.traceback[0].lineno == 2]\n"
        "print(len([size for size in sizes if size in largest and size > 60]))"
    )
    assert int(print_of(python, code, **sampled(1))) >= 20 * (400 + 33 - 61)


# -- the program's own tracemalloc

OWN = """
import sys, tracemalloc
print(tracemalloc.is_tracing(), tracemalloc.get_traceback_limit(), tracemalloc.__name__, sys.modules["_tracemalloc"])
tracemalloc.start(7)
kept = [bytes(5000 + n) for n in range(300)]
snapshot = tracemalloc.take_snapshot()
print(sorted((trace.size, len(trace.traceback)) for trace in snapshot.traces if 5000 < trace.size < 6000))
print(tracemalloc.get_object_traceback(kept[7])[0].lineno, tracemalloc.is_tracing(), tracemalloc.get_traceback_limit())
tracemalloc.stop()
print(tracemalloc.is_tracing(), tracemalloc.get_traced_memory())
"""


@pytest.mark.parametrize("more", [{}, {"PYTHONTRACEMALLOC": "3"}, {"PYTHONMALLOC": "debug"}, {"PYTHONDEVMODE": "1"}])
@light(lambda any_python: is_newest(any_python) or is_oldest(any_python))
def test_tracemalloc_in_a_sampled_program_is_as_without_us(any_python, more):
    assert print_of(any_python, OWN, **sampled(2000, 5, **more)) == print_of(any_python, OWN, **more)


BOTH = """
import os, sys
def make(): return [bytes(5000) for n in range(2000)]
def count(): return len([trace for trace in _tracer._get_traces() if trace[1] == 5000 + sys.getsizeof(b"")])
from tracemortem import _tracer
{before}
first = make(); one = count()
import tracemalloc; tracemalloc.start(); second = make(); two = count()
stock = sum(trace[1] == 5000 + sys.getsizeof(b"") for trace in tracemalloc._get_traces())
first.clear(); three = count()
tracemalloc.stop(); second.clear(); four = count()
third = make(); five = count()
print([one, two, three, four, five], stock)
"""


@light(lambda any_python: is_newest(any_python) or is_oldest(any_python))
def test_samples_go_on_below_tracemalloc_and_after_it(any_python):
    counts, stock = re.fullmatch(
        r"\[(.*)\] (\d+)\n", print_of(any_python, BOTH.format(before=""), **sampled(5033, 3))
    ).groups()
    one, two, three, four, five = map(int, counts.split(", "))
    picked = 2000 * -math.expm1(-1)
    assert int(stock) == 2000 and four == 0
    assert all(abs(count - picked) < 120 for count in (one, two - one, three, five)), counts


LATER = """
import sys, tracemalloc
def make(): return [bytes(5000) for n in range(2000)]
def count(): return sum(trace[1] == 5000 + sys.getsizeof(b"") for trace in _tracer._get_traces())
tracemalloc.start()
import tracemortem; from tracemortem import _tracer
tracemortem.start(3)
first = make(); counts = [count()]
stock = sum(trace[1] == 5000 + sys.getsizeof(b"") for trace in tracemalloc._get_traces())
tracemalloc.stop(); counts.append(count())
first.clear(); counts.append(count())
second = make(); counts.append(count())
tracemortem.stop(); second.clear(); tracemortem.start(); third = make(); counts.append(count())
print(*counts, stock)
"""


@light(lambda any_python, detail: is_newest(any_python) or is_oldest(any_python))
@pytest.mark.parametrize("detail", ["sampled", "lean"])
@pytest.mark.parametrize("allocators", ["default", "debug", "malloc"])
def test_tracing_that_began_above_tracemalloc_goes_on_when_that_stops(any_python, detail, allocators):
    variables = sampled(5033, TRACEMORTEM_DETAIL=detail, PYTHONMALLOC=allocators)
    if pythons.is_free_threaded(any_python) and allocators != "default":
        pytest.skip("it has one allocator")
    *counts, stock = map(int, print_of(any_python, LATER, **variables).split())
    one, two, three, four, five = counts
    picked = 2000 * -math.expm1(-1) if detail == "sampled" else 2000
    assert stock == 2000 and one == two and three == 0
    assert all(abs(count - picked) <= (120 if detail == "sampled" else 0) for count in (one, four, five)), counts


# -- how it is asked for


WAITING = """
import os, sys
kept = [bytes(1000) for n in range(5000)]
os.write(int(os.environ["TM_READY"]), b"ready\\n")
sys.stdin.readline()
"""


def frames_kept(python, options, **variables):
    code = "import ctypes, tracemortem; print(tracemortem.get_traceback_limit(), tracemortem.is_tracing())"
    return (
        print_of(python, code, **variables) if not options else run(python, options + ["-c", code], **variables).stdout
    )


def test_25_frames_are_kept_unless_a_number_is_given(python):
    module = ["-m", "tracemortem"]
    assert frames_kept(python, module + ["--detail", "sampled"]) == "25 True\n"
    assert frames_kept(python, module + ["--detail", "sampled", "-f", "3"]) == "3 True\n"
    assert frames_kept(python, module, TRACEMORTEM_DETAIL="sampled") == "25 True\n"
    assert frames_kept(python, module + ["--detail", "lean"], TRACEMORTEM_DETAIL="sampled") == "1 True\n"
    assert frames_kept(python, [], **sampled(4096, 4)) == "4 True\n"
    code = "import tracemortem as t; t.start(); print(t.get_traceback_limit()); t.stop(); t.start(2); print(t.get_traceback_limit())"
    assert print_of(python, code, **sampled(4096)) == "25\n2\n"


def test_the_command_samples_with_25_frames(python):
    command = os.path.join(debuggers.BUILD, "bin", "tracemortem")
    code = "import tracemortem; print(tracemortem.get_traceback_limit())"
    for options, expected in ([], "25\n"), (["-f", "2"], "2\n"):
        done = subprocess.run([command, "run", "--detail", "sampled"] + options + [python, "-c", code],
                              stdout=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=debuggers.PACKAGE_PATH))  # fmt: skip
        assert done.stdout.decode() == expected


@pytest.mark.parametrize(
    "name, value, wanted",
    [
        ("TRACEMORTEM_SAMPLE", "0", "a number of bytes from 1 to 1099511627776"),
        ("TRACEMORTEM_SAMPLE", "512k", "a number of bytes from 1 to 1099511627776"),
        ("TRACEMORTEM_SEED", "-1", "a number from 0 to 4294967295 (0: by chance)"),
        ("TRACEMORTEM_DETAIL", "sample", "lean, full or sampled"),
    ],
)
def test_nonsense_is_said_and_nothing_is_traced(python, name, value, wanted):
    variables = dict(sampled(4096, 4), **{name: value})
    done = run(python, ["-c", "import tracemortem; print(tracemortem.is_tracing())"], **variables)
    assert done.stdout == "False\n"
    assert done.stderr == "tracemortem: %s=%s: not %s; continuing without tracing\n" % (name, value, wanted)


# -- the table

ROOT = """
import ctypes, sys
from tracemortem import _tracer
library = ctypes.CDLL(_tracer.__file__)
def show():
    root = ctypes.c_uint64.in_dll(library, "tracemortem_root").value
    number = lambda offset, kind: kind.from_address(root + offset).value
    flags = number(44, ctypes.c_uint32)
    print(number(152, ctypes.c_uint32), flags & 8, flags & 128, number(248, ctypes.c_uint64))
def count(size): return sum(trace[1] == size + sys.getsizeof(b"") for trace in _tracer._get_traces())
"""


def test_the_root_says_what_is_sampled_and_another_profile_goes_on_from_there(python):
    """Samples give way to all blocks when these are wanted; what is recorded of all does not give way to samples."""
    code = ROOT + (
        "import os, tracemortem; show()\n"
        "kept = [bytes(900) for n in range(400)]; print(0 < count(900) < 400)\n"
        "os.environ['TRACEMORTEM_DETAIL'] = 'lean'; tracemortem.start(3); show()\n"
        "more = [bytes(700) for n in range(400)]; print(count(900), count(700))\n"
        "os.environ['TRACEMORTEM_DETAIL'] = 'sampled'; tracemortem.start(3); show(); print(count(900), count(700))\n"
        "tracemortem.stop(); tracemortem.start(3); show()\n"
        "more = [bytes(600) for n in range(400)]; print(count(900), count(700), 0 < count(600) < 400)\n"
        "tracemortem.clear_traces(); print(count(600)); more.clear(); kept.clear()\n"
        "tracemortem.stop(); os.environ['TRACEMORTEM_DETAIL'] = 'full'; tracemortem.start(3); show()\n"
    )
    assert print_of(python, code, **sampled(3000, 2)).splitlines() == [
        "1 8 128 3000",
        "True",
        "1 8 0 0",
        "0 400",
        "1 8 0 0",
        "0 400",
        "1 8 128 3000",
        "0 0 True",
        "0",
        "1 0 0 0",
    ]


def wait_until_asleep(pid):
    while "\nState:\tS" not in open("/proc/%d/status" % pid).read():
        time.sleep(0.01)


@light(lambda any_python: is_newest(any_python))
def test_a_sampled_process_is_traced_with_all_blocks_when_asked(any_python):
    if pythons.is_free_threaded(any_python):
        pytest.skip("the switch is tested in tests/switch")
    code = WAITING + "more = [bytes(1100) for n in range(500)]" + WAITING.replace("1000", "1200")
    command = os.path.join(debuggers.BUILD, "bin", "tracemortem")
    with debuggers.start_process([any_python, "-c", code], environment=sampled(3000, 25)) as process:
        wait_until_asleep(process.pid)
        for detail, said in ("sampled", "traced already, with 25 frames"), (
            "lean",
            "traced from now on, with 3 frames",
        ):
            words = [command, "start", "--yes", "--detail", detail, "-f", "3", str(process.pid)]
            done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=debuggers.PATIENCE)
            assert said in done.stdout.decode(), done.stdout
        process.tell()
        process.ready()
        wait_until_asleep(process.pid)
        info = looking.answer("tm-info", pid=process.pid)
        sizes = [trace["size"] for trace in looking.answer("tm-traces -n 100000", pid=process.pid)["traces"]]
    assert info["detail"] == "lean" and info["traceback_limit"] == 3
    header = int(print_of(any_python, "import sys; print(sys.getsizeof(b''))"))
    counts = [sizes.count(header + size) for size in (1000, 1100, 1200)]
    assert counts == [0, 500, 5000], "what was there before is not exact, and is gone; the rest is whole"


def test_the_table_is_consistent(any_python):
    with debuggers.start_process([any_python, "-c", WAITING], environment=sampled(700, 25)) as process:
        wait_until_asleep(process.pid)  # after it has said that it waits, it allocates a buffer
        verified = looking.answer("tm-verify --strict", pid=process.pid)
        traces = looking.answer("tm-traces -n 5", pid=process.pid)
    assert verified["verdict"] == "healthy", verified
    assert traces["traces"]


def test_functions_that_end_are_not_taken_for_others(python):
    """A sampled block says where it came from, however many functions lived at the same address before."""
    code = (
        "import tracemortem, sys; tracemortem.start(3)\n"
        "wrong = 0\n"
        "for n in range(3000):\n"
        "    names = {}\n"
        "    exec(compile('\\n' * (n % 500) + 'def f():\\n    return bytes(%d)\\nkept = f()' % (9000 + n), 'made %d' % n, 'exec'), names)\n"
        "    size = 9000 + n + sys.getsizeof(b'')\n"
        "    if n % 100 == 99:\n"
        "        for trace in tracemortem.take_snapshot().traces:\n"
        "            if trace.size == size:\n"
        "                wrong += (trace.traceback[-1].filename, trace.traceback[-1].lineno) != ('made %d' % n, n % 500 + 2)\n"
        "                found = n\n"
        "print(wrong, found)\n"
    )
    assert print_of(python, code, **sampled(100)) == "0 2999\n"


if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv))
