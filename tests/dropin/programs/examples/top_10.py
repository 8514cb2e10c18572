# The ten lines that hold the most memory.
import tracemalloc

import application

tracemalloc.start()

application.run()

snapshot = tracemalloc.take_snapshot()
print("[ Top 10 ]")
for statistic in snapshot.statistics("lineno")[:10]:
    print(statistic)
