//! The lock and the number that the store is made of.
//!
//! The feature `model` puts those of a model checker in their place, which stops at every use of them and tries whatever another
//! thread could do there. A store of that kind works inside a model only.

#[cfg(not(feature = "model"))]
pub(crate) use std::sync::atomic::AtomicI64;

#[cfg(feature = "model")]
pub(crate) use loom::sync::atomic::AtomicI64;
#[cfg(feature = "model")]
pub(crate) use model::{RwLock, RwLockReadGuard};
#[cfg(not(feature = "model"))]
pub(crate) use parking_lot::{RwLock, RwLockReadGuard};

#[cfg(feature = "model")]
mod model {
    use loom::sync::RwLockWriteGuard;

    pub(crate) use loom::sync::RwLockReadGuard;

    /// A lock with the face of `parking_lot`'s: nobody asks whether a thread panicked while it held it.
    pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().expect("a panic ends the model")
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().expect("a panic ends the model")
        }
    }
}
