//! The key ring: secrets, canonical identifiers, pseudonyms.
