"""numpy alone: arrays that are used, one of which only a part is, and an array over memory of Python's."""

import os

import numpy

used = numpy.ones(4 << 20)
partly = numpy.zeros(8 << 20)
partly[: 1 << 20] = 1
of_python = bytearray(5 << 20)
view = numpy.frombuffer(of_python, dtype=numpy.uint8)
many = [numpy.ones(1000) for _ in range(2000)]
os.write(int(os.environ["TM_READY"]), b"ready\n")
input()
