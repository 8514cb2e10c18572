"""asyncio: producers, a queue, workers, and time-outs."""

import asyncio


async def produce(queue, first):
    for i in range(first, first + 600):
        await queue.put({"number": i, "text": str(i)})
        if i % 10 == 0:
            await asyncio.sleep(0)


async def work(queue, results):
    while True:
        job = await asyncio.wait_for(queue.get(), 10)
        if job is None:
            return
        results.append(job["number"] + len(job["text"]))


async def main():
    queue, results = asyncio.Queue(20), []
    workers = [asyncio.ensure_future(work(queue, results)) for _ in range(8)]
    await asyncio.gather(*(produce(queue, first) for first in range(0, 12000, 600)))
    for _ in workers:
        await queue.put(None)
    await asyncio.gather(*workers)
    assert len(results) == 12000


def run():
    asyncio.run(main())
