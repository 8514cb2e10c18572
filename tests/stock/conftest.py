"""Stock processes: programs under CPython's own tracemalloc that never loaded our tracer.

Strategy: the oracle (tests/oracle) compares whole programs to the byte. Here are the states in which a program cannot
stop itself (a table in the middle of a change), tables that cannot be found, and comparisons across kinds of tables.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]
