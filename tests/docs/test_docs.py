"""The documents name what is there: files, links, make's targets, commands, options, and figures which the code has too.

Strategy: find each kind of name in the documents' text, and look it up in the source tree or ask the built engine.
(docs/layout.md and its header are compared in tests/layout.)
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
    """The names below the source tree which match, in order."""
    found = [name for pattern in patterns for name in glob.glob(os.path.join(ROOT, pattern), recursive=True)]
    return sorted(os.path.relpath(name, ROOT) for name in found if os.path.isfile(name))


DOCUMENTS = files("*.md", "docs/*.md", "tests/*.md")
MAKEFILES = files("Makefile", "*.mk", "*/**/*.mk")
SOURCES = files("src/**/*.[ch]", "src/**/*.py", "gdb/*.py", "lldb/*.py", "tests/**/*.py", "tests/**/*.[ch]") + MAKEFILES


def paragraphs(text):
    """The text with its line breaks inside of paragraphs taken out."""
    return re.sub(r"(?<=\S)\n *(?=[^\s|#>*-])", " ", text)


def plain(text):
    """The text without blocks of code, and with one space for each run of blanks."""
    return re.sub(r"\s+", " ", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


# -- what is named ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_which_a_document_names_are_there(document):
    named = re.findall(r"(?<![\w/.…-])(?:src|gdb|lldb|tests|docs|\.ci)/[\w./*-]*", read(document))
    missing = {name for name in named if not glob.glob(os.path.join(ROOT, name.rstrip(".-/")))}
    assert not missing


def anchors(text):
    """The names by which a document's headings are linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_a_heading_which_is_there(document):
    links = re.findall(r"\]\(([^)\s]+)\)", read(document))
    for link in links:
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
        assert os.path.exists(os.path.join(ROOT, target)), link
        assert not anchor or anchor in anchors(read(target)), link


def make_targets():
    text = "\n".join(map(read, MAKEFILES)).replace("\\\n", " ")
    return {name for line in re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE) for name in line.split()}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_targets_of_make_which_a_document_names_are_there(document):
    text = read(document)
    calls = re.findall(r"`make ([^`]*)`", plain(text)) + re.findall(r"^ +make ([^#\n]*)", text, re.MULTILINE)
    named = {word for call in calls for word in call.split() if re.fullmatch(r"[a-z][a-z0-9-]*", word)}
    assert named <= make_targets()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_variables_of_the_environment_which_a_document_names_are_read_somewhere(document):
    named = set(re.findall(r"\b(?:TRACEMORTEM|TM_TEST|TM_ORACLE|FUZZ|TORN)_[A-Z]+\b", read(document)))
    code = "\n".join(map(read, SOURCES))
    assert {name for name in named if not re.search(r"\b%s\b" % name, code)} == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_functions_of_the_engine_which_a_document_names_are_there(document):
    named = set(re.findall(r"\b(tm_\w+)\(\)", read(document)))
    code = "\n".join(read(name) for name in SOURCES if name.startswith("src/engine/"))
    assert {name for name in named if not re.search(r"\b%s\(" % name, code)} == set()


# -- what the engine says ---------------------------------------------------------------------------------------------


def engine():
    library = ctypes.CDLL(ENGINE)
    library.tm_command_name.restype = library.tm_command_help.restype = ctypes.c_char_p
    library.tm_command_name.argtypes, library.tm_command_help.argtypes = [ctypes.c_size_t], [ctypes.c_char_p]
    return library


def helps():
    """{command: its help}, in the engine's order."""
    library, found = engine(), {}
    while library.tm_command_name(len(found)):
        name = library.tm_command_name(len(found))
        found[name.decode()] = library.tm_command_help(name).decode()
    return found


def test_the_readme_lists_the_commands_in_the_engines_order():
    assert re.findall(r"^\| `(tm-\w+)", read("README.md"), re.MULTILINE) == list(helps())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_which_a_document_names_are_there(document):
    text = read(document)
    examples = re.findall(r"(?:example is|command) (?:a command )?`(tm-\w+)`", text) if "contributing" in document else []
    named = set(re.findall(r"(?<![\w-])tm-[a-z]+\b(?!\.)", text))
    assert named - set(examples) <= set(helps())


def test_options_which_the_readme_lists_are_options_of_each_command_it_lists_them_for():
    lists = re.findall(r"Options of ([^:]*): ([^.]*)\.", plain(read("README.md")))
    assert lists
    for commands, options in lists:
        for command in re.findall(r"`(tm-\w+)`", commands):
            for option in re.findall(r"`(-[\w-]+)", options):
                assert re.search(r"^  .*(?<![\w-])%s\b" % option, helps()[command], re.MULTILINE), (command, option)


# -- figures ----------------------------------------------------------------------------------------------------------

NUMBERS = "no one two three four five six seven eight nine ten".split()


def callbacks(struct):
    """The names of the functions in a struct of the engine's header, in their order."""
    body = re.search(r"^struct %s \{(.*?)^\};" % struct, read(HEADER), re.MULTILINE | re.DOTALL).group(1)
    return re.findall(r"^    [^/\n]*\(\*(\w+)\)", body, re.MULTILINE)


@pytest.mark.parametrize("document, pattern", [("docs/design.md", r"(\w+) callbacks \(([^)]*)\)")])
def test_a_list_of_callbacks_is_that_of_the_header(document, pattern):
    told = re.findall(pattern, plain(read(document)))
    assert [re.findall(r"`(\w+)`", names) for _, names in told] == [
        callbacks("tm_target_callbacks"),
        callbacks("tm_host_callbacks"),
    ]
    assert [number for number, _ in told] == [NUMBERS[len(re.findall("`", names)) // 2] for _, names in told]


def test_the_map_shows_the_callbacks_of_the_header():
    text = read("docs/architecture.md")
    for side, struct in (("target", "tm_target_callbacks"), ("host", "tm_host_callbacks")):
        assert re.search(r"\b%s: (.*)$" % side, text, re.MULTILINE).group(1).split(", ") == callbacks(struct)


def number(name, pattern):
    """A figure of a source file, where the pattern has it; shifts and all."""
    text = re.search(pattern, read(name)).group(1)
    assert re.fullmatch(r"[\d\s<]+", text), text
    base, _, shift = text.partition("<<")
    return int(base) << int(shift or 0)


FIGURES = [
    ("README.md", r"at most N allocation sites \((\d+)\)", "src/tracer/table.h", r"RECORDS_DEFAULT = ([\d <]+)"),
    ("docs/layout.md", r"N is (\d+),", "src/tracer/table.h", r"RECORDS_DEFAULT = ([\d <]+)"),
    ("docs/design.md", r"Those which .*? (\d+) sites", None, None),
]


def test_the_version_is_the_packages():
    version = re.search(r'^__version__ = "(.*)"', read("src/python/tracemortem/__init__.py"), re.MULTILINE).group(1)
    assert re.search(r"^## Status\n+(\S+), the first version", read("README.md"), re.MULTILINE).group(1) == version
