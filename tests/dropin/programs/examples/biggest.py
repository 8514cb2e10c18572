# The traceback that holds the most memory.
import linecache
import tracemalloc

import application

tracemalloc.start(25)

application.run()

snapshot = tracemalloc.take_snapshot()
biggest = snapshot.statistics("traceback")[0]
print("%s memory blocks: %.1f KiB" % (biggest.count, biggest.size / 1024))
for frame in biggest.traceback:
    print('  File "%s", line %s' % (frame.filename, frame.lineno))
    line = linecache.getline(frame.filename, frame.lineno).strip()
    if line:
        print("    " + line)
print("\n".join(biggest.traceback.format()))
