//! The canary test is worth what its search finds: every form must be found where it is, and only there.

use std::fs::{self, File};
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
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
    let path = folder.path().join("date=2026-11-24/part.parquet");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None)
        .set_column_dictionary_enabled("text".into(), false)
        .set_column_encoding("text".into(), Encoding::DELTA_BYTE_ARRAY)
        .set_column_dictionary_enabled("number".into(), false)
        .set_column_encoding("number".into(), Encoding::DELTA_BINARY_PACKED)
        .build();
    let file = File::create(&path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("rows written");
    writer.close().expect("file closed");

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
