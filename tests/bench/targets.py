"""The targets, and whether the results of a run meet them. Knows the shape of the results, nothing of pages."""

import collections
import statistics

import special
from measure import geometric_mean, median, ratio

MIB = 1024  # KiB
STOCK_ADDS_AT_LEAST = 10  # nanoseconds: where stock costs next to nothing there is nothing to compare with

Target = collections.namedtuple("Target", "what aim measured met beside")
Target.__doc__ = "`measured` and `beside` (stock's figure) are texts; `met` is None where it was not measured."


def check(results):
    """All targets, in the order in which they were set."""
    parts = (_time, _space, _services, _hard_cases, _reading)
    return [target for part in parts for target in part(results)]


def _target(what, aim, value, limit, form="%.2f", beside=""):
    if value is None:
        return Target(what, aim, "not measured", None, beside)
    return Target(what, aim, form % value, value <= limit, beside)


def _of(results, series):
    """The results of the interpreter of a series, as "3.13"."""
    for version, here in results["pythons"].items():
        if version.startswith(series + "."):
            return here
    return {}


# -- time


def program_mean(programs, mode, what):
    """The geometric mean of the multiples of untraced over the programs which ran; None if there are none."""
    ran = [runs for runs in (programs or {}).values() if "problem" not in runs and mode in runs]
    return geometric_mean([ratio(runs, mode, what) for runs in ran])


def _multiple(value):
    return "" if value is None else "stock %.2fx" % value


def _time(results):
    for series, mode, aim, text in (
        ("3.13", "lean 1", 1.13, "lean, 1 frame"),
        ("3.13", "full 1", 1.30, "full, 1 frame"),
        ("3.13", "lean 25", 1.38, "lean, 25 frames"),
        ("3.11", "lean 1", 1.27, "lean, 1 frame"),
        ("3.13", "sampled 25", 1.03, "sampled, 25 frames"),
        ("3.11", "sampled 25", 1.05, "sampled, 25 frames"),
    ):
        programs = _of(results, series).get("programs")
        beside = _multiple(program_mean(programs, "stock " + mode.split()[1], "cpu"))
        what = "time of whole programs, %s, CPython %s" % (text, series)
        yield _target(what, "≤ %.2fx" % aim, program_mean(programs, mode, "cpu"), aim, "%.2fx", beside)
    for frames, share in (("1", 8), ("25", 20)):
        value = micro_mean(_of(results, "3.13").get("micro"), frames)
        what = "added time, micro cases, lean, %s frame%s, CPython 3.13: stock's divided by" % (
            frames,
            "s"[: frames != "1"],
        )
        met = None if value is None else value >= share
        yield Target(what, "≥ %d" % share, "not measured" if value is None else "%.1f" % value, met, "")


def added(runs, mode, case, stack):
    """Nanoseconds which a mode adds to an operation, at least 1; None if it was not measured."""
    rounds = [(run["cases"], base["cases"]) for run, base in zip(runs[mode], runs["untraced"]) if run and base]
    more = [traced[case][stack] - plain[case][stack] for traced, plain in rounds]
    return max(1.0, statistics.median(more)) if more else None


def gain(runs, case, stack, frames):
    """Stock's added time as a multiple of ours; None where stock adds next to nothing, or was not measured."""
    stock = added(runs, "stock " + frames, case, stack) if "stock " + frames in runs else None
    if stock is None or stock < STOCK_ADDS_AT_LEAST:
        return None
    return stock / added(runs, "lean " + frames, case, stack)


def micro_mean(runs, frames):
    if not runs:
        return None
    cases = runs["untraced"][0]["cases"]
    return geometric_mean([gain(runs, case, stack, frames) for case in cases for stack in ("shallow", "deep")])


# -- space


def bytes_per_block(case, mode):
    """The resident memory that the mode adds."""
    runs = case["runs"]
    return (median(runs[mode], "grown") - median(runs["untraced"], "grown")) * 1024 / case["blocks"]


def sampled_memory(programs):
    """The geometric mean of the multiples of untraced memory, without one MiB; None if there are none."""
    ran = [runs for runs in (programs or {}).values() if "problem" not in runs and "sampled 25" in runs]
    peaks = [[median(runs[mode], "resident") for mode in ("sampled 25", "untraced")] for runs in ran]
    return geometric_mean([max(traced - MIB, plain) / plain for traced, plain in peaks])


def _space(results):
    for version, here in results["pythons"].items():
        what = "peak memory of whole programs beside 1 MiB, sampled, 25 frames, CPython %s" % version
        yield _target(what, "≤ 1.01x", sampled_memory(here.get("programs")), 1.01, "%.3fx")
    for version, here in results["pythons"].items():
        for frames, aim in (("1", 1.08), ("25", 1.14)):
            mean = program_mean(here.get("programs"), "lean " + frames, "resident")
            beside = _multiple(program_mean(here.get("programs"), "stock " + frames, "resident"))
            if version.startswith("3.11."):
                aim = {"1": 1.20}.get(frames, aim)
            what = "peak memory of whole programs, lean, %s frame%s, CPython %s" % (
                frames,
                "s"[: frames != "1"],
                version,
            )
            yield _target(what, "≤ %.2fx" % aim, mean, aim, "%.2fx", beside)
    for version, here in results["pythons"].items():
        kept = here.get("memory", {})
        stock = min([bytes_per_block(case, "stock 1") for case in kept.values()], default=None)
        beside = "" if stock is None else "stock at least %.0f" % stock
        small = [bytes_per_block(case, "lean 1") for name, case in kept.items() if special.size_of(name) <= 512]
        what = "bytes of memory for a live block of at most 512 bytes, lean, CPython %s" % version
        yield _target(what, "≤ 5", max(small, default=None), 5, "%.1f", beside)
        # What a block costs, in parts of what it may cost.
        large = [(bytes_per_block(case, "lean 1"), special.size_of(name)) for name, case in kept.items()]
        worst = max([cost / max(32, size / 200) for cost, size in large if size > 512], default=None)
        what = "the same of larger blocks, in parts of 32 bytes or 0.5 %% of the block, CPython %s" % version
        yield _target(what, "≤ 1.00", worst, 1, "%.2f")
    for version, here in results["pythons"].items():
        start = here.get("start")
        memory, beside = (added_by(start, mode, "resident") for mode in ("lean 1", "stock 1"))
        what = "memory of an empty program, added, lean, CPython %s" % version
        beside = "" if beside is None else "stock %.2f MiB" % (beside / MIB)
        yield _target(what, "≤ 0.6 MiB", None if memory is None else memory / MIB, 0.6, "%.2f MiB", beside)
        what = "start of tracing, the call in a running program, CPython %s" % version
        yield _target(what, "≤ 1 ms", median(start["call"], "cpu") * 1e3 if start else None, 1, "%.2f ms")


def added_by(start, mode, what):
    """What a mode adds to an empty program."""
    return median(start["empty"][mode], what) - median(start["empty"]["untraced"], what) if start else None


# -- services


def _services(results):
    for version, here in results["pythons"].items():
        for name, runs in here.get("services", {}).items():
            if "problem" in runs:
                continue
            for what, aim, text in (
                ("cpu", 1.35, "processor time a request"),
                ("resident", 1.3, "peak memory"),
                ("fork", 1.1, "processor time of a forked child that ends at once"),
            ):
                value, beside = (ratio(runs, mode, what) for mode in ("lean 25", "stock 1"))
                text = "%s service, lean, 25 frames, %s, CPython %s" % (name, text, version)
                yield _target(text, "≤ %.2fx" % aim, value, aim, "%.2fx", "stock with 1 frame %.2fx" % beside)


# -- hard cases


def _hard_cases(results):
    for version, here in results["pythons"].items():
        for name, runs in here.get("explosions", {}).items():
            if name == "generators":
                value = ratio(runs, "lean 25", "cpu")
                what = "time of %s, lean, 25 frames, CPython %s" % (special.generators.__doc__, version)
                yield _target(what, "≤ 1.60x", value, 1.6, "%.2fx", _multiple(ratio(runs, "stock 25", "cpu")))
            for frames in ("1", "25"):
                ours, stock = (runs["%s %s" % (who, frames)][0] for who in ("lean", "stock"))
                worst = max(ours[what] / stock[what] for what in ("cpu", "resident"))
                text = "%s, %s frame%s" % (getattr(special, name).__doc__, frames, "s"[: frames != "1"])
                what = "%s: time and memory against stock's, the worse, CPython %s" % (text, version)
                yield _target(what, "≤ 1.00x", worst, 1.0, "%.2fx")
    for version, here in results["pythons"].items():
        life = here.get("life")
        grown = max(life["cycles ours 1"], life["cycles ours 25"]) if life else None
        stock = "stock %d KiB" % max(life["cycles stock 1"], life["cycles stock 25"]) if life else ""
        what = "start/stop cycles: growth after the first tenth, CPython %s" % version
        yield _target(what, "none (256 KiB)", grown, 256, "%d KiB", stock)
        grown = life["day lean 25"] - life["day untraced"] if life else None
        what = "a day of requests: growth after the first quarter, beyond untraced, CPython %s" % version
        yield _target(what, "none (1 MiB)", grown, MIB, "%d KiB")
    for version, here in results["pythons"].items():
        for pair in ("raw and raw", "raw and mem"):
            runs = here.get("threads")
            value = together(runs, "lean 1", pair) if runs else None
            beside = "untraced %.2fx" % together(runs, "untraced", pair) if runs else ""
            what = "two threads, %s, at once against in turn, CPython %s" % (pair, version)
            yield _target(what, "≤ 1.00x", value, 1.0, "%.2fx", beside)


def together(runs, mode, pair):
    one = runs[mode][0]["pairs"][pair]
    return one["together"] / one["in turn"]


# -- reading


def _worst(rows, command, what):
    """The worst of all debuggers and places at the largest number of blocks."""
    largest = max((row["blocks"] for row in rows), default=0)
    values = [row[what] for row in rows if row["blocks"] == largest and row["command"] == command]
    return max(values, default=None)


def _reading(results):
    rows = results.get("reading") or []
    largest = max((row["blocks"] for row in rows), default=10000000)
    blocks = "{:,} blocks".format(largest)
    for command, what, aim, limit, unit, form in (
        ("tm-top", "seconds", "≤ 60 ms", 60, 1e3, "%.1f ms"),
        ("tm-traceback", "seconds", "≤ 1 ms", 1, 1e3, "%.2f ms"),
        ("tm-traceback", "bytes", "≤ 64 KiB", 64, 1 / 1024, "%.1f KiB"),
        ("tm-traces", "seconds", "≤ 2 s", 2, 1, "%.2f s"),
        ("tm-traces", "grown", "≤ 256 MiB", 256, 1 / 1024, "%.1f MiB"),
        ("tm-verify", "seconds", "≤ 2 s", 2, 1, "%.2f s"),
        ("tm-verify", "grown", "≤ 256 MiB", 256, 1 / 1024, "%.1f MiB"),
        ("tm-traces", "silence", "Ctrl-C within 200 ms", 200, 1e3, "%.1f ms"),
    ):
        value = _worst(rows, command, what)
        text = {"seconds": "in the engine", "bytes": "read", "grown": "the debugger's memory", "silence": "deaf"}[what]
        what = "%s, %s: %s, the worst" % (command, blocks, text)
        yield _target(what, aim, None if value is None else value * unit, limit, form)
