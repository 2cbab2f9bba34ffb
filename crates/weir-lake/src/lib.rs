//! Delta tables: columns, Parquet, commits, coverage, maintenance, audit.
//!
//! A [`ClosedBatch`] of the filter's rows goes in, a [`Receipt`] comes out: by then the rows are in their tables, durable
//! and accounted for, exactly once. A Kafka partition feeds many tables and a Delta commit is atomic for one, so the
//! tables commit first and the coverage last, and only the coverage makes the batch count.
//!
//! ```text
//! Rows ─ columns ─▶ OpenFile ─ seal ─▶ SealedFile ─ commit ─▶ table logs ─▶ _coverage ─▶ Receipt
//! ```
//! Reading order: [`Lake::positions`] (where to start, what a crash left) → [`Lake::commit`] → `coverage` (who decides).
//! Everything the Delta kernel does is asked for in `kernel`, everything about files and folders in `store`.

mod accounts;
mod audit;
mod cell;
mod columns;
mod commit;
mod commit_table;
mod coverage;
mod decided;
mod delta_type;
mod expire;
mod kernel;
mod lake;
mod layout;
mod lines;
mod list;
mod log;
mod partition;
mod permutation;
mod positions;
mod schema;
mod seal;
mod secrets;
mod store;
mod sweep;
mod table_log;
mod vacuum;
mod work;

pub use accounts::{Total, Unbalanced};
pub use audit::{AuditReport, Discrepancy, FEW_PEOPLE};
pub use commit::{ClosedBatch, CommitError, Receipt, Recheck, Written};
pub use expire::Expired;
pub use kernel::KernelRefusal;
pub use lake::{Lake, LakeConfig, LakeError};
pub use layout::{NotATable, TableName};
pub use lines::Quarantined;
pub use list::{Dialect, TableSummary, views};
pub use log::LogError;
pub use partition::{PartitionId, Span};
pub use positions::{Interrupted, Position};
pub use seal::{Append, OpenFile, SealError, SealedFile};
pub use secrets::CellBroken;
pub use store::StoreError;
pub use table_log::TableError;
pub use vacuum::Vacuumed;
