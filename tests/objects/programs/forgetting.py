"""Uses an extension module that forgets to release references, at lines that the tests know by their comments."""

import os
import sys

sys.path.insert(0, sys.argv[1])
import forgetful  # noqa: E402


def lose_labels(kept):
    dropped = []
    for number in range(500):
        forgetful.append_label(kept, number)  # kept label
        forgetful.append_label(dropped, number)  # lost label


def lose_rows():
    rows = [{"row": number} for number in range(300)]  # lost row
    return forgetful.weigh(rows)


labels = []
lose_labels(labels)
assert lose_rows() == 300
os.write(int(os.environ["TM_READY"]), b"ready\n")
sys.stdin.readline()
