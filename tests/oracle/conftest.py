"""The oracle: generated programs stop, and tracemalloc, asked inside of them, and the debuggers, asked outside, agree.

Strategy: a program copies its own traces and stops in the same instant, without allocating anything in between that
tracing would see (target.py tells how). gdb and lldb are asked about the stopped process and its core; then the process
goes on, and tracemalloc's own classes answer the same questions from the copy. All texts must be equal to the byte.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
sys.path.insert(0, HERE)
