"""Checks that the Python files named on the command line are in the syntax of Python 3.8.

By a Python 3.8 if there is one, which is exact; else by this Python, asked to read them as 3.8 would.
"""

import ast
import subprocess
import sys

import pythons


def main(files):
    oldest = pythons.find()[0]
    if sys.version_info[:2] != (3, 8) and oldest.version[:2] == (3, 8):
        return subprocess.call([oldest.path, "-B", __file__] + files)
    exact = sys.version_info[:2] == (3, 8)
    bad = 0
    for name in files:
        try:
            with open(name, "rb") as file:
                source = file.read()
            ast.parse(source, name, feature_version=(3, 8))
            compile(source, name, "exec", dont_inherit=True)
        except SyntaxError as error:
            print("%s:%s: %s" % (name, error.lineno, error.msg), file=sys.stderr)
            bad += 1
    doubt = "" if exact else " (as far as this Python can tell)"
    print("%d Python files, %d not in the syntax of 3.8%s" % (len(files), bad, doubt))
    return bad > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
