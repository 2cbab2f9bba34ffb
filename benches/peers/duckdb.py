"""DuckDB on one thread: NDJSON, joined with who agreed, into three Parquet files. `duckdb.py FOLDER`.

The module must not find this file when it is imported, which has its name: the folder of the script leaves the path.
"""

import sys

sys.path.pop(0)

import resource

import duckdb


def busy():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


folder = sys.argv[1]
connection = duckdb.connect()
untimed, timed = open(f"{folder}/duckdb.sql").read().split("--timed\n")
for statement in untimed.split(";\n"):
    if statement.strip():
        connection.execute(statement)
start = busy()
for statement in timed.split(";\n"):
    if statement.strip():
        connection.execute(statement)
nanos = round((busy() - start) * 1e9)

rows, cells = [], []
for letter in "TRP":
    table = f"read_parquet('{folder}/duckdb_{letter}.parquet')"
    columns = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall() if row[0] != "type"]
    counts = ", ".join(f'count("{column}")' for column in columns)
    counted = connection.execute(f"SELECT count(*), {counts} FROM {table}").fetchone()
    rows.append(counted[0])
    cells.append(sum(counted[1:]))
print("nanos", nanos, "rows", *rows, "cells", *cells)
