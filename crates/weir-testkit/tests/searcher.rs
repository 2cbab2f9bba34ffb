//! The canary test is worth what its search finds: every form must be found where it is, and only there.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, ListArray, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use weir_testkit::canary::shapes::{Shapes, examples};
use weir_testkit::canary::{Canaries, Finding, digest};

/// Asserts that the marker is found in `bytes`, in a form that starts with `form`.
fn assert_found(canaries: &Canaries, bytes: &[u8], form: &str) {
    let findings = canaries.searcher().bytes("a test", bytes);
    let found = |finding: &Finding| finding.form.starts_with(form) && !finding.place.contains("unknown");
    assert!(findings.iter().any(found), "{form} not in {findings:?}");
}

#[test]
fn spellings_are_found() {
    let mut canaries = Canaries::new(1);
    let marker = canaries.marker("field note");
    let spell = |each: fn(u8) -> String| marker.bytes().map(each).collect::<Vec<_>>().concat();
    let hex = spell(|byte| format!("{byte:02X}"));
    let percent = spell(|byte| format!("%{byte:02X}"));
    let escapes = spell(|byte| format!("\\u{byte:04x}"));
    let wide: Vec<u8> = marker.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_found(&canaries, format!("before {marker} after").as_bytes(), "Plain");
    assert_found(&canaries, marker.to_uppercase().as_bytes(), "Plain");
    assert_found(&canaries, hex.as_bytes(), "Hex");
    assert_found(&canaries, percent.as_bytes(), "Percent");
    assert_found(&canaries, escapes.as_bytes(), "JsonEscapes");
    assert_found(&canaries, format!("{:?}", marker.as_bytes()).as_bytes(), "ByteList");
    assert_found(&canaries, &wide, "Utf16Le");
}

/// Base64 of a text with any number of bytes around it, which shift the groups of three.
#[test]
fn base64_is_found_at_each_alignment() {
    let mut canaries = Canaries::new(2);
    let marker = canaries.marker("header");
    for before in 0..7 {
        for after in 0..4 {
            let text =
                format!("{}{marker}{}", "é?>".repeat(3).chars().take(before).collect::<String>(), "~".repeat(after));
            assert_found(&canaries, STANDARD.encode(&text).as_bytes(), "Base64");
            assert_found(&canaries, URL_SAFE.encode(&text).as_bytes(), "Base64");
        }
    }
}

#[test]
fn digests_without_a_key_are_found_whole_and_cut() {
    let mut canaries = Canaries::new(3);
    let text = canaries.text("field path", "/home/{}/notes.txt");
    for (name, digest) in digest::all(text.as_bytes()) {
        let hex = digest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        assert_found(&canaries, hex.as_bytes(), &format!("{name} as hex"));
        assert_found(&canaries, STANDARD.encode(&digest).as_bytes(), &format!("{name} as base64"));
        assert_found(&canaries, &digest, &format!("{name} as bytes"));
        assert_found(&canaries, &digest[..16], &format!("{name} as bytes"));
    }
}

#[test]
fn numbers_are_found_as_text_and_as_bytes() {
    let mut canaries = Canaries::new(4);
    let number = canaries.number("undeclared count");
    assert_found(&canaries, format!("n={number}").as_bytes(), "Plain");
    assert_found(&canaries, &number.to_le_bytes(), "number, little-endian");
    assert_found(&canaries, &number.to_be_bytes(), "number, big-endian");
}

/// An instant of a marker is found to the millisecond, and where its second or its minute was kept.
#[test]
fn instants_are_found_as_text_and_as_bytes() {
    let mut canaries = Canaries::new(6);
    let now_ms = 1_795_514_400_000;
    let at_ms = canaries.instant("time of the record", now_ms);
    assert_eq!(at_ms, 1_795_342_643_457, "two days before, inside the hour");
    for text in ["1795342643457", "1795342643457000", "2026-11-22T10:17:23.457Z", "2026-11-22 10:17:00"] {
        assert_found(&canaries, text.as_bytes(), "Plain");
    }
    for number in [at_ms, at_ms * 1_000, 1_795_342_643_000, 1_795_342_620_000_000] {
        assert_found(&canaries, &number.to_le_bytes(), "number, little-endian");
    }
    let coarse = "2026-11-22T10:00:00Z 2026-11-22 1795341600000 2026-11-22T10:18:00Z";
    assert_eq!(canaries.searcher().bytes("a test", coarse.as_bytes()), []);
}

#[test]
fn clean_bytes_have_no_finding() {
    let mut canaries = Canaries::new(5);
    canaries.marker("field note");
    let clean: Vec<u8> =
        (0..1_000_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    assert_eq!(canaries.searcher().bytes("a test", &clean), []);
    assert_eq!(canaries.searcher().bytes("a test", b"qx7zk qx7 no marker 739184 6"), []);
}

/// Compression and encodings hide values from a search of the file's bytes, so the search unpacks the file.
#[test]
fn markers_in_compressed_and_encoded_columns_are_found() {
    let mut canaries = Canaries::new(7);
    let (text, bytes, number) = (canaries.marker("text"), canaries.marker("binary"), canaries.number("number"));
    let filler: Vec<String> = (0..500).map(|row| format!("/orders/{row}")).collect();
    let texts = filler.iter().map(String::as_str).chain([text.as_str()]);
    let columns: [(&str, ArrayRef); 3] = [
        ("text", Arc::new(StringArray::from_iter_values(texts))),
        ("binary", Arc::new(BinaryArray::from_iter_values(std::iter::repeat_n(bytes.as_bytes(), 501)))),
        ("number", Arc::new(Int64Array::from_iter_values((0..500).chain([number])))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("date=2026-11-24")).expect("a folder");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_dictionary_enabled("text".into(), false)
        .set_column_encoding("text".into(), Encoding::DELTA_BYTE_ARRAY)
        .set_column_dictionary_enabled("number".into(), false)
        .set_column_encoding("number".into(), Encoding::DELTA_BINARY_PACKED)
        .build();
    write_table(&folder.path().join("date=2026-11-24/part.parquet"), &batch, properties);

    let (files, findings) = canaries.searcher().folder(folder.path()).expect("the folder is read");
    assert_eq!(files, 1);
    for place in ["text", "binary", "number"] {
        assert!(findings.iter().any(|finding| finding.place == place), "{place} not in {findings:?}");
    }
}

#[test]
fn markers_in_names_of_files_are_found() {
    let mut canaries = Canaries::new(8);
    let marker = canaries.marker("tenant");
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(format!("user={marker}")), b"").expect("a file");
    let (_, findings) = canaries.searcher().folder(folder.path()).expect("the folder is read");
    assert_eq!(findings.len(), 1, "{findings:?}");
}

/// A marker of a column stands there as it will, with a dictionary and statistics of pages, and in no other column or note.
#[test]
fn markers_of_a_column_are_found_everywhere_else() {
    let mut canaries = Canaries::new(9);
    let tenant = canaries.marker_of_column("tenant", "tenant");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let found = |name: &str, statistics: EnabledStatistics| {
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&tenant, 50)));
        let batch = RecordBatch::try_from_iter([(name, column)]).expect("a column");
        let properties = WriterProperties::builder().set_statistics_enabled(statistics).build();
        write_table(&folder.path().join("part.parquet"), &batch, properties);
        canaries.searcher().folder(folder.path()).expect("the folder is read").1
    };
    assert_eq!(found("tenant", EnabledStatistics::None), []);
    assert_ne!(found("other", EnabledStatistics::None), []);
    assert_ne!(found("tenant", EnabledStatistics::Chunk), [], "the footer has the greatest");
}

/// What a kill cut off is no table, and is searched as it stands.
#[test]
fn markers_in_a_table_that_was_cut_off_are_found() {
    let mut canaries = Canaries::new(10);
    let marker = canaries.marker("text");
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("part.parquet"), format!("PAR1 {marker}")).expect("a file");
    let (_, findings) = canaries.searcher().folder(folder.path()).expect("the folder is read");
    assert_eq!(findings.len(), 1, "{findings:?}");
    fs::write(folder.path().join("part.parquet"), "").expect("a file");
    assert_eq!(Shapes::default().lake(folder.path()).expect("the folder is read").findings, [""; 0]);
}

/// Every shape is found in a table, at any depth, and what weir stores has none.
#[test]
fn shapes_of_identifiers_are_found_and_what_is_coarse_has_none() {
    let shapes = Shapes::default();
    for (name, example) in examples() {
        assert!(shapes.of(example.as_bytes()).is_some(), "{example} is {name}");
        assert!(
            shapes.of(format!("before {example} after").as_bytes()).is_some() || name.contains("path"),
            "{example}"
        );
    }
    let coarse = ["203.0.113.0/24", "2001:db8:1::/48", "/orders/{order}/pay", "zh-Hant-TW", "u33d", "65+", "18-24"];
    for value in coarse.into_iter().chain(["__other__", "EUR", "at least", "com.example.checkout.completed"]) {
        assert_eq!(shapes.of(value.as_bytes()), None, "{value}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let items = ListArray::new(
        Arc::new(Field::new("element", DataType::Utf8, true)),
        OffsetBuffer::from_lengths([2]),
        Arc::new(StringArray::from(vec!["red", "ada@example.org"])),
        None,
    );
    let columns: [(&str, ArrayRef); 3] = [
        ("items", Arc::new(items)),
        ("subject", Arc::new(BinaryArray::from_vec(vec![b"account-ada-1815"]))),
        ("event_id", Arc::new(BinaryArray::from_vec(vec![&[0xd1; 16]]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    write_table(&folder.path().join("part.parquet"), &batch, WriterProperties::default());
    let seen = shapes.lake(folder.path()).expect("the folder is read");
    assert_eq!((seen.texts, seen.pseudonyms), (2, 2));
    let starts: Vec<_> = seen.findings.iter().map(|finding| finding.split(" of /").next().expect("a part")).collect();
    assert_eq!(starts, ["an address of mail in items", "no pseudonym in subject"]);
}

fn write_table(path: &Path, batch: &RecordBatch, properties: WriterProperties) {
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("rows written");
    writer.close().expect("file closed");
}
