"""concurrent.futures and queue: threads which share work."""

import concurrent.futures
import queue
import threading


def digits(number):
    return sum(int(digit) for digit in str(3**number))


def run():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(digits, range(100, 1500)))
    jobs, done = queue.Queue(50), queue.Queue()

    def work():
        for job in iter(jobs.get, None):
            done.put((job, str(job) * 2))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for job in list(range(15000)) + [None] * 3:
        jobs.put(job)
    for thread in threads:
        thread.join()
    assert done.qsize() == 15000
