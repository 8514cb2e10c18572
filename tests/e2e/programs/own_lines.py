"""A library allocates everything; two lines of this file lead to it, one of them three times as often."""

import gc
import json
import os
import sys

TEXT = json.dumps({"key %d" % number: ["value %d" % value for value in range(9)] for number in range(500)})
kept = []


def orders():
    kept.append(json.loads(TEXT))  # orders


def reports():
    kept.append(json.loads(TEXT))  # reports


gc.disable()
for round_ in range(8):
    (reports if round_ % 4 == 3 else orders)()
os.write(int(os.environ["TM_READY"]), b"ready\n")
sys.stdin.readline()
