//! One table of the configuration: a struct whose fields are its keys.
//!
//! The type of a field says what the key wants, its doc comment is the documentation in the default file, and the sample
//! is the default or, for a key without one, an example.

use std::path::Path;

use weir_policy::diagnostic::{Diagnostic, Faults, Source};
use weir_policy::reader::{Node, Section, parse};

use crate::config::setting::Setting;

/// Declares the struct of a section; the mode in front of each sample is a function of this file.
macro_rules! section {
    ($(#[doc = $doc:literal])+ pub struct $name:ident at $path:literal {
        $($(#[doc = $help:literal])+ $key:ident: $kind:ty = $mode:ident($sample:literal),)*
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $help])+ pub $key: $kind,)*
        }

        impl $name {
            /// What the default file says about this section.
            pub(crate) const PAGE: $crate::config::section::SectionPage = $crate::config::section::SectionPage {
                path: $path,
                doc: &[$($doc),+],
                keys: &[$($crate::config::section::KeyPage {
                    key: stringify!($key),
                    mode: stringify!($mode),
                    sample: $sample,
                    doc: &[$($help),+],
                }),*],
            };

            /// Reads the keys of the section; `None` when one of them has a fault.
            pub(crate) fn read(section: &mut weir_policy::reader::Section<'_>) -> Option<Self> {
                $(let $key = $crate::config::section::$mode(section, stringify!($key), $sample);)*
                Some(Self { $($key: $key?,)* })
            }
        }
    };
}
pub(crate) use section;

/// The documentation of a section.
#[derive(Debug)]
pub(crate) struct SectionPage {
    pub(crate) path: &'static str,
    pub(crate) doc: &'static [&'static str],
    pub(crate) keys: &'static [KeyPage],
}

/// The documentation of a key.
#[derive(Debug)]
pub(crate) struct KeyPage {
    pub(crate) key: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) sample: &'static str,
    pub(crate) doc: &'static [&'static str],
}

/// Reads a key that must be there.
pub(crate) fn required<T: Setting>(section: &mut Section<'_>, key: &'static str, sample: &str) -> Option<T> {
    let node = section.need(key, &format!("{}, as in `{key} = {sample}`", T::WANTS))?;
    value(section, node)
}

/// Reads a key that has a default.
pub(crate) fn standard<T: Setting>(section: &mut Section<'_>, key: &'static str, sample: &str) -> Option<T> {
    match section.take(key) {
        Some(node) => value(section, node),
        None => Some(default(sample)),
    }
}

/// Reads a key that may be absent.
pub(crate) fn optional<T: Setting + Default>(section: &mut Section<'_>, key: &'static str, _: &str) -> Option<T> {
    match section.take(key) {
        Some(node) => value(section, node),
        None => Some(T::default()),
    }
}

/// Reads a key that may be absent, but stands in the default file.
pub(crate) fn proposed<T: Setting + Default>(section: &mut Section<'_>, key: &'static str, sample: &str) -> Option<T> {
    optional(section, key, sample)
}

fn value<T: Setting>(section: &Section<'_>, node: &Node) -> Option<T> {
    let folder = node.place.file().parent().unwrap_or(Path::new(""));
    let value = T::read(node, folder);
    if value.is_none() {
        let fault = Diagnostic::error(&node.place, "value", format!("expected {}", T::WANTS));
        section.faults().add(fault);
    }
    value
}

/// Reads a default out of the declaration.
fn default<T: Setting>(sample: &str) -> T {
    let table = parse(&Source::new("default", format!("key = {sample}")), &Faults::default());
    let read = table.and_then(|table| T::read(&table.entry("key")?.node, Path::new("")));
    read.expect("a test reads every default")
}
