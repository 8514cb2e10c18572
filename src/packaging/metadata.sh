# Prints the metadata of the Python package: sh metadata.sh VERSION
set -eu

cat <<END
Metadata-Version: 2.1
Name: tracemortem
Version: $1
Summary: tracemalloc from outside: who allocated the memory of a stopped Python process or its core, in gdb and lldb
License: MIT
Keywords: memory,leak,tracemalloc,gdb,lldb,core dump
Classifier: Development Status :: 4 - Beta
Classifier: Intended Audience :: Developers
Classifier: Operating System :: POSIX :: Linux
Classifier: Programming Language :: C
Classifier: Programming Language :: Python :: 3
Classifier: Programming Language :: Python :: Implementation :: CPython
Classifier: Topic :: Software Development :: Debuggers
Classifier: Typing :: Typed
Requires-Python: >=3.8
Description-Content-Type: text/markdown

END
cat README.md
