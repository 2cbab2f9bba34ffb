"""Checks read_table.py: every engine must give these lines for a table of known rows. usage: self_check.py FOLDER"""

import datetime
import decimal
import hashlib
import sys

import deltalake
import pyarrow as pa

import read_table

INT, TEXT, BYTES = pa.int32(), pa.string(), pa.binary()
SEMVER = pa.struct([("major", INT), ("minor", INT)])
NOON = datetime.datetime(2026, 11, 23, 12, 0, 0, 1, tzinfo=datetime.timezone.utc)

ROWS = pa.table(
    {
        "subject": pa.array([b"\x00" * 16, b"\xff" * 16, None], BYTES),
        "time": pa.array([NOON, None, NOON - datetime.timedelta(days=40000)], pa.timestamp("us", "UTC")),
        "date": pa.array([datetime.date(2026, 11, 23), datetime.date(2026, 11, 24), datetime.date(2026, 11, 23)]),
        "count": pa.array([2**63 - 1, None, -(2**63)], pa.int64()),
        "ratio": pa.array([-0.0, 0.0, None], pa.float64()),
        "price": pa.array([decimal.Decimal("1.50"), decimal.Decimal("0.00"), None], pa.decimal128(10, 2)),
        "large": pa.array([decimal.Decimal(2**64 - 1), None, decimal.Decimal(0)], pa.decimal128(20, 0)),
        "fine": pa.array([decimal.Decimal("1e-9"), None, decimal.Decimal(0)], pa.decimal128(18, 9)),
        "flag": pa.array([True, False, None], pa.bool_()),
        "word": pa.array(['quote "', "line\u2028é", None], TEXT),
        "version": pa.array([{"major": 1, "minor": None}, None, {"major": 0, "minor": 7}], SEMVER),
        "items": pa.array([[1, None], [], None], pa.list_(INT)),
        "agents": pa.array([[{"major": 1, "minor": 2}, None], None, []], pa.list_(SEMVER)),
    }
)

LINES = [
    '{"agents":[],"count":-9223372036854775808,"date":"2026-11-23","fine":"0.000000000","flag":null,"items":null,'
    '"large":"0","price":null,"ratio":null,"subject":null,"time":-1660564799999999,'
    '"version":{"major":0,"minor":7},"word":null}',
    '{"agents":[{"major":1,"minor":2},null],"count":9223372036854775807,"date":"2026-11-23","fine":"0.000000001",'
    '"flag":true,"items":[1,null],"large":"18446744073709551615","price":"1.50","ratio":"8000000000000000",'
    '"subject":"00000000000000000000000000000000","time":1795435200000001,"version":{"major":1,"minor":null},'
    '"word":"quote \\""}',
    '{"agents":null,"count":null,"date":"2026-11-24","fine":null,"flag":false,"items":[],"large":null,'
    '"price":"0.00","ratio":"0000000000000000","subject":"ffffffffffffffffffffffffffffffff","time":null,'
    '"version":null,"word":"line\u2028é"}',
]


DIGEST = sum(int.from_bytes(hashlib.sha256(line.encode()).digest()[:16], "big") for line in LINES) % 2**128


def main(folder):
    read_table.CHUNK_ROWS = 2  # so that three rows are cut
    deltalake.write_deltalake(folder, ROWS, partition_by=["date"])
    for name in ("duckdb", "deltalake", "polars", "pyarrow", "spark"):
        found = read_table.lines(read_table.ENGINES[name](folder))
        assert found == LINES, f"{name} gives\n" + "\n".join(found)
        assert read_table.digest(read_table.ENGINES[name](folder)) == DIGEST, f"{name} gives another digest"
    (count,) = read_table.lines(read_table.read_sql(f"SELECT count(*) AS n FROM delta_scan('{folder}')"))
    assert count == '{"n":3}', count


if __name__ == "__main__":
    main(sys.argv[1])
