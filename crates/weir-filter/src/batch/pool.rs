//! Buffers of rows that were written and dropped, for the next rows of the same contract.
//!
//! A batch is tens of megabytes that would be asked of the system and given back each time, and the system clears what it
//! hands out. So rows leave their buffers here, as large as they have grown, and new rows start with them.

use super::rows::Body;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use weir_policy::{ContractIx, Purpose};

/// Buffers of one purpose and policy; a handle to them.
pub(crate) struct Pool<P: Purpose>(Arc<Mutex<Kept<P>>>);

struct Kept<P: Purpose> {
    bodies: HashMap<ContractIx, Vec<(usize, Body<P>)>>,
    /// What the buffers held when they came.
    bytes: usize,
}

impl<P: Purpose> Pool<P> {
    /// Takes buffers that rows of the contract have filled before.
    pub(super) fn take(&self, contract: ContractIx) -> Option<Body<P>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, body) = kept.bodies.get_mut(&contract)?.pop()?;
        kept.bytes -= bytes;
        Some(body)
    }

    /// Keeps the buffers of rows, which hold so many bytes, unless there are enough.
    pub(super) fn put(&self, contract: ContractIx, bytes: usize, mut body: Body<P>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes > 0 && kept.bytes + bytes <= KEPT_BYTES {
            body.clear();
            kept.bytes += bytes;
            kept.bodies.entry(contract).or_default().push((bytes, body));
        }
    }
}

/// Of each purpose; beside them stand the open rows and those that are being written.
const KEPT_BYTES: usize = 16 << 20;

impl<P: Purpose> Clone for Pool<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Purpose> Default for Pool<P> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Kept { bodies: HashMap::new(), bytes: 0 })))
    }
}
