//! Delta tables: columns, Parquet, commits, coverage, maintenance, audit.
