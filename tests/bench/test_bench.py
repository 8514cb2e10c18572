"""The benchmark runs, and writes well-formed tables. The figures do not matter here."""

import os
import re
import subprocess
import sys

import pytest
from selection import thorough

pytestmark = thorough

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SELECTION = ["--parts", "start,programs,micro,memory", "--names", "json_documents,lists,kept_bytes", "--rounds", "1"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page which a quick run of a tiny selection writes."""
    path = tmp_path_factory.mktemp("bench") / "page.md"
    words = [sys.executable, os.path.join(HERE, "bench.py"), "--quick", "--page", str(path)] + SELECTION
    run = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=str(path.parent))
    assert run.returncode == 0, run.stderr.decode()
    return path.read_text(encoding="utf-8")


def section(page, name):
    return re.search(r"<!-- bench: %s -->\n(.*?)<!-- end -->" % name, page, re.DOTALL).group(1)


def tables(text):
    """The tables in a text, each a list of rows, which are lists of cells."""
    blocks = re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()] for block in blocks]


def test_a_quick_run_writes_well_formed_tables_for_what_it_measured(page):
    for name in ("machine", "targets", "programs", "start", "micro", "memory"):
        found = tables(section(page, name))
        assert found, name
        for rows in found:
            assert len(rows) > 2 and len({len(row) for row in rows}) == 1, name
            assert all(re.fullmatch("-+:?", cell) for cell in rows[1]), name


def test_the_tables_have_a_figure_for_each_mode(page):
    time, memory = tables(section(page, "programs"))
    for rows in (time, memory):
        (row,) = [row for row in rows if row[0] == "json_documents"]
        assert len(row) >= 5 and all(re.fullmatch(r"\d+\.\d\d", cell) for cell in row[2:])
        assert float(row[2]) > 0


def test_each_target_is_met_or_not_or_not_measured(page):
    rows = tables(section(page, "targets"))[0][2:]
    assert len(rows) > 15
    assert {row[-1] for row in rows} <= {"met", "**not met**", "–"}
    assert all((row[2] == "not measured") == (row[-1] == "–") for row in rows)


def test_what_was_not_measured_says_so_and_the_words_around_it_stay(page):
    assert "Not measured in this run." in section(page, "reading")
    assert "## Known limits" in page


def test_a_program_which_cannot_run_is_listed_with_its_reason():
    sys.path.insert(0, HERE)
    try:
        import report
    finally:
        sys.path.remove(HERE)
    text = report.sections(
        {
            "about": ABOUT,
            "pythons": {"3.13.0": {"programs": {"web_site": {"problem": "no module named 'cgi'"}}}},
        }
    )["programs"]
    assert "- web_site: no module named 'cgi'" in text


ABOUT = {"date": "", "commit": "", "quick": True, "processor": "", "cores": 1, "memory": 1, "kernel": "", "load": 0.0,
         "compiler": "", "debuggers": [], "pythons": {}}  # fmt: skip
