//! The contracts and purposes that the repository ships are sound, and show every class and type.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use weir_policy::diagnostic::{Look, render};
use weir_policy::{FieldType, Policy, PolicySource, Purposes, contract_test};

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

fn shipped() -> Policy {
    let purposes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/purposes.toml");
    match Policy::load(&PolicySource { contracts: schemas(), purposes: Some(purposes) }) {
        Ok((policy, warnings)) => {
            assert!(warnings.is_empty(), "{}", render(&warnings, Look::Plain));
            policy
        }
        Err(report) => panic!("{report}"),
    }
}

#[test]
fn shipped_purposes_are_the_defaults() {
    assert_eq!(*shipped().purposes(), Purposes::default());
    let (without_file, _) =
        Policy::load(&PolicySource { contracts: schemas(), purposes: None }).expect("the contracts are sound");
    assert_eq!(without_file.hash(), shipped().hash());
}

#[test]
fn every_shipped_contract_has_sound_tests() {
    let policy = shipped();
    match contract_test::load(&policy, &schemas()) {
        Ok((suites, untested)) => {
            assert!(untested.is_empty(), "{}", render(&untested, Look::Plain));
            assert_eq!(suites.len(), policy.contracts().len());
            assert!(suites.iter().all(|suite| suite.cases.len() >= 2));
        }
        Err(report) => panic!("{report}"),
    }
}

#[test]
fn shipped_contracts_show_every_class_and_type() {
    let policy = shipped();
    let shown: BTreeSet<String> = policy
        .contracts()
        .iter()
        .flat_map(|contract| &contract.fields)
        .map(|field| format!("{} {}", field.class.name(), type_name(&field.field_type)))
        .collect();
    let every = [
        "content content",
        "identifier identifier",
        "measure bool",
        "measure decimal",
        "measure duration",
        "measure float64",
        "measure int16",
        "measure int32",
        "measure int64",
        "measure int8",
        "measure timestamp",
        "measure timestamp with unit",
        "measure uint16",
        "measure uint32",
        "measure uint64",
        "measure uint8",
        "quasi-identifier age",
        "quasi-identifier geo",
        "quasi-identifier ip",
        "quasi-identifier timestamp",
        "word country",
        "word currency",
        "word http_method",
        "word http_status",
        "word locale",
        "word route",
        "word semver",
        "word user_agent",
        "word values",
    ];
    assert_eq!(shown, every.map(str::to_owned).into());
    assert!(policy.contracts().iter().flat_map(|contract| &contract.fields).any(|field| field.array.is_some()));
}

fn type_name(field_type: &FieldType) -> &'static str {
    match field_type {
        FieldType::Age(_) => "age",
        FieldType::Bool => "bool",
        FieldType::Content => "content",
        FieldType::Country => "country",
        FieldType::Currency => "currency",
        FieldType::Decimal { .. } => "decimal",
        FieldType::Duration(_) => "duration",
        FieldType::Float64 => "float64",
        FieldType::Geo => "geo",
        FieldType::HttpMethod => "http_method",
        FieldType::HttpStatus => "http_status",
        FieldType::Identifier { .. } => "identifier",
        FieldType::Int(int) => int.name(),
        FieldType::Ip => "ip",
        FieldType::Locale => "locale",
        FieldType::Route(_) => "route",
        FieldType::Semver => "semver",
        FieldType::Timestamp { unit: None, .. } => "timestamp",
        FieldType::Timestamp { unit: Some(_), .. } => "timestamp with unit",
        FieldType::UInt64 => "uint64",
        FieldType::UserAgent => "user_agent",
        FieldType::Words(_) => "values",
    }
}
