"""Opens a table of the lake as a plain Delta table, with deltalake and with DuckDB.

    python3 tests/python/open_lake.py TABLE_FOLDER

Prints one JSON object: the Delta version, the columns, and the number of rows as each reader sees
them. Exits 1 if the readers do not agree. `_ingested_at` (when a row was taken) is the lake's own
column: these readers see it, the lake's snapshots hide it. Rows still in memory or in the log are
not in the Delta table; `flush` seals them.

Needs: pip install deltalake duckdb pyarrow
"""

import json
import sys

import duckdb
from deltalake import DeltaTable


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = sys.argv[1]
    table = DeltaTable(folder)
    arrow = table.to_pyarrow_dataset()
    by_deltalake = arrow.to_table().num_rows
    by_actions = sum(
        batch["num_records"] for batch in table.get_add_actions(flatten=True).to_struct_array().to_pylist()
    )

    connection = duckdb.connect()
    # The files that the Delta version names, read by DuckDB's own Parquet reader: its Delta
    # extension has to be downloaded, which a test must not depend on.
    files = table.file_uris()
    by_duckdb = 0
    if files:
        by_duckdb = connection.execute("SELECT count(*) FROM read_parquet($1, union_by_name = true)", [files]).fetchone()[0]
    readers = {"deltalake": by_deltalake, "duckdb": by_duckdb, "statistics": by_actions}
    try:
        connection.execute("LOAD delta")
        readers["duckdb_delta"] = connection.execute(f"SELECT count(*) FROM delta_scan('{folder}')").fetchone()[0]
    except duckdb.Error:
        pass  # The extension is not installed here.

    columns = [field.name for field in table.schema().fields]
    print(json.dumps({"version": table.version(), "columns": columns, "rows": readers}))
    if len(set(readers.values())) != 1:
        print(f"the readers do not agree: {readers}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
