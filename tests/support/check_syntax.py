"""Checks that the Python files named on the command line have the syntax of Python 3.8.

The check is exact if there is a Python 3.8. Else this Python reads the files as far as it can like 3.8.
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
