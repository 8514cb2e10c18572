"""sqlite3: rows into a table and out again."""

import sqlite3


def run():
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, value REAL)")
    connection.executemany("INSERT INTO item VALUES (?, ?, ?)", ((i, "item %d" % i, i * 0.5) for i in range(25000)))
    for limit in range(5):
        rows = connection.execute("SELECT * FROM item WHERE value > ? ORDER BY name", (limit,)).fetchall()
        sum(row["value"] for row in rows)
