//! The shapes of identifiers, and the search for them in all texts and bytes of a lake's columns (LK-5, LK-6).
//!
//! Markers prove that nothing leaves which the test knows. Shapes find what nobody planted: a value of a column is a word
//! that a contract lists, a coarsened value, or a pseudonym of 16 bytes, and none of these looks like an address, a
//! number of a card or a line of a stack.

use std::fs;
use std::io;
use std::path::Path;

use arrow::array::{Array, AsArray, make_array};
use arrow::datatypes::DataType;
use regex::bytes::{RegexSet, RegexSetBuilder};

use super::search::{files_below, parquet_parts};

/// A compiled search for all shapes.
#[derive(Clone, Debug)]
pub struct Shapes {
    each: RegexSet,
    network: RegexSet,
}

/// What a search has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How many texts.
    pub texts: usize,
    /// How many pseudonyms.
    pub pseudonyms: usize,
    /// The shape and the place of each value that has one; never the value.
    pub findings: Vec<String>,
}

impl Default for Shapes {
    fn default() -> Self {
        Self { each: compiled(SHAPES.iter().map(|shape| shape.pattern)), network: compiled([NETWORK]) }
    }
}

impl Shapes {
    /// Returns the name of a shape that a value has.
    pub fn of(&self, value: &[u8]) -> Option<&'static str> {
        let found = self.each.matches(value).iter().next();
        found.filter(|_| !self.network.is_match(value)).map(|shape| SHAPES[shape].name)
    }

    /// Searches the columns of all tables of a lake, whose logs are no tables.
    ///
    /// # Errors
    /// Fails when a file cannot be read, and when a column has a type that this search knows nothing of.
    pub fn lake(&self, lake: &Path) -> io::Result<Seen> {
        let mut seen = Seen::default();
        let is_data = |path: &Path| {
            path.extension().is_some_and(|end| end == "parquet") && path.iter().all(|folder| folder != "_delta_log")
        };
        for file in files_below(lake)?.into_iter().filter(|path| is_data(path)) {
            if !parquet_parts::is_whole(&fs::read(&file)?) {
                continue;
            }
            for (column, values) in parquet_parts::values(&file).map_err(io::Error::other)? {
                if !is_weirs_own(&file, &column) {
                    self.column(&format!("{column} of {}", file.display()), &values, &mut seen)?;
                }
            }
        }
        Ok(seen)
    }

    fn column(&self, place: &str, values: &dyn Array, seen: &mut Seen) -> io::Result<()> {
        let mut text = |value: &[u8]| {
            seen.texts += 1;
            seen.findings.extend(self.of(value).map(|shape| format!("{shape} in {place}")));
        };
        let of = values.data_type();
        if *of == DataType::Utf8 {
            values.as_string::<i32>().iter().flatten().for_each(|value| text(value.as_bytes()));
        } else if *of == DataType::Binary {
            for value in values.as_binary::<i32>().iter().flatten() {
                seen.pseudonyms += 1;
                let is_pseudonym = value.len() == PSEUDONYM_BYTES && !is_name(value);
                seen.findings.extend((!is_pseudonym).then(|| format!("no pseudonym in {place}")));
            }
        } else if of.is_nested() {
            for child in values.to_data().child_data() {
                self.column(place, &make_array(child.clone()), seen)?;
            }
        } else if !of.is_primitive() && *of != DataType::Boolean && !of.is_null() {
            return Err(io::Error::other(format!("{place} is {of}, which nobody searches")));
        }
        Ok(())
    }
}

/// Compiles patterns of bytes, whose letters and digits are those of ASCII.
fn compiled<'p>(patterns: impl IntoIterator<Item = &'p str>) -> RegexSet {
    RegexSetBuilder::new(patterns).unicode(false).build().expect("the patterns are sound")
}

/// Tells whether some bytes are the text of a name, as keyed hashes are once in a billion.
fn is_name(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._@".contains(byte))
}

/// Tells whether weir itself or its operator named what stands there: in `_coverage` and `_quarantine`.
fn is_weirs_own(file: &Path, column: &str) -> bool {
    let is_account = file.iter().any(|folder| folder == "_coverage" || folder == "_quarantine");
    is_account && ["source", "topic", "policy_hash", "consumer_group", "batch"].contains(&column)
}

/// A shape.
struct Shape {
    name: &'static str,
    pattern: &'static str,
    /// Values that have it.
    examples: &'static [&'static str],
}

/// Returns values of every shape, each with its name: tests plant them.
pub fn examples() -> impl Iterator<Item = (&'static str, &'static str)> {
    SHAPES.iter().flat_map(|shape| shape.examples.iter().map(|example| (shape.name, *example)))
}

const SHAPES: &[Shape] = &[
    Shape {
        name: "an address of mail",
        pattern: r"[\w.+-]+@[\w-]+\.\w",
        examples: &["ada.lovelace+news@mail.example.org"],
    },
    Shape {
        name: "an address of IPv4",
        pattern: r"\b\d{1,3}(\.\d{1,3}){3}\b",
        examples: &["203.0.113.77", "::ffff:198.51.100.23"],
    },
    Shape {
        name: "an address of IPv6",
        pattern: r"(?i)[0-9a-f]{1,4}(:[0-9a-f]{0,4}){3,7}",
        examples: &["2001:db8:1:2::7", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"],
    },
    Shape {
        name: "a UUID",
        pattern: r"(?i)[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}",
        examples: &["9f1c2d3e-4b5a-4678-9abc-def012345678"],
    },
    Shape {
        name: "a long number",
        pattern: r"\d([ ()./-]{0,2}\d){8}",
        examples: &["+49 (30) 1234567-89", "4111 1111 1111 1111", "987654321"],
    },
    Shape { name: "a digest", pattern: r"(?i)[0-9a-f]{32}", examples: &["d41d8cd98f00b204e9800998ecf8427e"] },
    Shape { name: "a token", pattern: r"\beyJ[\w-]{6}", examples: &["eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1In0."] },
    Shape {
        name: "a URL",
        pattern: r"(?i)[a-z]{2}://|\?[\w%.-]+=",
        examples: &["https://shop.example/orders/7", "/orders/7?email=ada", "file:///tmp/a"],
    },
    Shape {
        name: "a path of somebody's",
        pattern: r"(?i)[/\\](home|users)[/\\]|^/root/|^[a-z]:\\",
        examples: &["/home/ada/notes.txt", "C:\\Users\\ada\\notes.txt", "/root/.ssh/id"],
    },
    Shape {
        name: "a stack",
        pattern: r"\bat [\w.$<>]+ ?\(|\.(c|cpp|go|java|js|py|rs|ts):\d|Traceback|panicked at",
        examples: &[
            "TypeError: x\n    at run (app.js:1:2)",
            "thread 'main' panicked at src/main.rs:4:5",
            "Traceback (most recent call last)",
        ],
    },
];

/// What an address of either kind is coarsened to.
const NETWORK: &str = r"^(\d{1,3}\.\d{1,3}\.\d{1,3}\.0/24|[0-9a-f:]{2,}::/48)$";
const PSEUDONYM_BYTES: usize = 16;
