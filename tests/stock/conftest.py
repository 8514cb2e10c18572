"""Stock processes: programs under CPython's own tracemalloc, which never loaded our tracer, asked from outside.

Strategy: the oracle (tests/oracle) compares whole programs to the byte; here are the states which no program can be stopped in
from inside (a table in the middle of a change), what cannot be found, and what is compared across kinds of tables.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]
