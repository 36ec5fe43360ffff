"""DuckDB's side of the import figure: a CSV file to one Parquet file.

    import.py FILE.csv OUT.parquet THREADS

Prints one line of JSON. The column types are given, as a contract gives them to us; every row is
converted and a row that does not convert would stop it.
"""

import json
import os
import resource
import sys
import time

import duckdb

file, out, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = duckdb.connect(config={"threads": threads})
started = time.perf_counter()
connection.execute(
    """
    COPY (SELECT * FROM read_csv(?, header = true, columns = {
        'series': 'VARCHAR', 'area': 'VARCHAR', 'observed_at': 'TIMESTAMPTZ',
        'value': 'DOUBLE', 'status': 'BIGINT'}))
    TO '%s' (FORMAT parquet, COMPRESSION zstd)
    """
    % out.replace("'", "''"),
    [file],
)
with open(out, "rb") as written:
    # What we acknowledge is on the disk; so is what the peer wrote.
    os.fsync(written.fileno())
seconds = time.perf_counter() - started
rows = connection.execute("SELECT count(*) FROM read_parquet(?)", [out]).fetchone()[0]
peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"values": {"seconds": [seconds], "rows": [rows]}, "peak_mib": peak_mib}))
