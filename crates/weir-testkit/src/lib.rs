//! Corpus, reference filter, canaries: for tests and benches only.
