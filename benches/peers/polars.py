"""Polars on one thread: NDJSON, joined with who agreed, into three Parquet files. `polars.py FOLDER`.

Its reader stops at the first broken line, so it gets the sound ones only; its hash is not a cryptographic one. The module
must not find this file when it is imported, which has its name: the folder of the script leaves the path.
"""

import sys

sys.path.pop(0)

import json
import os
import resource

os.environ["POLARS_MAX_THREADS"] = "1"

import polars as pl


def busy():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


TYPES = {"bool": pl.Boolean, "float": pl.Float64, "int": pl.Int64}


def structure(tree):
    return pl.Struct({name: structure(of) if isinstance(of, dict) else of for name, of in tree.items()})


def value(field, purpose):
    expression = pl.col(field["path"][0])
    for segment in field["path"][1:]:
        expression = expression.struct.field(segment)
    if field["kind"] == "id":
        expression = expression.hash(seed=purpose + 1)
        expression = pl.when(source(field).is_not_null()).then(expression)
    elif field["kind"] == "time":
        expression = expression.str.slice(0, plan["time_chars"][purpose])
    elif field["kind"] == "ip":
        expression = expression.str.replace(r"[.][0-9]+$", ".0")
    return expression.alias(field["column"])


def source(field):
    expression = pl.col(field["path"][0])
    for segment in field["path"][1:]:
        expression = expression.struct.field(segment)
    return expression


folder = sys.argv[1]
plan = json.load(open(f"{folder}/polars.json"))
tree = {"type": pl.String}
for field in plan["fields"]:
    node = tree
    for segment in field["path"][:-1]:
        node = node.setdefault(segment, {})
    node[field["path"][-1]] = TYPES.get(field["kind"], pl.String)
schema = {name: structure(of) if isinstance(of, dict) else of for name, of in tree.items()}
consent = pl.read_csv(
    f"{folder}/consent.csv",
    has_header=False,
    schema={"tenant": pl.String, "subject": pl.String, "mask": pl.Int64},
)

start = busy()
events = pl.scan_ndjson(f"{folder}/sound.ndjson", schema=schema).filter(pl.col("type").is_in(plan["types"])).collect()
user = pl.col("data").struct.field("user").struct.field("id").alias("subject")
events = events.with_columns(user).join(consent, on=["tenant", "subject"])
for purpose, letter in enumerate("TRP"):
    picked = [value(field, purpose) for field in plan["fields"] if field["purposes"][purpose]]
    permitted = events.lazy().filter((pl.col("mask") & (1 << purpose)) != 0).select([pl.col("type"), *picked])
    permitted.sink_parquet(f"{folder}/polars_{letter}.parquet", compression="zstd", compression_level=1)
nanos = round((busy() - start) * 1e9)

rows, cells = [], []
for letter in "TRP":
    table = pl.read_parquet(f"{folder}/polars_{letter}.parquet").drop("type")
    rows.append(table.height)
    cells.append(sum(table.height - table[column].null_count() for column in table.columns))
print("nanos", nanos, "rows", *rows, "cells", *cells)
