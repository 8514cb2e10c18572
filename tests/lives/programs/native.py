"""What an extension's code allocates: argv[1] is the folder with native_code. Says how large an AssertionError is."""

import os
import sys

sys.path.insert(0, sys.argv[1])

import native_code  # noqa: E402

kept, errors = [], []
SOURCE = """
# Its third line has 50 x 300.
kept.append(bytes(267))
"""


def of_thread():
    kept.append(bytes(367))  # 40 x 400


for _ in range(70):
    try:
        native_code.fail()
    except ValueError:
        kept.append(bytes(167))  # 70 x 200
for _ in range(50):
    native_code.evaluate(SOURCE, "compiled_in_c.py", {"kept": kept, "__builtins__": __builtins__})
for _ in range(40):
    assert native_code.call_in_thread(of_thread)
for _ in range(60 if sys.version_info >= (3, 11) else 0):
    try:
        native_code.evaluate_empty({})
    except AssertionError as error:
        errors.append(error.with_traceback(None))
os.write(int(os.environ["TM_READY"]), b"%d\n" % sys.getsizeof(AssertionError()))
sys.stdin.readline()
