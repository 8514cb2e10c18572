"""pygments: a module of the standard library coloured for HTML and for a terminal."""

import textwrap

from pygments import highlight
from pygments.formatters import HtmlFormatter, TerminalFormatter
from pygments.lexers import PythonLexer


def run():
    with open(textwrap.__file__, encoding="utf-8") as file:
        source = file.read()
    for _ in range(2):
        highlight(source, PythonLexer(), HtmlFormatter(linenos=True))
    highlight(source, PythonLexer(), TerminalFormatter())
