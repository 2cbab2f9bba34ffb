"""Prints the rows of Delta tables as other tools see them, in one canonical form.

usage: read_table.py ENGINE TABLE…          every row of each table; ENGINE is duckdb, deltalake, polars, pyarrow or spark, or
                                            duckdb-keys, polars-keys, pyarrow-keys, spark-keys or duckdb-pyarrow-keys: TABLE is then
                                            what `weir keys reader` printed; pyarrow-flat-keys leaves out nested columns
       read_table.py digest ENGINE TABLE…   one number for all rows of each table
       read_table.py watch ENGINE TABLE…    the same over and over, with an empty line after each round, until the standard
                                            input ends; then once more
       read_table.py sql STATEMENTS         what DuckDB answers to the last of the statements

A table is a folder, or s3://BUCKET/… at the endpoint that AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
name, by https with a certificate of the CA in SSL_CERT_FILE.

For each table: a line {"table": …, "rows": N}, then N lines, one JSON object a row, keys and lines sorted; or, as digest,
a line {"table": …, "digest": …, "rows": N}: the sum, modulo 2^128, of the first 16 bytes of each row's SHA-256.
Forms of values, the same for every engine and free of rounding:
  binary     text, hex              timestamp  number, microseconds since 1970 in UTC
  decimal    text, all digits       date       text, YYYY-MM-DD
  float      text, hex of the 8 bytes of its IEEE 754 form, so that -0.0 and NaN can be told apart
  integers, booleans, strings, arrays, structs, null: as JSON has them
"""

import functools
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import select
import struct
import subprocess
import sys
import tempfile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt


def main(arguments):
    way = arguments.pop(0) if arguments[:1] in (["digest"], ["watch"]) else "rows"
    if len(arguments) < 2 or arguments[0] not in ENGINES:
        sys.exit(__doc__)
    read, tables = ENGINES[arguments[0]], arguments[1:]
    if way == "watch":
        watch(read, tables)
    for table in tables:
        if way != "rows":
            print_digest(read, table)
            continue
        rows = lines(read(table))
        print(json.dumps({"table": table, "rows": len(rows)}))
        sys.stdout.writelines(row + "\n" for row in rows)


def print_digest(read, table):
    rows = read(table)
    print(json.dumps({"table": table, "digest": f"{digest(rows):032x}", "rows": rows.num_rows}), flush=True)


def watch(read, tables):
    while not select.select([sys.stdin], [], [], 0)[0]:
        for table in tables:
            print_digest(read, table)
        print(flush=True)


# === the engines, each by code of its own ===


def read_duckdb(table):
    connection = connect()
    if table.startswith(S3):
        use_endpoint(connection)
    return connection.execute("SELECT * FROM delta_scan(?)", [table]).to_arrow_table()


def read_sql(statements):
    return connect().execute(statements).to_arrow_table()


def read_duckdb_keys(printed):
    text = pathlib.Path(printed).read_text()
    connection = connect()
    if S3 in text:
        use_endpoint(connection)
    connection.execute(text.removeprefix("INSTALL delta; LOAD delta;"))
    (view,) = re.findall(r"^CREATE OR REPLACE VIEW (\w+) AS", text, re.MULTILINE)
    # A condition on a value: reading alone would not show that filters are kept out of the files.
    return connection.execute(f"SELECT * FROM {view} WHERE contract_version > 0").to_arrow_table()


def read_deltalake(table):
    """Reads with the Rust engine of delta-rs, not through pyarrow."""
    from deltalake import DeltaTable, QueryBuilder

    return pa.table(QueryBuilder().register("t", DeltaTable(table)).execute("SELECT * FROM t").read_all())


def read_pyarrow(table):
    """Takes the list of files from the log and reads them with pyarrow's own Parquet reader."""
    from deltalake import DeltaTable

    return DeltaTable(table).to_pyarrow_dataset(filesystem=endpoint_folder(table)).to_table()


def read_polars(table):
    import polars

    return polars.scan_delta(table).collect().to_arrow()


def read_duckdb_pyarrow_keys(printed):
    # The rows, not the data set: its threads ask Python for keys, while DuckDB keeps Python to itself and waits for them.
    connection = connect().register("t", read_pyarrow_keys(printed))
    return connection.execute("SELECT * FROM t WHERE contract_version > 0").to_arrow_table()


def read_pyarrow_keys(printed):
    return data_set(printed).to_table()


def read_pyarrow_flat_keys(printed):
    table = read_pyarrow_keys(printed)
    return table.select([field.name for field in table.schema if not pt.is_nested(field.type)])


def data_set(printed):
    text = pathlib.Path(printed).read_text()
    (name,) = re.findall(r"^(\w+) = open_table", text, re.MULTILINE)
    names = {}
    exec(compile(text, printed, "exec"), names)
    return names[name]


def read_spark(table):
    # Hadoop calls what speaks S3 by another name.
    return spark().read.format("delta").load(str(table).replace(S3, "s3a://")).toArrow()


def read_polars_keys(printed):
    return data_set(printed).collect().to_arrow()


def read_spark_keys(printed):
    spark()
    return data_set(printed).toArrow()


ENGINES = {
    "duckdb": read_duckdb,
    "deltalake": read_deltalake,
    "duckdb-keys": read_duckdb_keys,
    "polars": read_polars,
    "polars-keys": read_polars_keys,
    "pyarrow": read_pyarrow,
    "duckdb-pyarrow-keys": read_duckdb_pyarrow_keys,
    "pyarrow-flat-keys": read_pyarrow_flat_keys,
    "pyarrow-keys": read_pyarrow_keys,
    "spark": read_spark,
    "spark-keys": read_spark_keys,
    "sql": read_sql,
}


def connect():
    """Connects to a DuckDB that has its Delta extension from a wheel: INSTALL would download it."""
    import duckdb

    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute(load("delta"))
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def load(extension):
    """Returns the statement that loads an extension from its wheel."""
    package = pathlib.Path(importlib.util.find_spec(f"duckdb_extension_{extension}").origin).parent
    (file,) = package.glob(f"extensions/*/{extension}.duckdb_extension")
    return f"LOAD '{file}'"


def use_endpoint(connection):
    """Tells DuckDB of the S3 endpoint that the environment names."""
    scheme, host = os.environ["AWS_ENDPOINT_URL"].split("://")
    connection.execute(load("httpfs"))
    if scheme == "https":
        connection.execute(f"SET ca_cert_file = '{os.environ['SSL_CERT_FILE']}'")
    connection.execute(
        f"CREATE SECRET (TYPE s3, ENDPOINT '{host}', USE_SSL {str(scheme == 'https').lower()}, URL_STYLE 'path',"
        f" REGION '{os.environ['AWS_REGION']}', KEY_ID '{os.environ['AWS_ACCESS_KEY_ID']}',"
        f" SECRET '{os.environ['AWS_SECRET_ACCESS_KEY']}')"
    )


def endpoint_folder(table):
    """Returns pyarrow's own way to a table on S3; none for a folder."""
    if not table.startswith(S3):
        return None
    from pyarrow.fs import S3FileSystem, SubTreeFileSystem

    endpoint = S3FileSystem(
        endpoint_override=os.environ["AWS_ENDPOINT_URL"],
        tls_ca_file_path=os.environ.get("SSL_CERT_FILE", ""),
        region=os.environ["AWS_REGION"],
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    )
    return SubTreeFileSystem(table.removeprefix(S3), endpoint)


@functools.cache
def spark():
    """Starts Spark with Delta's own reader, as a team without a cluster would: one machine, few threads."""
    from pyspark.sql import SparkSession

    jars = ",".join(str(jar) for jar in pathlib.Path(os.environ["WEIR_TEST_DELTA_JARS"]).glob("*.jar"))
    options = {
        "spark.jars": jars,
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.maxResultSize": "0",
        "spark.driver.memory": "4g",
        "spark.log.level": "ERROR",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in (options | s3a_options()).items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def s3a_options():
    """Returns what Spark needs for the S3 endpoint that the environment names; nothing if there is none."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        return {}
    # Java takes a CA from a store of its own kind.
    store = pathlib.Path(tempfile.mkdtemp()) / "trusted.p12"
    importing = ["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", os.environ["SSL_CERT_FILE"]]
    subprocess.run([*importing, "-keystore", store, "-storepass", "changeit"], check=True, capture_output=True)
    trusted = f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit"
    options = {
        "access.key": os.environ["AWS_ACCESS_KEY_ID"],
        "change.detection.mode": "none",
        "endpoint": os.environ["AWS_ENDPOINT_URL"],
        "endpoint.region": os.environ["AWS_REGION"],
        "path.style.access": "true",
        "secret.key": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in options.items()} | {
        "spark.driver.extraJavaOptions": trusted
    }


# === the canonical form: by columns of text, because a value at a time takes minutes for a million rows ===


def lines(table):
    """Returns the rows as sorted lines of JSON."""
    if table.num_rows == 0:
        return []
    rows = row_text(table)
    return rows.take(pc.sort_indices(rows)).to_pylist()


def digest(table):
    """Returns the sum of the rows' hashes: two tables that agree in it and in their number of rows have the same rows."""
    total = 0
    for start in range(0, table.num_rows, CHUNK_ROWS):
        for row in row_text(table.slice(start, CHUNK_ROWS)).to_pylist():
            total += int.from_bytes(hashlib.sha256(row.encode()).digest()[:16], "big")
    return total % 2**128


def row_text(table):
    return struct_text(sorted((name, text(table[name])) for name in table.column_names))


def text(column):
    """Returns the JSON text of each value, as a column of strings without nulls."""
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    kind = column.type
    if pt.is_dictionary(kind):
        return text(column.dictionary_decode())
    if pt.is_struct(kind):
        written = struct_text(sorted((field.name, text(child)) for field, child in zip(kind, column.flatten())))
        return pc.if_else(column.is_valid(), written, NULL)
    if pt.is_list(kind) or pt.is_large_list(kind):
        # `flatten` leaves out what null lists may hide, so the offsets are counted anew.
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths.cast(pa.int64()))])
        elements = pa.LargeListArray.from_arrays(offsets, text(column.flatten()))
        written = join("[", pc.binary_join(elements, pa.scalar(",", STRING)), "]")
        return pc.if_else(column.is_valid(), written, NULL)
    return pc.fill_null(scalar_text(column), NULL)


def struct_text(named):
    """Returns the JSON text of objects from the text of their members."""
    parts = []
    for name, member in named:
        parts += ["," if parts else "{", json.dumps(name) + ":", member]
    return join(*parts, "}")


def scalar_text(column):
    """Returns the JSON text of numbers, words and bytes; null stays null."""
    kind = column.type
    if pt.is_boolean(kind) or pt.is_integer(kind):
        return column.cast(STRING)
    if pt.is_timestamp(kind):
        # A finer unit would be a fault of the writer: the safe cast fails on what microseconds cannot hold.
        return column.cast(pa.timestamp("us", kind.tz)).cast(pa.int64()).cast(STRING)
    if pt.is_float64(kind):
        return each(column, lambda value: f'"{struct.pack(">d", value).hex()}"')
    if pt.is_decimal(kind):
        return each(column, lambda value: f'"{value:f}"')
    if pt.is_date(kind):
        return each(column, lambda value: f'"{value.isoformat()}"')
    if pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_binary_view(kind):
        return each(column, lambda value: f'"{value.hex()}"')
    if pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind):
        return each(column, lambda value: json.dumps(value, ensure_ascii=False))
    raise TypeError(f"no canonical form for {kind}")


def each(column, form):
    """Applies `form` to each different value once: most columns have few."""
    if pt.is_floating(column.type):
        # Values are told apart by their bits, or -0.0 and 0.0 would share a text.
        return pa.array([None if value is None else form(value) for value in column.to_pylist()], STRING)
    if pt.is_string_view(column.type) or pt.is_binary_view(column.type):
        column = column.cast(STRING if pt.is_string_view(column.type) else pa.large_binary())
    encoded = column.dictionary_encode()
    words = pa.array([form(value) for value in encoded.dictionary.to_pylist()], STRING)
    return words.take(encoded.indices)


def join(*parts):
    parts = [pa.scalar(part, STRING) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*parts, pa.scalar("", STRING))


S3 = "s3://"
# The texts of so many rows are some tens of MB.
CHUNK_ROWS = 50_000
STRING = pa.large_string()
NULL = pa.scalar("null", STRING)


if __name__ == "__main__":
    main(sys.argv[1:])
    # All is printed. The readers' threads do not always survive the interpreter's own end, which would fail the call.
    sys.stdout.flush()
    os._exit(0)
