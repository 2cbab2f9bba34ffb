//! The contracts and purposes that the repository ships are sound, and show every class and type.

use std::path::{Path, PathBuf};

use weir_policy::{Policy, PolicySource, Purposes};

fn shipped() -> Policy {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = PolicySource { contracts: root.join("schemas"), purposes: Some(root.join("config/purposes.toml")) };
    match Policy::load(&source) {
        Ok((policy, warnings)) => {
            assert_eq!(warnings, [], "shipped contracts give no warning");
            policy
        }
        Err(report) => panic!("{report}"),
    }
}

#[test]
fn shipped_purposes_are_the_defaults() {
    assert_eq!(*shipped().purposes(), Purposes::default());
    let source =
        PolicySource { contracts: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas"), purposes: None };
    let (without_file, _) = Policy::load(&source).expect("the contracts are sound");
    assert_eq!(without_file.hash(), shipped().hash());
}
