//! Delta tables: columns, Parquet, commits, coverage, maintenance, audit.
//!
//! A [`ClosedBatch`] of the filter's rows goes in, a [`Receipt`] comes out: by then the rows are in their tables, durable,
//! accounted for, exactly once, and in the ledger. A Kafka partition feeds many tables and a Delta commit is atomic for
//! one, so the tables commit first and the coverage last, and only the coverage makes the batch count.
//!
//! ```text
//! Rows ─ columns ─▶ OpenFile ─ seal ─▶ SealedFile ─ commit ─▶ table logs ─▶ _coverage ─▶ ledger ─▶ Receipt
//! ```
//! Reading order: [`Lake::positions`] (where to start, what a crash left) → [`Lake::commit`] → `coverage` (who decides).
//! Everything the Delta kernel does is asked for in `kernel`, everything about files and folders in `store`.
//!
//! # What does not compile
//!
//! Rows of one purpose go into a file of that purpose; a file is sealed before it is committed, and takes no rows after:
//!
//! ```
//! # use weir_consent::TenantIx;
//! # use weir_filter::Rows;
//! # use weir_lake::{Append, OpenFile, Schemas, SealError};
//! # use weir_policy::Reliability;
//! fn right(
//!     mut file: OpenFile<Reliability>,
//!     rows: &Rows<Reliability>,
//!     schemas: &Schemas,
//!     next: &mut Append<Reliability>,
//! ) -> Result<(), SealError> {
//!     file.append(rows, schemas, &|_: TenantIx| "")?;
//!     next.push(file.seal()?);
//!     Ok(())
//! }
//! ```
//!
//! Rows of another purpose:
//!
//! ```compile_fail,E0308
//! # use weir_consent::TenantIx;
//! # use weir_filter::Rows;
//! # use weir_lake::{OpenFile, Schemas};
//! # use weir_policy::{Reliability, Troubleshooting};
//! fn wrong(mut file: OpenFile<Reliability>, rows: &Rows<Troubleshooting>, schemas: &Schemas) {
//!     let _ = file.append(rows, schemas, &|_: TenantIx| "");
//! }
//! ```
//!
//! An open file in a commit:
//!
//! ```compile_fail,E0308
//! # use weir_lake::{Append, OpenFile};
//! # use weir_policy::Reliability;
//! fn wrong(file: OpenFile<Reliability>, next: &mut Append<Reliability>) {
//!     next.push(file);
//! }
//! ```
//!
//! A row after the seal:
//!
//! ```compile_fail,E0382
//! # use weir_consent::TenantIx;
//! # use weir_filter::Rows;
//! # use weir_lake::{OpenFile, Schemas};
//! # use weir_policy::Reliability;
//! fn wrong(mut file: OpenFile<Reliability>, rows: &Rows<Reliability>, schemas: &Schemas) {
//!     let _ = file.seal();
//!     let _ = file.append(rows, schemas, &|_: TenantIx| "");
//! }
//! ```
//!
//! A receipt that no commit gave, and a second one from the first:
//!
//! ```compile_fail,E0451
//! let receipt = weir_lake::Receipt { spans: Vec::new(), written: weir_lake::Written::default(), totals: Vec::new() };
//! ```
//!
//! ```compile_fail,E0599
//! fn wrong(receipt: weir_lake::Receipt) -> weir_lake::Receipt {
//!     receipt.clone()
//! }
//! ```

mod access;
mod accounts;
mod aside;
mod attempt;
mod audit;
mod audit_ledger;
mod cell;
mod column_bytes;
mod columns;
mod commit;
mod commit_table;
mod coverage;
mod decided;
mod delta_type;
mod encryption;
mod erase;
mod expire;
mod find;
mod gap;
mod index;
mod kernel;
mod lake;
mod layout;
mod lines;
mod list;
mod log;
mod partition;
mod permutation;
mod person;
mod positions;
mod readers;
mod restrict;
mod rewrite;
mod rows_json;
mod schema;
mod seal;
mod secrets;
mod store;
mod sweep;
mod table_log;
mod tell;
mod upkeep;
mod vacuum;
mod verify;
mod work;

pub use access::{ColumnNote, Kept};
pub use accounts::{Total, Unbalanced};
#[cfg(feature = "model")]
pub use attempt::model;
pub use audit::{AuditReport, Discrepancy, FEW_PEOPLE};
pub use audit_ledger::{LedgerDiscrepancy, LedgerReport};
pub use columns::{Schemas, TenantNames, record_batches};
pub use commit::{ClosedBatch, CommitError, Receipt, Recheck, Written};
pub use encryption::{DataFiles, NoFileKey};
pub use erase::{DataFileMark, ErasedCommit, ErasedFile, Erasure, Progress, Request};
pub use expire::Expired;
pub use gap::GapError;
pub use kernel::KernelRefusal;
pub use lake::{Lake, LakeConfig, LakeError, sealed_with};
pub use layout::{NotATable, TableName};
pub use lines::Quarantined;
pub use list::{Dialect, TableSummary, views};
pub use log::LogError;
pub use partition::{PartitionId, Span};
pub use person::Person;
pub use positions::{Interrupted, Position};
pub use readers::{ReadAt, TableKey, duckdb_reader, polars_reader, pyarrow_reader, spark_reader, table_keys};
pub use restrict::Restriction;
pub use rows_json::hex;
pub use seal::{Append, OpenFile, SealError, SealedFile};
pub use secrets::CellBroken;
pub use store::StoreError;
pub use table_log::TableError;
pub use upkeep::Upkeep;
pub use vacuum::Vacuumed;
pub use verify::VerifyReport;
