//! The configuration: files in, checked values out.
//!
//! A section is a struct, a key is a field, and everything else (reading, faults, defaults, the documented default file)
//! follows from that declaration. [`Config::load`] reports all faults at once with file, line and column; past it
//! no part of the daemon sees a raw value.

mod api;
mod gate;
mod kafka;
mod page;
mod portal;
mod s3;
mod section;
mod setting;
mod tree;
mod vault;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_consent::Issuer;
use weir_lake::TableName;
use weir_policy::diagnostic::{Diagnostic, Faults, Place, Report, Source};
use weir_policy::reader::{Section, Table};
use weir_source::SnapshotSettings;

pub use api::{Api, ApiRules, ApiTls};
pub use gate::{Gate, GateRules, GateTls};
pub use kafka::{BrokersFault, Kafka};
pub use page::default_file;
pub use portal::{Portal, PortalRules, Provider};
pub use s3::{S3, S3Rules};
pub use setting::{ByteSize, Count, FileUrl, Files, LakeUrl, NamedSecret, Start, StoreLayer, parse_duration};
pub use vault::{AuthMethod, Make, Vault, VaultRules};

use section::section;
use tree::Environment;

section! {
    /// What runs where. Relative paths are relative to the folder of the file that they stand in.
    /// `${VAR}` and `${VAR:-default}` are replaced inside texts. Sizes: B, KiB, MiB, GiB, kB, MB, GB.
    /// Times: ms, s, m, h, d. `--set lake.commit_interval=1m` goes over any key.
    pub struct General at "" {
        /// Folder of the contracts, one TOML file for each event type and version, at any depth.
        contracts: PathBuf = required(r#""../schemas""#),
        /// The three purposes: lawful basis, retention, epochs. Without it, the built-in defaults.
        purposes: Option<PathBuf> = proposed(r#""purposes.toml""#),
        /// Only events whose tenant may live here are written.
        region: String = required(r#""eu""#),
    }
}

section! {
    /// Who agreed to what: a topic on the same brokers, or a file.
    pub struct Consent at "consent" {
        /// The inbox that services write choices to; `<topic>.state`, compacted, is weir's own.
        topic: Option<String> = proposed(r#""weir.consent""#),
        /// The same records, one a line, later lines win; for one machine. Instead of `topic`.
        path: Option<PathBuf> = optional(r#""consent.ndjson""#),
        /// When the store has not been current for this long, the flow stops: nothing is lost, nothing written. At most 1m: for as long
        /// as this says, a withdrawal that is on its way may be passed over.
        max_staleness: Duration = standard(r#""5s""#),
        /// A sealed copy of what `<topic>.state` said, so that a start reads the rest only. Each daemon has its own file; one that is
        /// lost, changed or too old costs a longer start and nothing else. Its folder stays writable to the daemon: not the one of
        /// configuration, contracts or grants.
        snapshot: Option<PathBuf> = optional(r#""/var/lib/weir/state/consent.snapshot""#),
        /// Shortest time between two of them.
        snapshot_interval: Duration = standard(r#""15m""#),
    }
}

section! {
    /// Signed receipts of what people decide, in `<topic>.receipts`. Without this section none are made; with it, every key is needed.
    pub struct Receipts at "receipts" {
        /// Name of the controller, who answers for the data.
        controller: String = required(r#""Example GmbH""#),
        /// How a register knows the controller: number, court, LEI.
        identifier: String = required(r#""HRB 12345, Amtsgericht Berlin""#),
        /// The controller's postal address.
        address: String = required(r#""Weg 1, 10115 Berlin, Germany""#),
        /// Where people reach the controller about their data.
        contact: String = required(r#""privacy@example.com""#),
        /// The law that holds: the code of a country, or EU.
        jurisdiction: String = required(r#""DE""#),
        /// Address of the privacy notice that people are shown.
        privacy_notice: String = required(r#""https://example.com/privacy""#),
        /// Language of the notice and of the purposes' descriptions.
        language: String = required(r#""en""#),
        /// How a person takes a consent back, in a sentence.
        withdrawal: String = required(r#""Settings, Privacy: one switch for each purpose.""#),
    }
}

impl Receipts {
    /// Returns the same in the form that receipts are made with.
    pub fn issuer(&self) -> Issuer {
        Issuer {
            name: self.controller.clone(),
            identifier: self.identifier.clone(),
            address: self.address.clone(),
            contact: self.contact.clone(),
            jurisdiction: self.jurisdiction.clone(),
            privacy_notice: self.privacy_notice.clone(),
            language: self.language.clone(),
            withdrawal: self.withdrawal.clone(),
        }
    }
}

section! {
    /// Where rows go. A batch is committed at the first of the four limits; short ones make small files and
    /// let rows be matched across purposes.
    pub struct Lake at "lake" {
        /// Where the lake lies: a folder, as `file:` and a path, or a bucket, as `s3://BUCKET/PREFIX`.
        root: LakeUrl = required(r#""file:lake""#),
        /// How files of rows are written: "clear", or "encrypted" as Parquet that only its keys open. A lake that was
        /// encrypted once is never written in clear again.
        files: Files = standard(r#""clear""#),
        /// Longest time from the first record of a batch to its commit.
        commit_interval: Duration = standard(r#""5m""#),
        /// Most bytes of records in a batch.
        commit_bytes: ByteSize = standard(r#""256MiB""#),
        /// Most rows in a batch.
        commit_rows: Count = standard("5_000_000"),
        /// Most memory for the columns of open batches and those being committed; a batch closes at half of it.
        memory: ByteSize = standard(r#""192MiB""#),
        /// A folder with keys of the store's own, apart from the ring: with it every object of the lake is sealed, also the log, the coverage
        /// and the indexes, and readers come through `weir gate`. `weir keys init-store` makes it. A lake is sealed from its start or not at all.
        store_keys: Option<FileUrl> = optional(r#""file:store-keys""#),
        /// "provider": the store of a bucket must encrypt every object with the key of `[lake.s3]`. What it does not confirm to encrypt is
        /// taken back and does not count, and what it does not say is encrypted is not read.
        store: Option<StoreLayer> = optional(r#""provider""#),
        /// Tables that are not written: their rows are denied as `table_refused`, and counted, for good.
        skip: Vec<TableName> = optional(r#"["reliability/com.example.checkout.completed"]"#),
    }
}

section! {
    /// The secrets behind the pseudonyms.
    pub struct Keys at "keys" {
        /// The folder of the key ring, as "file:" and a path. `weir keys init` makes it.
        provider: FileUrl = required(r#""file:keys""#),
    }
}

section! {
    /// The pages /metrics, /livez, /readyz and /version.
    pub struct Http at "http" {
        /// Address and port; the loopback unless something else guards them.
        listen: SocketAddr = standard(r#""127.0.0.1:9464""#),
    }
}

section! {
    /// Past these a record is malformed, never passed through.
    pub struct Limits at "limits" {
        /// Most bytes of a record.
        record_bytes: ByteSize = standard(r#""1MiB""#),
        /// Deepest nesting of objects and arrays.
        depth: Count = standard("32"),
        /// Most keys in a record, at any depth.
        fields: Count = standard("4096"),
        /// Longest array.
        array_items: Count = standard("4096"),
    }
}

impl Limits {
    /// Returns the same in the form that the filter takes.
    pub fn for_filter(&self) -> weir_filter::Limits {
        weir_filter::Limits {
            record_bytes: self.record_bytes.as_usize(),
            depth: self.depth.as_usize(),
            fields: self.fields.as_usize(),
            array_items: self.array_items.as_usize(),
        }
    }
}

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What runs where.
    pub general: General,
    /// The source; absent for verbs that read files.
    pub kafka: Option<Kafka>,
    /// Who agreed to what.
    pub consent: ConsentSource,
    /// When a store that is not current stops the flow.
    pub max_staleness: Duration,
    /// Where the store of a topic is kept from one start to the next.
    pub snapshot: Option<SnapshotSettings>,
    /// Who issues receipts; none are made without it.
    pub receipts: Option<Receipts>,
    /// Where rows go.
    pub lake: Lake,
    /// How the bucket of the lake is spoken to; absent where everything is as usual, and where the lake is a folder.
    pub s3: Option<S3>,
    /// Who wraps the store's own keys; without a vault they lie in clear.
    pub store_vault: Option<Vault>,
    /// The key ring.
    pub keys: Keys,
    /// Who wraps it; without a vault its secrets lie in clear.
    pub vault: Option<Vault>,
    /// The pages.
    pub http: Http,
    /// The API; without it there is none.
    pub api: Option<Api>,
    /// What `weir portal` needs.
    pub portal: Option<Portal>,
    /// What `weir gate` needs.
    pub gate: Option<Gate>,
    /// What a record may be.
    pub limits: Limits,
}

/// Where consent comes from: one of two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsentSource {
    /// A file of records.
    Path(PathBuf),
    /// The inbox topic, on the brokers of the source.
    Topic(String),
}

impl Config {
    /// Returns which of the two layers of encryption are off, by the settings that switch them on.
    pub fn open_layers(&self) -> Vec<&'static str> {
        let layers = [
            ("lake.files = \"encrypted\"", self.lake.files == Files::Encrypted),
            ("lake.store_keys", self.lake.store_keys.is_some() || self.lake.store.is_some()),
        ];
        layers.into_iter().filter(|(_, is_on)| !is_on).map(|(setting, _)| setting).collect()
    }

    /// Reads and merges `files`, then `settings` over them.
    ///
    /// # Errors
    /// All faults at once, each with its place.
    pub fn load(files: &[PathBuf], settings: &[String]) -> Result<Self, Report> {
        let faults = Faults::default();
        let texts = files.iter().filter_map(|file| text_of(file, &faults)).collect();
        Self::read(texts, settings, &|name| std::env::var(name).ok(), faults)
    }

    fn read(
        files: Vec<tree::File>,
        settings: &[String],
        environment: Environment<'_>,
        faults: Faults,
    ) -> Result<Self, Report> {
        let tree = tree::merged(files, settings, environment, &faults);
        let config = tree.and_then(|tree| Self::read_tree(&tree, &faults));
        faults.into_result(config).map(|(config, _)| config)
    }

    fn read_tree(tree: &Table, faults: &Faults) -> Option<Self> {
        let mut root = Section::new(tree, faults);
        let general = General::read(&mut root);
        let kafka = kafka::read(&mut root);
        let consent = within(&mut root, "consent", |section| {
            let consent = Consent::read(section)?;
            let source = one_source(&consent, section);
            if consent.max_staleness > STALENESS_MAX {
                let message =
                    "`consent.max_staleness` is longer than a minute: withdrawals would be passed over for that long";
                let fault = Diagnostic::error(section.place(), "too_stale", message);
                section.faults().add(fault.hint("leave it at 5s, and find out why consent is not current"));
            }
            let interval = consent.snapshot_interval;
            let snapshot = consent.snapshot.map(|path| SnapshotSettings { path, interval });
            Some((source?, consent.max_staleness, snapshot))
        });
        let receipts = if_there(&mut root, "receipts", Receipts::read);
        let lake = within(&mut root, "lake", read_lake);
        let keys = within(&mut root, "keys", |section| {
            let vault = if_there(section, "vault", |section| vault::read(section, "keys.vault"));
            Some((Keys::read(section)?, vault?))
        });
        let http = within(&mut root, "http", Http::read);
        let api = if_there(&mut root, "api", api::read);
        let portal = if_there(&mut root, "portal", portal::read);
        let gate = if_there(&mut root, "gate", gate::read);
        let limits = within(&mut root, "limits", Limits::read);
        if let (Some(Some(_)), Some(None)) = (&portal, &receipts) {
            let fault = Diagnostic::error(root.place(), "portal_without_receipts", "`portal` needs `[receipts]`");
            faults
                .add(fault.hint("its pages name the controller, the contact and the privacy notice that stand there"));
        }
        if let (Some(Some(_)), Some((ConsentSource::Path(_), ..))) = (&api, &consent) {
            let fault = Diagnostic::error(root.place(), "api_without_topic", "`api` needs `consent.topic`");
            faults.add(fault.hint("decisions go to the inbox topic; a file of records is nobody's to write"));
        }
        if let (Some((lake, Some(store), _)), Some((_, ring))) = (&lake, &keys) {
            let shared = ring.as_ref().and_then(|ring| vault::shared(&ring.settings, &store.settings));
            let unused = lake.store_keys.is_none().then_some((
                "vault_without_keys",
                "`lake.store_vault` needs `lake.store_keys`".to_owned(),
                "the vault wraps the files in that folder; `weir keys init-store` makes them",
            ));
            for (code, message, hint) in shared.into_iter().chain(unused) {
                faults.add(Diagnostic::error(root.place(), code, message).hint(hint));
            }
        }
        root.finish();
        let (consent, max_staleness, snapshot) = consent?;
        let ((lake, store_vault, s3), (keys, vault)) = (lake?, keys?);
        Some(Self {
            general: general?,
            kafka: kafka?,
            consent,
            max_staleness,
            snapshot,
            receipts: receipts?,
            lake,
            s3,
            store_vault,
            keys,
            vault,
            http: http?,
            api: api?,
            portal: portal?,
            gate: gate?,
            limits: limits?,
        })
    }
}

/// Longer than any election of a broker takes.
const STALENESS_MAX: Duration = Duration::from_mins(1);

/// Reads the section of the lake, with those below it.
fn read_lake(section: &mut Section<'_>) -> Option<(Lake, Option<Vault>, Option<S3>)> {
    let vault = if_there(section, "store_vault", |section| vault::read(section, "lake.store_vault"));
    let s3 = if_there(section, "s3", s3::read);
    let (lake, vault, s3) = (Lake::read(section)?, vault?, s3?);
    if let Some((code, message, hint)) = s3::mismatch(&lake, s3.as_ref()) {
        section.faults().add(Diagnostic::error(section.place(), code, message).hint(hint));
        return None;
    }
    Some((lake, vault, s3))
}

fn text_of(file: &Path, faults: &Faults) -> Option<tree::File> {
    match std::fs::read_to_string(file) {
        Ok(text) => Some((file.to_path_buf(), text)),
        Err(error) => {
            let place = Place::start_of(&Source::new(file, ""));
            let message = format!("the file cannot be read: {}", error.kind());
            faults.add(Diagnostic::error(&place, "unreadable", message));
            None
        }
    }
}

/// Reads a table of the root; an absent one is read as if it were empty, for its defaults and missing keys.
fn within<T>(root: &mut Section<'_>, key: &'static str, read: fn(&mut Section<'_>) -> Option<T>) -> Option<T> {
    let faults = root.faults();
    let absent = Table { place: root.place().clone(), entries: Vec::new() };
    let table = match root.take(key) {
        Some(node) => node.table(faults)?,
        None => &absent,
    };
    let mut section = Section::new(table, faults);
    let value = read(&mut section);
    section.finish();
    value
}

/// Reads a table that may be absent; the outer `None` is a fault.
#[expect(clippy::option_option, reason = "absent and faulty differ, and the caller asks with `?` for the one")]
fn if_there<T>(
    parent: &mut Section<'_>,
    key: &'static str,
    read: fn(&mut Section<'_>) -> Option<T>,
) -> Option<Option<T>> {
    let Some(node) = parent.take(key) else { return Some(None) };
    let mut section = Section::new(node.table(parent.faults())?, parent.faults());
    let value = read(&mut section);
    section.finish();
    value.map(Some)
}

fn one_source(consent: &Consent, section: &Section<'_>) -> Option<ConsentSource> {
    let message = match (&consent.topic, &consent.path) {
        (Some(topic), None) => return Some(ConsentSource::Topic(topic.clone())),
        (None, Some(path)) => return Some(ConsentSource::Path(path.clone())),
        (Some(_), Some(_)) => "`consent` has both a `topic` and a `path`",
        (None, None) => "`consent` has neither a `topic` nor a `path`",
    };
    let fault = Diagnostic::error(section.place(), "consent_source", message);
    section.faults().add(fault.hint("without consent nothing passes: name the inbox topic, or a file of records"));
    None
}

/// Every section that counts without being there, or must be there, in the order of the default file.
const PAGES: [section::SectionPage; 7] =
    [General::PAGE, Kafka::PAGE, Consent::PAGE, Lake::PAGE, Keys::PAGE, Http::PAGE, Limits::PAGE];

/// What is off without its section.
const SPARE_PAGES: [section::SectionPage; 10] = [
    VaultRules::PAGE,
    vault::STORE_PAGE,
    S3Rules::PAGE,
    Receipts::PAGE,
    ApiRules::PAGE,
    ApiTls::PAGE,
    PortalRules::PAGE,
    Provider::PAGE,
    GateRules::PAGE,
    GateTls::PAGE,
];

#[cfg(test)]
mod tests {
    use weir_vault::{Auth, Provider};

    use super::*;

    fn load(text: &str, settings: &[&str]) -> Result<Config, Report> {
        let settings: Vec<_> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let files = vec![("/etc/weir/weir.toml".into(), text.to_owned())];
        Config::read(files, &settings, &|_| None, Faults::default())
    }

    /// The default file is a configuration as it stands, and every commented key in it a value of its kind.
    #[test]
    fn default_file_is_a_configuration() {
        let config = load(&default_file(), &[]).unwrap();
        assert_eq!(config.lake.root, LakeUrl::Folder("/etc/weir/lake".into()));
        assert_eq!(config.lake.commit_interval, Duration::from_mins(5));
        let table = "reliability/com.example.checkout.completed";
        let skip = format!("lake.skip=[\"{table}\"]");
        let commented = ["source.kafka.instance_id=weir-1", "source.kafka.client.security.protocol=ssl", &skip];
        let config = load(&default_file(), &commented).unwrap();
        assert_eq!(config.lake.skip, [table.parse().unwrap()]);
        assert!(config.api.is_none());
        let kafka = config.kafka.unwrap();
        assert_eq!(kafka.instance_id.as_deref(), Some("weir-1"));
        assert_eq!(kafka.client["security.protocol"], "ssl");
    }

    /// The sections that are off are configurations too, once their signs of comment are taken away.
    #[test]
    fn spare_sections_are_configurations() {
        let written = default_file();
        let (plain, spare) = written.split_at(written.find("# [keys.vault]").unwrap());
        let is_code =
            |line: &&str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        // They mean nothing to the provider that the file has.
        let is_clouds = |line: &&str| line.starts_with("region") || line.starts_with("login_address");
        let spare = spare.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_code);
        let spare: Vec<_> = spare.filter(|line| !is_clouds(line)).collect();
        let set = ["lake.store_keys=file:store-keys", "lake.root=s3://bucket", "lake.store=provider"];
        let config = load(&format!("{plain}\n{}", spare.join("\n")), &set).unwrap();
        let portal = config.portal.unwrap();
        assert_eq!(portal.rules.issuers.unwrap(), Path::new("/etc/weir/portal-issuers.toml"));
        assert_eq!(portal.provider.unwrap().claim, "sub");
        let vault = config.vault.unwrap();
        let secret_file = PathBuf::from("/etc/weir/vault-secret-id");
        let auth = Auth::AppRole { mount: "approle".to_owned(), role: "0b1f9d1c-weir".to_owned(), secret_file };
        let store = config.store_vault.unwrap();
        assert_eq!([vault.cache_ttl, store.cache_ttl], [Duration::from_mins(10); 2]);
        let [Provider::Vault(vault), Provider::Vault(store)] = [vault.settings, store.settings] else {
            panic!("no vaults")
        };
        assert_eq!((vault.auth, vault.mount.as_str(), store.mount.as_str()), (auth, "transit", "transit-store"));
        let s3 = config.s3.unwrap();
        assert_eq!(s3.endpoint.unwrap().text(), "https://s3.example.com");
        assert_eq!(s3.rules.timeout, Duration::from_secs(20));
        let api = config.api.unwrap();
        assert_eq!(api.rules.tokens, Path::new("/etc/weir/api-tokens.toml"));
        assert_eq!(api.rules.answers.unwrap(), Path::new("/etc/weir/answers"));
        assert_eq!(api.tls.unwrap().client_ca.unwrap(), Path::new("/etc/weir/clients-ca.pem"));
        let gate = config.gate.unwrap();
        assert_eq!(gate.rules.grants, Path::new("/etc/weir/grants.toml"));
        assert_eq!(gate.tls.unwrap().certificate, Path::new("/etc/weir/gate.pem"));
    }

    #[test]
    fn topic_that_must_be_sealed_is_one_that_is_read() {
        let config = load(&default_file(), &["source.kafka.sealed_topics=[\"telemetry\"]"]).unwrap();
        assert_eq!(config.kafka.unwrap().sealed_topics, ["telemetry"]);
        let report = load(&default_file(), &["source.kafka.sealed_topics=[\"telemetri\"]"]).unwrap_err();
        assert_eq!(report.diagnostics.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["sealed_topic"]);
    }

    #[test]
    fn api_is_secured_or_local_and_has_an_inbox() {
        let code = |settings: &[&str]| {
            let tokens = ["api.tokens=tokens.toml"];
            let report = load(&default_file(), &[&tokens, settings].concat()).unwrap_err();
            report.diagnostics.iter().map(|fault| fault.code).collect::<Vec<_>>()
        };
        assert_eq!(code(&["api.listen=0.0.0.0:9465"]), ["api_without_tls"]);
        let gate = ["api.listen=[::1]:9465", "gate.grants=grants.toml", "gate.listen=[::]:9467"];
        assert_eq!(code(&gate), ["gate_without_tls"]);
        let by_file = default_file().replace("topic = \"weir.consent\"", "path = \"consent.ndjson\"");
        let settings = ["api.tokens=tokens.toml", "api.listen=[::1]:9465"];
        let report = load(&by_file, &settings).unwrap_err();
        assert_eq!(report.diagnostics.iter().map(|fault| fault.code).collect::<Vec<_>>(), ["api_without_topic"]);
        assert!(load(&default_file(), &settings).unwrap().api.is_some());
    }

    /// Defaults need no key at all: what the file writes out is what holds without it.
    #[test]
    fn defaults_hold_without_their_keys() {
        let written = default_file();
        let is_default = |line: &&str| SHORT.iter().any(|key| line.starts_with(key)) || line.starts_with('[');
        let short = written.lines().filter(is_default).collect::<Vec<_>>().join("\n");
        assert_eq!(load(&short, &[]).unwrap(), load(&written, &[]).unwrap());
    }

    const SHORT: [&str; 9] =
        ["contracts", "purposes", "region", "brokers", "topics", "group", "topic =", "root", "provider"];

    #[test]
    fn default_file_in_the_repository_is_up_to_date() {
        golden("../../config/weir.toml", &default_file());
    }

    /// Every fault of a broken file is reported at once, each with its place and what to do.
    #[test]
    fn faults_are_reported_all_at_once() {
        let broken = include_str!("../tests/broken/weir.toml");
        let report = load(broken, &["lake.memory=plenty", "nonsense"]).unwrap_err();
        golden("tests/broken/weir.expected.txt", &report.to_string());
    }

    fn golden(path: &str, text: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("WEIR_BLESS").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), text, "run with WEIR_BLESS=1 to rewrite");
    }
}
