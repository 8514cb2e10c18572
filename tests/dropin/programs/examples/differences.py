# What grew between two snapshots.
import tracemalloc

import application

tracemalloc.start()
application.run()

before = tracemalloc.take_snapshot()
application.leak()
after = tracemalloc.take_snapshot()

print("[ Top 10 differences ]")
for difference in after.compare_to(before, "lineno")[:10]:
    print(difference)
