//! What the program holds in memory must not leave it by way of the system: secrets, and events until they are filtered.
//!
//! No core is written when it crashes, and no other process of its user can look in. Other systems than Linux only get the first.

use std::io;

/// Forbids core dumps and looking in, for this process and all that it becomes.
///
/// # Errors
/// The system refuses, which it does not for limits that are lowered.
#[cfg(unix)]
pub(crate) fn keep_to_ourselves() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};

    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // A core that is piped to a collector knows no limit; this it heeds.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// There is nothing to be forbidden.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as elsewhere")]
pub(crate) fn keep_to_ourselves() -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn memory_goes_into_no_core_and_to_no_other_process() {
        super::keep_to_ourselves().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
    }
}
