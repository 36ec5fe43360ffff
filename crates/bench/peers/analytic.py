"""DuckDB's side of the analytic figure: the same queries over the same Parquet files.

    analytic.py LAKE_TABLE_FOLDER ROUNDS THREADS < queries.json

Queries come as a JSON object of name to SQL over a table `reading`. Prints one line of JSON with
the seconds of every round of every query; the first, cold round is not counted.
"""

import json
import resource
import sys
import time

import duckdb
from deltalake import DeltaTable

folder, rounds, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
queries = json.load(sys.stdin)
connection = duckdb.connect(config={"threads": threads})
files = DeltaTable(folder).file_uris()
listed = ", ".join("'" + uri.removeprefix("file://").replace("'", "''") + "'" for uri in files)
connection.execute(f"CREATE VIEW reading AS SELECT * FROM read_parquet([{listed}])")
connection.execute("SET TimeZone = 'UTC'")

values = {"rows": connection.execute("SELECT count(*) FROM reading").fetchall()[0]}
for name, sql in queries.items():
    values[name] = []
    for turn in range(rounds + 1):
        started = time.perf_counter()
        connection.sql(sql).to_arrow_table()
        if turn > 0:
            values[name].append(time.perf_counter() - started)
peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"values": values, "peak_mib": peak_mib}))
