"""Finds words that this project does not use in help texts, messages, comments and documents.

Usage: check_words.py [FILE...]

Without FILE: the sources, tests and documents of the folder above. CHANGELOG.md is history and is not read. Prints
file:line, the words found and what to write instead. Exits with 1 if it finds any.
"""

import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PLACES = ("README.md", "Makefile", "docs", "gdb", "lldb", "src", "tests")
SUFFIXES = (".c", ".h", ".py", ".md", ".mk", ".sh", "Makefile")
LEFT_OUT = ("tests/fuzz/corpus", "tests/support/check_words.py", "tests/support/test_check_words.py")

# A pattern, and what to write instead. A space matches all blanks, also the end of a line and the comment sign or quote
# that begins the next. An underscore is a blank, for names of tests. Python's None is no match for "none". Allowed are
# "stands for", "stands in for", "are told apart" and "there is none", and words that only contain one of these, such as
# "understands".
WORDS = (
    (r"[Tt]old of", '"knows", "hears of", or name who says it'),
    (r"[Tt]ells? of", '"says", "reports", "is about"'),
    (r"(is|are|was|were) told(?! apart)", '"says", "shows", "gets"'),
    (r"([Ss]tand|[Ss]tands|[Ss]tood)(?! (in )?for)", '"is", "are", "was"'),
    (r"[Aa]new", '"again", "new"'),
    (r"[Ww]hoever", '"the thread that", "the caller that", "code that"'),
    (r"(?<!there\x20)(is|are|was|were) none", '"is not there", "there is no …"'),
    (r"asks nobody", "say what it does"),
    (r"[Nn]obody listens", "say what is missing"),
    (r"[Ff]or want of", '"without", "because there is no …"'),
    (r"(has|have|had) to say", '"says"'),
    (r"to be had", '"available"'),
    (r", be it", '"whether", "also"'),
    (r"in no traced block", '"no traced block contains"'),
    (r"all it says", '"is consistent"'),
    (r"runs on untraced", '"continuing without tracing"'),
    (r"fault of its own", '"internal error"'),
    (r"for ever new", '"never stops producing new"'),
)

# What begins and ends a line without being part of its sentence: blanks, comment signs, quotes of C strings.
_MARGIN = re.compile(r'^[\s"/*#>]+|(\\n)?"?[\s\\]*$')


def _joined(lines):
    """The text as one line, and the offset at which each line of the file begins in it."""
    starts, pieces, length = [], [], 0
    for line in lines:
        piece = _MARGIN.sub("", line).replace("_", " ") + " "
        starts.append(length)
        pieces.append(piece)
        length += len(piece)
    return "".join(pieces), starts


def offences(text):
    """Yields (line, words, advice) for each word that is not used."""
    joined, starts = _joined(text.splitlines())
    for pattern, advice in WORDS:
        for match in re.finditer(r"(?<![\w-])(?:%s)(?!\w)" % pattern.replace(" ", " +"), joined):
            line = sum(start <= match.start() for start in starts)
            yield line, match.group(), advice


def files():
    """The files to read, relative to the root."""
    for place in PLACES:
        path = os.path.join(ROOT, place)
        if os.path.isfile(path):
            yield place
        for folder, folders, names in os.walk(path):
            relative = os.path.relpath(folder, ROOT)
            folders[:] = sorted(
                f for f in folders if f not in ("build", "node_modules") and os.path.join(relative, f) not in LEFT_OUT
            )
            for name in sorted(names):
                if name.endswith(SUFFIXES) and os.path.join(relative, name) not in LEFT_OUT:
                    yield os.path.join(relative, name)


def main(arguments):
    names = arguments or list(files())
    found = 0
    for name in names:
        with open(name if arguments else os.path.join(ROOT, name), encoding="utf-8") as file:
            text = file.read()
        for line, words, advice in sorted(offences(text)):
            print('%s:%d: "%s": write %s' % (name, line, words, advice))
            found += 1
    print("%d files, %d words that are not used here" % (len(names), found))
    return found > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
