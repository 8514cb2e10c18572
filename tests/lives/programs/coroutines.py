"""Tasks and generators that take turns: each block has the line of the one that ran."""

import asyncio
import os
import sys

kept = []


def numbers():
    for _ in range(30):
        kept.append(bytes(167))  # 120 x 200
        yield


async def task():
    for _ in range(20):
        kept.append(bytes(267))  # 100 x 300
        await asyncio.sleep(0)


async def agen():
    for _ in range(15):
        kept.append(bytes(367))  # 15 x 400
        yield 1


async def main():
    await asyncio.gather(*(task() for _ in range(5)))
    async for _ in agen():
        kept.append(bytes(467))  # 15 x 500


turns = [numbers() for _ in range(4)]
for _ in range(30):
    for one in turns:
        next(one)
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
os.write(int(os.environ["TM_READY"]), b"%d\n" % os.getpid())
sys.stdin.readline()
