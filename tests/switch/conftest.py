"""Tracing on and off in processes that run: from outside, and by a signal."""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE] + [os.path.join(os.path.dirname(HERE), other) for other in ("support", "cli")]
