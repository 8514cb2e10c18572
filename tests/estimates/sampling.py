"""What the tests of estimates share: a program under a profile, its rows, and how often the truth is within the errors.

    with running(python, "sizes.py", 50, detail="sampled", seed=1, period=8192) as pid: rows = rows_of(pid)

    coverage = Coverage()
    coverage.add(truth, rows)
    coverage.within       # parts of the rows of which the truth is within 1, 2 and 3 standard errors

Run as a program, it is the long form of test_estimates.py: `make estimates`.
"""

import argparse
import contextlib
import math
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
for other in ("support", "oracle"):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), other))

import debuggers  # noqa: E402
import generate  # noqa: E402
import looking  # noqa: E402

ORACLE = os.path.join(os.path.dirname(HERE), "oracle")
# A row whose standard error is a larger part of it than this has an error that says little: docs/design.md.
SMALL_ERROR = 0.25


def program(name):
    return os.path.join(HERE, "programs", name)


def environment(detail, seed=1, period=None, frames=1, **more):
    names = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "TRACEMORTEM_", "LD_"))}
    names.update(
        LD_PRELOAD=debuggers.TRACER,
        TRACEMORTEM=str(frames),
        TRACEMORTEM_DETAIL=detail,
        TRACEMORTEM_SEED=str(seed),
        TRACEMORTEM_ENGINE=os.environ["TRACEMORTEM_ENGINE"],
        PYTHONHASHSEED="0",
        PYTHONDONTWRITEBYTECODE="1",
        **more,
    )
    if period:
        names["TRACEMORTEM_SAMPLE"] = str(period)
    return names


@contextlib.contextmanager
def running(python, name, *words, **options):
    """A program that says one line when it is ready, and waits. Yields its process and the line."""
    command = [str(word) for word in (python, program(name)) + words]
    with subprocess.Popen(
        command, env=environment(**options), stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True
    ) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.kill()


def answer(line, pid):
    with looking.standing_still(pid):
        return looking.answer(line, pid=pid)


def rows_of(pid, key="lineno"):
    """{place: row} of all rows."""
    rows = answer("tm-top %s -n 10000000" % key, pid)["statistics"]
    return {(row["filename"], row["lineno"]): row for row in rows}


def sizes_of(pid):
    """{place: [sizes of its blocks]}, of a process in which all blocks are recorded."""
    places = {}
    for trace in answer("tm-traces -n 10000000", pid)["traces"]:
        frame = trace["traceback"][-1]
        places.setdefault((frame["filename"], frame["lineno"]), []).append(trace["size"])
    return places


def is_of_the_program(place):
    """Not of the start of Python, nor of what writes the program: these differ a little from one run to the next."""
    name = place[0]
    outside = ("<frozen ", HERE, generate.__file__)
    return name != "<unknown>" and "/lib/" not in name and not name.startswith(outside)


def true_variance(sizes, period, what):
    """That of the estimates of blocks of these sizes."""
    odds = (1 / math.expm1(max(size, 1) / period) if size < 500 * period else 0 for size in sizes)
    return sum((size**2 if what == "size" else 1) * odd for size, odd in zip(sizes, odds))


class Coverage:
    """How often the truth is as near to an estimate as its standard errors say; of sizes or of counts."""

    def __init__(self, what="size"):
        self.what = what
        self.rows = 0
        self.hits = [0, 0, 0]
        self.error = 0  # of the sums of all estimates, and their true variance
        self.variance = 0
        self.squares = 0  # of all errors, of the rows that are counted

    def add(self, truth, rows, period):
        """`truth`: {place: sizes} of a run in which all blocks are recorded. `rows`: of a sampled run of the same."""
        places = set(filter(is_of_the_program, truth))
        assert set(filter(is_of_the_program, rows)) <= places, set(rows) - places
        for place in places:
            sizes = truth[place]
            true = sum(sizes) if self.what == "size" else len(sizes)
            variance = true_variance(sizes, period, self.what)
            found = rows.get(place)
            estimate = found[self.what] if found else 0
            error = found["standard_error"][self.what] if found else 0
            self.error += estimate - true
            self.variance += variance
            if true == 0 or math.sqrt(variance) > SMALL_ERROR * true or variance == 0:
                continue
            self.rows += 1
            self.squares += (estimate - true) ** 2 / variance
            for i in range(3):
                self.hits[i] += abs(estimate - true) <= (i + 1) * error

    def merge(self, other):
        self.rows += other.rows
        self.hits = [a + b for a, b in zip(self.hits, other.hits)]
        self.error += other.error
        self.variance += other.variance
        self.squares += other.squares

    @property
    def within(self):
        return [hits / self.rows for hits in self.hits]

    @property
    def bias(self):
        """The error of the sum of all estimates, small and large rows, in its own standard errors."""
        return self.error / math.sqrt(self.variance) if self.variance else 0

    @property
    def spread(self):
        """The mean square of the errors, as a part of their true variance: 1 is right."""
        return self.squares / self.rows

    def __str__(self):
        return "%s: %d rows, within 1, 2, 3 standard errors: %s; mean square %.2f; sum off by %+.2f errors" % (
            self.what,
            self.rows,
            ", ".join("%.1f %%" % (100 * part) for part in self.within),
            self.spread,
            self.bias,
        )


def measure(python, name, words, period, seeds):
    """[Coverage of sizes, of counts] of a program."""
    both = [Coverage("size"), Coverage("count")]
    # Without births, as samples have none: an object from a free list keeps the line that first took its memory.
    with running(python, name, *words, detail="lean", TRACEMORTEM_REUSE="0") as (process, _):
        truth = sizes_of(process.pid)
    for seed in seeds:
        with running(python, name, *words, detail="sampled", seed=seed, period=period) as (process, _):
            rows = rows_of(process.pid)
        for coverage in both:
            coverage.add(truth, rows, period)
    return both


@contextlib.contextmanager
def oracle_program(seed, least):
    """(name, words) for measure()."""
    with tempfile.TemporaryDirectory() as folder:
        generate.write_program(folder, seed)
        yield "generated.py", (seed, least, folder, ORACLE)


def main():
    parser = argparse.ArgumentParser(description="How often the truth is within the standard errors, of many seeds.")
    parser.add_argument("--seeds", type=int, default=2000, help="runs of each program (default 2000)")
    parser.add_argument("--python", default="/usr/bin/python3")
    arguments = parser.parse_args()
    seeds = range(1, arguments.seeds + 1)

    def show(what, both):
        print("%s, %d seeds" % (what, len(seeds)), *both, sep="\n    ", flush=True)

    show("known sizes", measure(arguments.python, "sizes.py", (4,), 4096, seeds))
    for number in range(1, 4):
        with oracle_program(number, 2000) as (name, words):
            show("the oracle's program %d" % number, measure(arguments.python, name, words, 4096, seeds))


if __name__ == "__main__":
    main()
