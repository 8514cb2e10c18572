"""numpy's arrays: their data is in domain 389047."""

import os
import sys

import numpy

arrays = [numpy.zeros(1000) for _ in range(50)]  # 389047: 30 x 8000
grid = numpy.zeros((100, 1000))  # 389047: 1 x 800000
row = grid[3]
text = numpy.array(["abc"] * 5000)  # 389047: 1 x 60000
for number in range(20):
    arrays[number] = None
for number in range(10):
    arrays[number] = numpy.arange(3000, dtype="int16")  # 389047: 10 x 6000
os.write(int(os.environ["TM_READY"]), b"ready\n")
sys.stdin.readline()
