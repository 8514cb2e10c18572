"""sqlite3: databases in memory, with an index."""

import os
import sqlite3

databases = []
for number in range(3):
    database = sqlite3.connect(":memory:")
    database.execute("create table items (id integer primary key, name text, price real)")
    database.executemany("insert into items values (?, ?, ?)", ((i, "thing %d" % i, i / 7) for i in range(80000)))
    database.execute("create index by_name on items (name)")
    databases.append(database)
os.write(int(os.environ["TM_READY"]), b"ready\n")
input()
