"""Threads, signals, forks and other processes, all at once; prints the results: `storm.py [FORKS]`.

Signal handlers allocate, in Python and in C. Threads allocate with the interpreter's lock and without. Meanwhile the
process forks, and starts others by posix_spawn, vfork and exec. The results do not depend on how these mix.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading

RAW = ctypes.CDLL(None)  # its calls release the interpreter's lock
RAW.PyMem_RawMalloc.restype = RAW.PyMem_RawRealloc.restype = ctypes.c_void_p
RAW.PyMem_RawMalloc.argtypes = [ctypes.c_size_t]
RAW.PyMem_RawRealloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
RAW.PyMem_RawFree.argtypes = [ctypes.c_void_p]

signals = [0]
results = []


def on_signal(number, frame):
    signals[0] += 1
    results_of_handler = [bytearray(50), {signals[0]: str(signals[0])}, [0.5] * 10]
    del results_of_handler


def allocate(rounds):
    total = 0
    for n in range(rounds):
        kept = [bytearray(n % 700), {n: n}, (n, float(n)), str(n) * 3]
        total += len(kept[0]) + len(kept[3])
    results.append(total)


def allocate_raw(rounds):
    for n in range(rounds):
        block = RAW.PyMem_RawMalloc(n % 900)
        block = RAW.PyMem_RawRealloc(block, n % 1300 + 1)
        RAW.PyMem_RawFree(block)
    results.append(rounds)


def forks(count):
    """Statuses of children which allocate and end in their several ways."""
    statuses = []
    for n in range(count):
        pid = os.fork()
        if pid == 0:
            signal.setitimer(signal.ITIMER_REAL, 0)
            kept = [[bytearray(100)] * 10 for _ in range(200)]
            if n % 4 == 3:
                os.execv("/bin/sh", ["sh", "-c", "exit 3"])
            os._exit(len(kept) % 7)
        statuses.append(os.waitpid(pid, 0)[1] >> 8)
    return statuses


def others():
    words = [sys.executable, "-S", "-c", "print(sum(len(str(n)) for n in range(3000)))"]
    texts = [subprocess.check_output(words)]
    pid = os.posix_spawn(words[0], words[:3] + ["pass"], os.environ)
    texts.append(os.waitpid(pid, 0)[1])
    texts.append(subprocess.call(["/bin/true"], close_fds=False))
    return texts


def main():
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, on_signal)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    signal.setitimer(signal.ITIMER_PROF, 0.0007, 0.0007)
    threads = [threading.Thread(target=allocate, args=(4000,)) for _ in range(2)]
    threads += [threading.Thread(target=allocate_raw, args=(4000,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    outcome = [forks(int(sys.argv[1]) if sys.argv[1:] else 12), others()]
    for thread in threads:
        thread.join()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.setitimer(signal.ITIMER_PROF, 0)
    outcome += [sorted(results), signals[0] > 5]
    os.write(int(os.environ["TM_READY"]), (repr(outcome) + "\n").encode())
    sys.stdin.readline()


main()
