"""Threads that come and go, some of them daemons, one after the other and in parallel. What they kept stays at their lines."""

import os
import sys
import threading

kept = [[None] * 40 for _ in range(12)]


def work(number):
    for i in range(40):
        kept[number][i] = bytes(467)  # 240 x 500
    for i in range(20):
        kept[number][i] = None
    for i in range(20):
        kept[number][i] = bytes(567)  # 120 x 600


def work_and_forget(number):
    for i in range(10, 20):
        kept[number][i] = None


for n in range(12):
    thread = threading.Thread(target=work, args=(n,), daemon=n % 2 == 0)
    thread.start()
    if n % 3 == 0:
        thread.join()
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
for n in range(12):
    thread = threading.Thread(target=work_and_forget, args=(n,))
    thread.start()
    thread.join()
for row in kept:
    row[20:30] = row[20:30]
os.write(int(os.environ["TM_READY"]), b"%d\n" % os.getpid())
sys.stdin.readline()
