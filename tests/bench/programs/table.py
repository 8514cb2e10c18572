"""csv and statistics: a table written, read, grouped and summed up."""

import csv
import io
import statistics


def run():
    out = io.StringIO()
    writer = csv.DictWriter(out, ["day", "station", "degrees"])
    writer.writeheader()
    for i in range(25000):
        writer.writerow({"day": i // 50, "station": "station %d" % (i % 50), "degrees": "%.1f" % (i % 313 / 10)})
    stations = {}
    for row in csv.DictReader(io.StringIO(out.getvalue())):
        stations.setdefault(row["station"], []).append(float(row["degrees"]))
    for degrees in stations.values():
        statistics.mean(degrees), statistics.median(degrees)
