//! `weir receipt verify`: whether a receipt is as it was signed, and what it says. Offline.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use serde::Deserialize;
use weir_consent::{Receipt, receipt_key};
use weir_daemon::rights;
use weir_keys::PublicKey;

use crate::cli::{Global, OutputFormat};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};

/// What to do with receipts.
#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptVerb {
    /// Checks the signature of a receipt, and says what was signed.
    Verify(VerifyArgs),
}

/// Arguments of `weir receipt verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// File with the receipt as it was handed out; `-` is standard input.
    file: PathBuf,
    /// File of the public keys, as `weir keys export-public` prints them; without it, those of the configured key ring.
    #[arg(long, value_name = "JWKS")]
    keys: Option<PathBuf>,
    /// Form of the output: words, or the receipt's own JSON-LD.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
}

/// Runs one of the verbs below `weir receipt`.
///
/// # Errors
/// When the receipt is not as it was signed, or files cannot be read.
pub(crate) fn receipt(global: &Global, verb: &ReceiptVerb) -> Result<Exit, Failure> {
    let ReceiptVerb::Verify(args) = verb;
    let keys = match &args.keys {
        Some(file) => keys(&text(file)?).with_context(|| file.display().to_string()).or_exit(Exit::Data)?,
        None => vec![receipt_key(&setup::key_ring(&setup::config(global)?)?.snapshot()).public()],
    };
    let jws = text(&args.file)?;
    if let Ok(answer) = rights::verify(jws.trim(), &keys) {
        if args.format == OutputFormat::Text {
            output::print("the signature holds\n")?;
        }
        output::print_json(&answer)?;
        return Ok(Exit::Done);
    }
    let receipt = Receipt::verify(jws.trim(), &keys).context("the receipt does not hold");
    let receipt = receipt.or_exit(Exit::Data)?;
    match args.format {
        OutputFormat::Json => output::print_json(&receipt.json())?,
        OutputFormat::Text => output::print(format_args!("the signature holds\n{receipt}\n"))?,
    }
    Ok(Exit::Done)
}

fn text(file: &Path) -> Result<String, Failure> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    read.with_context(|| format!("cannot read {}", file.display())).or_exit(Exit::NoInput)
}

/// A JSON Web Key Set, as far as it is needed: other members and keys of other kinds are passed over.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
}

fn keys(text: &str) -> anyhow::Result<Vec<PublicKey>> {
    let set: KeySet = serde_json::from_str(text).context("not a JSON Web Key Set")?;
    let ours = set.keys.iter().filter(|key| key.kty == "OKP" && key.crv == "Ed25519");
    let keys: Vec<_> = ours.filter_map(|key| PublicKey::of_x(&key.x)).collect();
    if keys.is_empty() { Err(anyhow!("no Ed25519 key in it")) } else { Ok(keys) }
}
