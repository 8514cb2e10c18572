"""Estimates of real programs: right as often as they should be, and the leak is the first row.

Everything drawn has a fixed seed. Bounds are five standard deviations of the coverage away from it or more, so that another
CPython, whose draws differ, does not fail by chance. `make estimates` is the long form: thousands of seeds, printed.
"""

import gzip
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import debuggers
import looking
import pytest
import sampling
from cli_command import run
from selection import is_newest, light, thorough

DEMO = os.path.join(debuggers.ROOT, "tests", "demo", "service.py")
NORMAL = (0.6827, 0.9545, 0.9973)  # within 1, 2, 3 standard errors
MINE = os.path.join(sampling.HERE, "programs", "*")


def line_of(path, text):
    with open(path, encoding="utf-8") as file:
        return next(number for number, line in enumerate(file, 1) if text in line)


def require_coverage(both):
    """Both are near to a normal distribution's. Rows of some 16 samples on are: a little skewed, so a little below it."""
    for coverage in both:
        assert coverage.rows > 200, str(coverage)
        for part, normal in zip(coverage.within, NORMAL):
            deviation = math.sqrt(normal * (1 - normal) / coverage.rows)
            assert normal - 0.04 - 5 * deviation < part <= 1, str(coverage)
        assert coverage.within[0] < NORMAL[0] + 5 * math.sqrt(NORMAL[0] * (1 - NORMAL[0]) / coverage.rows), str(
            coverage
        )
        assert 1 - 5 * math.sqrt(2 / coverage.rows) < coverage.spread < 1 + 6 * math.sqrt(2 / coverage.rows), str(
            coverage
        )
        assert abs(coverage.bias) < 5, str(coverage)


# ---------------------------------------------------------------------------------------------------------------------
# Right as often as they should be


@light(is_newest)
def test_known_sizes_are_within_the_errors_as_often_as_they_should(python):
    require_coverage(sampling.measure(python, "sizes.py", (30,), 8192, range(1, 4)))


@thorough
def test_programs_of_the_oracle_are_within_the_errors_as_often_as_they_should(python):
    both = [sampling.Coverage("size"), sampling.Coverage("count")]
    for number in (1, 2):
        with sampling.oracle_program(number, 6000) as (name, words):
            for whole, part in zip(both, sampling.measure(python, name, words, 4096, range(1, 13))):
                whole.merge(part)
    require_coverage(both)


# ---------------------------------------------------------------------------------------------------------------------
# Leaks


@light(is_newest)
def test_exceptions_that_are_kept_are_the_first_row(python):
    """In a forked worker, which samples on with draws of its own."""
    line = line_of(sampling.program("unhandled.py"), "the first row must name")
    with sampling.running(python, "unhandled.py", detail="sampled", frames=25) as (parent, worker):
        row = sampling.answer("tm-top -n 1", int(worker))["statistics"][0]
        assert (os.path.basename(row["filename"]), row["lineno"]) == ("unhandled.py", line)
        assert abs(row["size"] - 60 * 200001) < 5 * row["standard_error"]["size"]
        assert 3 < row["samples"] <= 60
        changes = run("diff", parent.pid, worker, "-n", 1)
        assert "unhandled.py:%d: size\u2248" % line in changes.stdout.splitlines()[0], changes
        assert "noise" not in changes.stdout.splitlines()[0]


def ask(url, **query):
    with urllib.request.urlopen(url, json.dumps(query).encode() if query else None) as response:
        return response.read()


@thorough
def test_the_leak_of_the_demo_is_the_first_row(python, tmp_path):
    line = line_of(DEMO, "self.reports[number] =")
    command = [python, DEMO, "--directory", str(tmp_path)]
    environment = sampling.environment("sampled", frames=25)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, universal_newlines=True) as service:
        try:
            url = "http://127.0.0.1:%s" % service.stdout.readline().split()[-1]
            for _ in range(60):
                ask(url + "/orders", customer="mary", product=3, quantity=1)
            for _ in range(250):
                ask(url + "/orders?customer=mary")
            rows = sampling.answer("tm-top -n 1", service.pid)["statistics"]
            assert (rows[0]["filename"], rows[0]["lineno"]) == (DEMO, line), rows
        finally:
            service.kill()


APPLICATION = """
import os
seen = []
def application(environ, start_response):
    seen.append([str(os.getpid()) * 20 for i in range(5000)])  # the leak
    answer = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""


@thorough
def test_the_leak_of_gunicorns_workers_is_their_first_row(tmp_path):
    assert shutil.which("gunicorn"), "python3-gunicorn is in src/packaging/packages.txt"
    (tmp_path / "leaky.py").write_text(APPLICATION)
    log = tmp_path / "log"
    environment = sampling.environment("sampled", frames=25)
    with open(log, "w") as output:
        words = ["gunicorn", "-w", "2", "-b", "127.0.0.1:0", "leaky:application"]
        server = subprocess.Popen(words, env=environment, cwd=str(tmp_path), stderr=output, start_new_session=True)
    try:
        end = time.monotonic() + debuggers.PATIENCE
        while "Listening at" not in log.read_text() and time.monotonic() < end and server.poll() is None:
            time.sleep(0.1)
        url = next(word for word in log.read_text().split() if word.startswith("http://"))
        answers = [ask(url).decode() for _ in range(80)]
        for worker in set(answers):
            if answers.count(worker) < 10:
                continue
            row = sampling.answer("tm-top -n 1 --mine leaky.py --mine '%s/*'" % tmp_path, int(worker))["statistics"][0]
            assert (os.path.basename(row["filename"]), row["lineno"]) == ("leaky.py", 5), row
        assert max(map(answers.count, set(answers))) >= 10
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


# ---------------------------------------------------------------------------------------------------------------------
# Commands


@pytest.fixture(scope="module")
def worker(python):
    with sampling.running(python, "sizes.py", 30, detail="sampled", period=8192, frames=5) as (process, _):
        yield process.pid


def test_a_snapshot_has_the_estimates(python, worker, tmp_path):
    """In tracemalloc the sizes, and for tm-diff the errors too."""
    file = str(tmp_path / "now.snapshot")
    saved = run("save", worker, file)
    assert saved.status == 0 and "which stand for \u2248" in saved.stdout, saved
    total = sampling.answer("tm-top -n 0", worker)
    code = "import sys, tracemalloc; s = tracemalloc.Snapshot.load(sys.argv[1]); "
    code += "print(sum(t.size for t in s.traces), len(s.traces), s.sample_period, len(s.sample_sizes))"
    numbers = [int(word) for word in subprocess.check_output([python, "-c", code, file]).split()]
    assert abs(numbers[0] - total["total_size"]) <= numbers[1] and numbers[1:] == [
        total["total_samples"],
        8192,
        numbers[1],
    ]
    changes = json.loads(run("diff", file, worker, "-n", 3, "--json").stdout)
    assert changes["sample_period_old"] == changes["sample_period"] == 8192
    assert [row["size_diff"] for row in changes["statistics"]] == [0, 0, 0] == [changes["total_size_diff"]] * 3
    assert all(row["standard_error"]["size_diff"] > 0 for row in changes["statistics"])  # files have no addresses


def test_nothing_changed_is_no_noise(worker):
    changes = json.loads(run("diff", worker, worker, "-n", 5, "--json").stdout)
    for row in changes["statistics"]:
        assert row["size_diff"] == 0 == row["standard_error"]["size_diff"] and row["standard_error"]["size"] > 0


def varints(data):
    """[(field, value)] of a message of protocol buffers."""
    position, fields = 0, []

    def varint():
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while position < len(data):
        key = varint()
        if key & 7 == 0:
            fields.append((key >> 3, varint()))
        else:
            length = varint()
            fields.append((key >> 3, data[position : position + length]))
            position += length
    return fields


def test_exports_have_estimates_and_say_so(worker, tmp_path):
    total = sampling.answer("tm-top -n 0", worker)
    outcome = run("export", worker, "pprof", tmp_path / "heap.pb.gz")
    assert "estimated from %d samples, one in 8192 B" % total["total_samples"] in outcome.stdout, outcome
    fields = varints(gzip.decompress((tmp_path / "heap.pb.gz").read_bytes()))
    strings = [value for field, value in fields if field == 6]
    assert [value for field, value in fields if field == 12] == [8192]  # the period
    period_type = dict(varints(next(value for field, value in fields if field == 11)))
    assert (strings[period_type[1]], strings[period_type[2]]) == (b"space", b"bytes")
    assert (
        sum(field == 2 for field, _ in fields)
        == json.loads(run("export", worker, "pprof", tmp_path / "again", "--json").stdout)["rows"]
    )
    for name in ("csv", "json", "collapsed", "speedscope"):
        assert "estimated from" in run("export", worker, name, tmp_path / name).stdout
    with open(tmp_path / "csv", encoding="utf-8") as file:
        assert file.readline().startswith("size,count,size_error,count_error,samples,domain")
    exported = json.loads((tmp_path / "json").read_text())
    assert exported["estimated"] and exported["total_samples"] == total["total_samples"]
    collapsed = (tmp_path / "collapsed").read_text().splitlines()
    assert abs(sum(int(line.split()[-1]) for line in collapsed) - total["total_size"]) <= len(collapsed)
    assert "estimated from samples" in json.loads((tmp_path / "speedscope").read_text())["name"]


@thorough
def test_json_fits_the_schema(worker, tmp_path):
    from test_json_schema import check  # needs jsonschema, which `make test` does not

    file = str(tmp_path / "file")
    assert run("save", worker, file).status == 0
    lines = [
        "info",
        "top",
        "top type",
        "top -c",
        "top --mine %s" % MINE,
        "traces",
        "find --type bytes",
        "memory",
        "verify",
    ]
    for line in lines:
        command, *words = line.split()
        check(json.loads(run(command, worker, *words, "--json").stdout))
    for words in (("diff", worker, worker), ("diff", file, worker), ("save", worker, file, "--force")):
        check(json.loads(run(*words, "--json").stdout))
    for words in ((), ("lineno",), ("--base", file)):
        assert run("export", worker, "json", tmp_path / "exported", "--force", *words).status == 0
        check(json.loads((tmp_path / "exported").read_text()), file=True)


def test_the_table_is_consistent(worker):
    outcome = run("verify", worker)
    assert outcome.status == 0 and outcome.stdout.startswith("healthy: "), outcome


def test_types_are_estimated(worker):
    rows = {row["type"]: row for row in sampling.answer("tm-top type -n 20", worker)["statistics"]}
    true = 30 * sum(40 + i % 400 + 33 for i in range(3000))  # of "1-*.py"
    assert rows["bytes"]["size"] > true - 5 * rows["bytes"]["standard_error"]["size"]
    assert rows["bytes"]["samples"] > 1000


def test_what_needs_every_block_is_refused(worker):
    for words in (("leaks",), ("holders", "0x10000"), ("top", "--sort", "freed")):
        outcome = run(words[0], worker, *words[1:])
        assert outcome.status != 0 and "sampled profile" in outcome.stderr, outcome


# ---------------------------------------------------------------------------------------------------------------------
# Beside the program's own tracemalloc


@pytest.mark.parametrize("stopped", [False, True])
def test_the_programs_own_tracemalloc_is_read(python, stopped):
    code = (
        "import tracemalloc; tracemalloc.start(); kept = [bytes(i) for i in range(9000)]; print(flush=True); input(); "
    )
    code += "tracemalloc.stop(); print(flush=True); input()"
    with subprocess.Popen(
        [python, "-c", code],
        env=sampling.environment("sampled", period=8192),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        universal_newlines=True,
    ) as process:
        process.stdout.readline()
        if stopped:
            print(file=process.stdin, flush=True)
            process.stdout.readline()
        words = (process.pid, "--stop", "--max-stop", "60s", "--json")
        answer = json.loads(run("info", *words).stdout)
        assert answer["source"] == ("tracemortem" if stopped else "stock")
        assert ("samples_beside" in answer) == (not stopped)
        answer = json.loads(run("info", *words, "--samples").stdout)
        assert (answer["source"], answer["detail"], "samples_beside" in answer) == ("tracemortem", "sampled", False)
        text = run("top", process.pid, "--stop", "--max-stop", "60s").stdout
        assert ("--samples reads the tracer's samples instead" in text) == (not stopped)
        assert run("verify", process.pid).stdout.startswith("healthy: ")
        process.kill()
