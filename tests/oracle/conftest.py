"""The oracle: generated programs stop; tracemalloc inside them and the debuggers outside must give the same answers.

Strategy: a program copies its own traces and stops at once. In between it allocates nothing that tracing would see
(target.py explains how). gdb and lldb answer questions about the stopped process and its core. Then the process
continues, and tracemalloc's own classes answer the same questions from the copy. All texts must be equal to the byte.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
sys.path.insert(0, HERE)
