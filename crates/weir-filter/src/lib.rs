//! The hot path and the trusted core: records in, permitted rows out.
