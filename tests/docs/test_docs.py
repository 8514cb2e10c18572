"""The documents name only what exists: files, links, targets of make, commands, options, and figures that the code has.

Strategy: find each kind of name in the text of the documents, and look it up in the source tree, or ask the built
engine. (tests/layout compares docs/layout.md with its header.)
"""

import ctypes
import glob
import os
import re

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENGINE = os.path.join(ROOT, "build", "lib", "libtracemortem.so")
HEADER = "src/engine/tracemortem.h"


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def files(*patterns):
    """The names of the files that match, from the top of the source tree, in order."""
    found = {name for pattern in patterns for name in glob.glob(os.path.join(ROOT, pattern), recursive=True)}
    names = (os.path.relpath(name, ROOT) for name in found if os.path.isfile(name))
    return sorted(name for name in names if "node_modules" not in name.split(os.sep))


DOCUMENTS = files("*.md", "docs/*.md", "tests/*.md")
MAKEFILES = files("Makefile", "*.mk", "src/**/*.mk", "tests/**/*.mk")
SOURCES = files(
    "src/**/*.[ch]", "src/**/*.py", "gdb/*.py", "lldb/*.py", "tests/**/*.[ch]", "tests/**/*.py", "tests/**/*.sh"
)
CODE = "\n".join(read(name) for name in SOURCES + MAKEFILES if name != "tests/docs/test_docs.py")


def without_blocks(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def prose(document):
    """The text of a document without its blocks of output, and on one line."""
    return re.sub(r"\s+", " ", without_blocks(read(document)))


# Files and a command which a document makes up for its example.
INVENTED = {
    "docs/contributing.md": {"cmd_sites.c", "folded.c", "3.16.h", "3.16t.h", "ring.h", "ring.c", "tm-sites"},
    "docs/layout.md": {"app.py"},
    "docs/tracemalloc.md": {"shop.py"},
    "tests/README.md": {"fuzz_NAME.c"},
}


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_a_document_names_exist(document):
    named = re.findall(r"(?<![\w/.…-])(?:src|gdb|lldb|tests|docs|\.ci)/[\w./*-]*", read(document))
    assert [name for name in named if not glob.glob(os.path.join(ROOT, name.rstrip(".-/")))] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_a_document_names_without_their_folder_exist(document):
    named = set(re.findall(r"`([\w.]+\.(?:[ch]|py|mk|md))`", read(document)))
    there = {os.path.basename(name) for name in DOCUMENTS + MAKEFILES + SOURCES}
    assert named - there - INVENTED.get(document, set()) == set()


def anchors(text):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_a_file_and_a_heading_that_exist(document):
    for link in re.findall(r"\]\(([^)\s]+)\)", read(document)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
        assert os.path.exists(os.path.join(ROOT, target)), link
        assert not anchor or anchor in anchors(read(target)), link


def targets_of_make():
    text = "\n".join(map(read, MAKEFILES))
    return {name for line in re.findall(r"^([a-z][\w -]*):(?!=)", text, re.MULTILINE) for name in line.split()}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_targets_of_make_that_a_document_names_exist(document):
    calls = re.findall(r"`make ([^`]*)`", prose(document)) + re.findall(r"^ {4}make ([^#\n]*)", read(document), re.M)
    named = {word for call in calls for word in call.split() if re.fullmatch(r"[a-z][a-z0-9-]*", word)}
    assert named - targets_of_make() == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_variables_that_a_document_names_are_used_somewhere(document):
    named = set(re.findall(r"\b(?:TRACEMORTEM|TM_TEST|TM_ORACLE|FUZZ|TORN)_[A-Z_]+\b", read(document)))
    assert {name for name in named if not re.search(r"\b%s\b" % name, CODE)} == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_functions_of_the_engine_that_a_document_names_exist(document):
    named = set(re.findall(r"\b(tm_\w+)\(\)", read(document)))
    assert {name for name in named if not re.search(r"\b%s\(" % name, CODE)} == set()


# -- commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def helps():
    """{command: its help}, in the order of the engine."""
    engine, found = ctypes.CDLL(ENGINE), {}
    engine.tm_command_name.restype = engine.tm_command_help.restype = ctypes.c_char_p
    engine.tm_command_name.argtypes, engine.tm_command_help.argtypes = [ctypes.c_size_t], [ctypes.c_char_p]
    while engine.tm_command_name(len(found)):
        name = engine.tm_command_name(len(found))
        found[name.decode()] = engine.tm_command_help(name).decode()
    return found


# What changes the process is not the engine's (src/python/tracemortem/debugger/switch.py).
SWITCH = ["tm-start", "tm-stop"]


def test_the_readme_lists_the_commands_in_the_order_of_the_engine(helps):
    listed = re.findall(r"^\| `(tm-\w+)", read("README.md"), re.MULTILINE)
    assert [name for name in listed if name not in SWITCH] == list(helps)
    assert SWITCH[0] in listed


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_that_a_document_names_exist(document, helps):
    named = set(re.findall(r"(?<![\w.-])tm-[a-z]+\b", read(document)))
    assert named - INVENTED.get(document, set()) - set(helps) - set(SWITCH) == set()


def test_the_readme_lists_options_only_for_commands_that_have_them(helps):
    lists = re.findall(r"Options of ([^:]*): ([^.]*)\.", prose("README.md"))
    assert len(lists) >= 3
    for commands, options in lists:
        for command in re.findall(r"`(tm-\w+)`", commands):
            listed = helps[command].split("\nOptions:\n")[1]
            for option in re.findall(r"`(-[\w-]+)", options):
                assert re.search(r"^  .*(?<![\w-])%s\b" % option, listed, re.MULTILINE), (command, option)


# -- figures ----------------------------------------------------------------------------------------------------------

WORDS = "no one two three four five six seven eight nine ten eleven".split()


def callbacks(struct):
    """The functions in a struct of the engine's header, in their order."""
    body = re.search(r"^struct %s \{(.*?)^\};" % struct, read(HEADER), re.MULTILINE | re.DOTALL).group(1)
    return re.findall(r"^    [^/*\n][^/\n]*?\(\*(\w+)\)\(", body, re.MULTILINE)


def test_the_design_counts_the_callbacks_of_the_header():
    lists = re.findall(r"(\w+) callbacks \(([^)]*)\)", prose("docs/design.md"))
    names = [re.findall(r"`(\w+)`", text) for _, text in lists]
    assert names == [callbacks("tm_target_callbacks"), callbacks("tm_host_callbacks")]
    assert [count for count, _ in lists] == [WORDS[len(group)] for group in names]


def test_the_map_shows_the_callbacks_of_the_header():
    for side, struct in (("target", "tm_target_callbacks"), ("host", "tm_host_callbacks")):
        shown = re.search(r"\b%s: (.*)$" % side, read("docs/architecture.md"), re.MULTILINE).group(1)
        assert shown.split(", ") == callbacks(struct)


# A document, what it says, what the code says, and the former figure as it follows from the latter.
FIGURES = [
    ("README.md", r"allocation sites \((\d+)\)", r"RECORDS_DEFAULT = ([^,]+),", lambda n: n),
    ("docs/layout.md", r"N is (\d+),", r"RECORDS_DEFAULT = ([^,]+),", lambda n: n),
    ("docs/design.md", r"After (\d+) sites", r"RECORDS_DEFAULT = ([^,]+),", lambda n: n * 3 // 4),
    ("docs/layout.md", r"for each traceback, 1 to (\d+);", r"FRAME_LIMIT_MAX = (\d+)", lambda n: n),
    ("docs/tracemalloc.md", r"the greatest is (\d+),", r"FRAME_LIMIT_MAX = (\d+)", lambda n: n),
    ("docs/design.md", r"table begins with (\d+) entries", r"\bFIRST_LOG = (\d+)", lambda n: 1 << n),
    ("docs/design.md", r"at most (\d+) are kept", r"TM_HEAP_CACHE_LIMIT (\(.*\))", lambda n: n >> 20),
    ("docs/reliability.md", r"-th allocation \((\d+);", r"\bevery = text == NULL \? (\d+)", lambda n: n),
    ("docs/reliability.md", r"`TORN_CORES` of them \((\d+)\)", r"TORN_CORES \?= (\d+)", lambda n: n),
    ("docs/reliability.md", r"(\d+) such blocks are allowed", r"define LEFT_BEHIND (\d+)", lambda n: n),
    ("docs/reliability.md", r"up to (\d+) fields changed", r"define PATCHES (\d+)", lambda n: n),
    ("docs/reliability.md", r"at most (\d+) MiB at once", r"-malloc_limit_mb=(\d+)", lambda n: n),
    ("docs/reliability.md", r"below (\d+) MiB with the san", r"-rss_limit_mb=(\d+)", lambda n: n),
    ("docs/reliability.md", r"takes less than (\d+) s;", r"-timeout=(\d+) -max_total_time", lambda n: n),
]


def value(text):
    """A constant of C: a number, or one shifted to the left."""
    number, _, shift = re.sub(r"UINT64_C|[()\s]", "", text).partition("<<")
    return int(number) << int(shift or 0)


@pytest.mark.parametrize("document, told, coded, follows", FIGURES, ids=[row[1] for row in FIGURES])
def test_a_figure_in_a_document_is_that_of_the_code(document, told, coded, follows):
    figures = re.findall(coded, CODE)
    assert len(figures) == 1, figures
    assert [int(figure) for figure in re.findall(told, prose(document))] == [follows(value(figures[0]))]


def test_versions_are_those_of_the_package_and_of_the_header():
    package = re.search(r'^__version__ = "(.*)"', read("src/python/tracemortem/__init__.py"), re.MULTILINE).group(1)
    assert re.findall(r"(\d\S+), the first version", prose("README.md")) == [package]
    layout = ".".join(re.findall(r"define TM_LAYOUT_(?:MAJOR|MINOR) (\d+)", read("src/layout/trace_table.h")))
    told = [re.findall(r"layout (?:version )?(\d+\.\d+)", read(document)) for document in DOCUMENTS]
    assert {version for versions in told for version in versions} == {layout}
