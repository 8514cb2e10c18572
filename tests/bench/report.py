"""Turns results into tables, and puts them into a page between its markers. Measures nothing.

A marker is a line `<!-- bench: NAME -->`; the table goes from there to the next line `<!-- end -->`.
"""

import re

import micro
import special
import targets
from measure import MODES, geometric_mean, median, ratio

MODE_TITLES = {
    "lean 1": "lean 1",
    "lean 25": "lean 25",
    "full 1": "full 1",
    "sampled 25": "sampled 25",
    "stock 1": "tracemalloc 1",
    "stock 25": "tracemalloc 25",
}


def table(header, rows, left=1):
    """A Markdown table; all columns but the first `left` are numbers."""
    rows = [list(map(str, row)) for row in rows]
    widths = [max([len(row[i]) for row in [header] + rows] + [3]) for i in range(len(header))]

    def line(cells):
        laid = [cell.ljust(widths[i]) if i < left else cell.rjust(widths[i]) for i, cell in enumerate(cells)]
        return "| %s |" % " | ".join(laid)

    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([line(header), line(rule)] + [line(row) for row in rows])


def number(value, form="%.2f"):
    return "" if value is None else form % value


def thousands(value):
    return "{:,}".format(value)


# -- sections


def sections(results):
    """{name of a marker: its text}, in the page's order."""
    made = {"machine": _machine(results["about"]), "targets": _targets(results)}
    summary = _summary(results["pythons"])
    if summary:
        made["summary"] = summary
    makers = (("programs", _programs), ("services", _services), ("start", _start), ("micro", _micro), ("memory", _memory),
              ("explosions", _explosions), ("life", _life), ("threads", _threads))  # fmt: skip
    for name, maker in makers:
        parts = [
            "CPython %s:\n\n%s" % (version, maker(here[name]))
            for version, here in results["pythons"].items()
            if here.get(name)
        ]
        if parts:
            made[name] = "\n\n".join(parts)
    if results.get("reading"):
        made["reading"] = _reading(results["reading"])
    if results.get("stock"):
        made["stock"] = results["stock"].strip()
    if results.get("recorder"):
        made["recorder"] = results["recorder"].strip()
    return made


def _machine(about):
    rows = [
        ("measured", about["date"] + (", quick: for orientation only" if about["quick"] else "")),
        ("commit", about["commit"]),
        ("processor", "%s, %d cores, %d GiB" % (about["processor"], about["cores"], about["memory"])),
        ("load when it began", "%.2f" % about["load"]),
        ("kernel", "Linux " + about["kernel"]),
        ("compiler", about["compiler"]),
    ]
    rows += [("debugger", version) for version in about["debuggers"]]
    rows += [("CPython", version) for version in about["pythons"].values()]
    if "seconds" in about:
        rows.append(("took", "%d s, processor time %d s" % (about["seconds"], about["busy"])))
    return table(["", ""], rows, left=2)


def _summary(pythons):
    """What a reader wants to know first: how much slower, and how much more memory."""
    rows = []
    modes = [mode.name for mode in MODES[1:]]
    for version, here in pythons.items():
        programs = here.get("programs", {})
        ran = {name: runs for name, runs in programs.items() if "problem" not in runs}
        for what, text in (("cpu", "time"), ("resident", "peak memory")):
            means = [targets.program_mean(programs, mode, what) for mode in modes]
            if any(means):
                rows.append(
                    ["%s of %d programs, CPython %s" % (text, len(ran), version)] + [times(mean) for mean in means]
                )
        for name, runs in here.get("services", {}).items():
            for what, text in (("cpu", "processor time a request"), ("resident", "peak memory")):
                if "problem" not in runs:
                    found = [ratio(runs, mode, what) if mode in runs else None for mode in modes]
                    rows.append(["%s service, %s, CPython %s" % (name, text, version)] + [times(one) for one in found])
    return table(["untraced is 1.00x"] + [MODE_TITLES[mode] for mode in modes], rows) if rows else None


def times(value):
    return "" if value is None else "%.2fx" % value


VERDICTS = {True: "met", False: "**not met**", None: "–"}


def _targets(results):
    checked = targets.check(results)
    rows = [(one.what, one.aim, one.measured, one.beside, VERDICTS[one.met]) for one in checked]
    met, missed = (sum(one.met is verdict for one in checked) for verdict in (True, False))
    count = "%d of %d measured targets met." % (met, met + missed)
    return "%s\n\n%s" % (table(["what", "target", "measured", "beside it", ""], rows), count)


def _multiples(programs, what, unit):
    ran = {name: runs for name, runs in programs.items() if "problem" not in runs}
    modes = [mode.name for mode in MODES[1:] if any(mode.name in runs for runs in ran.values())]
    rows = []
    for name, runs in ran.items():
        base = median(runs["untraced"], what) * unit[0]
        rows.append([name, unit[1] % base] + [number(ratio(runs, mode, what)) for mode in modes])
    means = [geometric_mean([ratio(runs, mode, what) for runs in ran.values()]) for mode in modes]
    rows.append(["**geometric mean**", ""] + [number(mean) for mean in means])
    return table([unit[2], "untraced"] + [MODE_TITLES[mode] for mode in modes], rows)


def _programs(programs):
    parts = []
    if any("problem" not in runs for runs in programs.values()):
        parts += [
            _multiples(programs, "cpu", (1, "%.2f s", "time")),
            _multiples(programs, "resident", (1 / 1024, "%.1f MiB", "peak memory")),
        ]
    problems = ["- %s: %s" % (name, runs["problem"]) for name, runs in programs.items() if "problem" in runs]
    if problems:
        parts.append("Not run here:\n\n" + "\n".join(problems))
    return "\n\n".join(parts)


def _services(services):
    parts, rows = [], []
    for name, runs in services.items():
        if "problem" in runs:
            parts.append("- %s: %s" % (name, runs["problem"]))
            continue
        for what, text, unit, form in (
            ("cpu", "processor ms a request", 1e3, "%.3f"),
            ("resident", "peak memory, MiB", 1 / 1024, "%.1f"),
            ("fork", "processor ms of a forked child that ends at once", 1e3, "%.3f"),
        ):
            modes = [mode.name for mode in MODES[1:] if mode.name in runs]
            base = form % (median(runs["untraced"], what) * unit)
            rows.append([name, text, base] + [number(ratio(runs, mode, what)) for mode in modes])
    if rows:
        parts.insert(0, table(["service", "", "untraced"] + [MODE_TITLES[mode] for mode in modes], rows, left=2))
    if len(parts) > bool(rows):
        parts.insert(bool(rows), "Not run here:")
    return "\n\n".join(parts)


def _start(start):
    runs, rows = start["empty"], []
    for mode in runs:
        row = [MODE_TITLES.get(mode, mode)]
        for what, unit in (("process", 1e3), ("elapsed", 1e3), ("resident", 1 / 1024)):
            added = "+%.2f" % (targets.added_by(start, mode, what) * unit) if mode != "untraced" else ""
            row += ["%.2f" % (median(runs[mode], what) * unit), added]
        rows.append(row)
    call = "The call of `start()` in a running program, the first one: %.2f ms." % (median(start["call"], "cpu") * 1e3)
    return "%s\n\n%s" % (table(["an empty program", "processor ms", "", "clock ms", "", "memory MiB", ""], rows), call)


def _micro(runs):
    parts = []
    cases = list(runs["untraced"][0]["cases"])
    modes = [mode for mode in runs if mode != "untraced"]
    for stack, title in (("shallow", "shallow stack"), ("deep", "%d frames deep" % micro.DEEP)):
        rows, gains = [], {"1": [], "25": []}
        for case in cases:
            plain = median([run["cases"][case] for run in runs["untraced"]], stack)
            row = [getattr(micro, case).__doc__, "%.0f" % plain]
            row += ["+%.0f" % targets.added(runs, mode, case, stack) for mode in modes]
            for frames in ("1", "25"):
                gains[frames].append(targets.gain(runs, case, stack, frames))
                row.append(number(gains[frames][-1], "%.1f"))
            rows.append(row)
        means = [number(geometric_mean(gains[frames]), "%.1f") for frames in ("1", "25")]
        rows.append(["**geometric mean**"] + [""] * (1 + len(modes)) + means)
        header = [title + ", ns an operation", "untraced"] + [MODE_TITLES[mode] for mode in modes]
        parts.append(table(header + ["stock / ours, 1", "stock / ours, 25"], rows))
    return "\n\n".join(parts)


def _memory(memory):
    rows = []
    for name, case in memory.items():
        modes = [mode for mode in case["runs"] if mode != "untraced"]
        plain = median(case["runs"]["untraced"], "grown") * 1024 / case["blocks"]
        rows.append([getattr(special, name).__doc__, thousands(case["blocks"]), "%.1f" % plain]
                    + ["+%.1f" % targets.bytes_per_block(case, mode) for mode in modes])  # fmt: skip
    return table(["bytes a live block", "blocks", "untraced"] + [MODE_TITLES[mode] for mode in modes], rows)


def _explosions(explosions):
    rows = []
    for name, runs in explosions.items():
        plain = runs["untraced"][0]
        row = [getattr(special, name).__doc__, "%.2f s" % plain["cpu"], "%.1f MiB" % (plain["resident"] / 1024)]
        for mode in runs:
            if mode != "untraced":
                run = runs[mode][0]
                row.append("%.1fx, %.1f MiB" % (run["cpu"] / plain["cpu"], run["resident"] / 1024))
        lost = runs["lean 25"][0]
        rows.append(row + [lost["lost_blocks"], lost["lost_frames"]])
    modes = [MODE_TITLES[mode] for mode in runs if mode != "untraced"]
    return table(["", "time", "peak"] + modes + ["blocks lost", "frames lost"], rows)


def _life(life):
    rows = [
        ["start() and stop(), %s frames" % frames, life["cycles ours " + frames], life["cycles stock " + frames], ""]
        for frames in ("1", "25")
    ]
    rows.append(["a day of requests, 25 frames", life["day lean 25"], "", life["day untraced"]])
    return table(["growth in KiB", "tracemortem", "tracemalloc", "untraced"], rows)


def _threads(runs):
    modes = list(runs)
    rows = []
    for pair in runs["untraced"][0]["pairs"]:
        row = [pair]
        for mode in modes:
            one = runs[mode][0]["pairs"][pair]
            row.append("%.2fx (%.2f s)" % (one["together"] / one["in turn"], one["in turn"]))
        rows.append(row)
    return table(["at once against in turn"] + [MODE_TITLES.get(mode, mode) for mode in modes], rows)


def _reading(rows):
    cells = [
        [
            row["command"],
            thousands(row["blocks"]),
            "%s, %s" % (row["debugger"], row["place"]),
            "%.2f" % (row["seconds"] * 1e3),
            "%.2f" % (row["cpu"] * 1e3),
            "%.2f" % (row["reading"] * 1e3),
            thousands(round(row["bytes"] / 1024)),
            "%.1f" % (row["grown"] / 1024),
            "%.1f" % (row["silence"] * 1e3),
        ]
        for row in sorted(rows, key=lambda row: (row["command"], row["blocks"]))
    ]
    header = [
        "command",
        "live blocks",
        "where",
        "ms",
        "processor",
        "reading",
        "KiB read",
        "memory grown, MiB",
        "deaf, ms",
    ]
    return table(header, cells, left=3)


# -- the page

_MARKED = re.compile(r"(<!-- bench: ([a-z]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def fill(page, made):
    """The page with the new sections; it keeps the others as they are."""
    names = {match.group(2) for match in _MARKED.finditer(page)}
    missing = set(made) - names
    if missing:
        raise ValueError("the page has no place for: %s" % ", ".join(sorted(missing)))

    def put(match):
        text = made.get(match.group(2))
        return match.group(0) if text is None else "%s\n%s\n\n%s" % (match.group(1), text, match.group(4))

    return _MARKED.sub(put, page)


def write_page(template, path, made):
    """Write the template's page, filled. A file other than the template gets the new sections only."""
    with open(template, encoding="utf-8") as file:
        page = file.read()
    if path != template:
        page = _MARKED.sub(lambda match: "%s\nNot measured in this run.\n\n%s" % (match.group(1), match.group(4)), page)
    with open(path, "w", encoding="utf-8") as file:
        file.write(fill(page, made))
