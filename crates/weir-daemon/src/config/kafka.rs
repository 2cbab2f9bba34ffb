//! `[source.kafka]`: the brokers, and how events and consent travel from them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use tracing::warn;
use weir_filter::{Tenants, TopicRules};
use weir_policy::diagnostic::Diagnostic;
use weir_policy::reader::Section;
use weir_source::{Brokers, OptionRefused};

use super::section::section;
use super::setting::Start;
use super::within;
use crate::api::{FileFault, private_file};

section! {
    /// Where the events come from.
    pub struct Kafka at "source.kafka" {
        /// librdkafka's bootstrap.servers.
        brokers: String = required(r#""localhost:9092""#),
        /// The topics that carry CloudEvents.
        topics: Vec<String> = required(r#"["telemetry"]"#),
        /// Those of them whose events must be sealed to a key of `weir keys rotate-sealing`: what comes in clear is malformed there, `not_sealed`.
        sealed_topics: Vec<String> = optional(r#"["telemetry"]"#),
        /// Whose events a topic carries. A tenant that stands here comes through the topics that name it and through no other, others through
        /// topics that name nobody: who may write to a topic speaks for its tenants only. What is another's is malformed, `foreign_tenant`.
        topic_tenants: BTreeMap<String, Vec<String>> = optional(r#"{ "telemetry" = ["acme"] }"#),
        /// The consumer group. A lake belongs to one group.
        group: String = required(r#""weir""#),
        /// Where a partition that the lake has never seen starts: "earliest" or "latest".
        start: Start = standard(r#""earliest""#),
        /// Static membership: a restart within the session time-out moves no partition. One for each daemon.
        instance_id: Option<String> = optional(r#""weir-1""#),
        /// How long a raw record may stay in these topics and in the consent inbox, so that what is erased is gone everywhere (a month:
        /// GDPR, article 12(3)). The shortest retention of a purpose bounds it, too. Topics that may keep records longer are not read.
        erasure_deadline: Duration = standard(r#""30d""#),
        /// Reads them all the same; /readyz and the ledger say so.
        allow_longer_retention: bool = standard("false"),
        /// librdkafka options, passed through to every client; those that weir sets itself (`group.id`, `client.id`, `auto.offset.reset`,
        /// `acks`, …) are refused with the reason.
        /// Secrets among them are named, `file:PATH` (mode 0600) or `env:NAME`, and never written here.
        client: BTreeMap<String, String> = optional(r#"{ "security.protocol" = "ssl" }"#),
        /// Brokers on other machines are spoken to by TLS, and their certificates are checked. With this they may be spoken to in clear:
        /// everybody on the network then reads events and who agreed to what. The log says so at each start.
        allow_plaintext: bool = standard("false"),
    }
}

/// A secret of an option cannot be had, or librdkafka refuses an option.
#[derive(Debug, thiserror::Error)]
pub enum BrokersFault {
    /// The environment has no such variable.
    #[error("`{option}` names a variable that the environment does not have")]
    NoVariable {
        /// The option.
        option: String,
    },
    /// An option is refused.
    #[error(transparent)]
    Option(#[from] OptionRefused),
    /// The file is not there, or others may read it.
    #[error("`{option}` names a file that cannot be used")]
    File {
        /// The option.
        option: String,
        /// What is wrong with it.
        source: FileFault,
    },
}

impl Kafka {
    /// Returns the brokers, with the secrets that the options name.
    ///
    /// # Errors
    /// When a secret cannot be had, or librdkafka refuses an option.
    pub fn connection(&self) -> Result<Brokers, BrokersFault> {
        if self.is_open() {
            warn!("source.kafka.allow_plaintext: events and consent cross the network in clear");
        }
        let mut options = self.client.clone();
        for (option, value) in options.iter_mut().filter(|(option, _)| is_secret(option)) {
            let option = || option.clone();
            *value = if let Some(path) = value.strip_prefix(FILE) {
                let text =
                    private_file(path.as_ref()).map_err(|source| BrokersFault::File { option: option(), source });
                text?.trim_end_matches(['\r', '\n']).to_owned()
            } else {
                let name = value.strip_prefix(ENVIRONMENT).unwrap_or_default();
                std::env::var(name).map_err(|_absent| BrokersFault::NoVariable { option: option() })?
            };
        }
        Ok(Brokers::new(&self.brokers, options)?)
    }

    /// Checks the options as far as that needs none of the secrets that they name.
    ///
    /// # Errors
    /// When librdkafka refuses an option.
    pub fn check(&self) -> Result<(), BrokersFault> {
        let options = self.client.iter().filter(|(option, _)| !is_secret(option));
        let options = options.map(|(option, value)| (option.clone(), value.clone())).collect();
        Ok(Brokers::new(&self.brokers, options).map(drop)?)
    }

    /// Returns the files that options name: certificates, keys and secrets.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.client.iter().filter_map(|(option, value)| match value.strip_prefix(FILE) {
            Some(path) => Some(path),
            None => option.ends_with(".location").then_some(value.as_str()),
        })
    }

    /// Returns what topics demand of their events, for those that demand anything.
    pub(crate) fn rules(&self) -> Vec<(String, TopicRules)> {
        let bound: BTreeSet<String> = self.topic_tenants.values().flatten().cloned().collect();
        let rules = |topic: &String| {
            let only = self.topic_tenants.get(topic).map(|names| Tenants::Only(names.iter().cloned().collect()));
            let tenants = only.unwrap_or_else(|| Tenants::AllBut(bound.clone()));
            TopicRules { only_sealed: self.sealed_topics.contains(topic), tenants }
        };
        let demands = |rules: &TopicRules| rules.only_sealed || !bound.is_empty();
        self.topics.iter().map(|topic| (topic.clone(), rules(topic))).filter(|(_, rules)| demands(rules)).collect()
    }

    /// Tells whether records cross a network in clear.
    fn is_open(&self) -> bool {
        let protocol = self.client.get("security.protocol").map(|protocol| protocol.to_lowercase());
        let is_clear = protocol.is_none_or(|protocol| !["ssl", "sasl_ssl"].contains(&protocol.as_str()));
        is_clear && !self.brokers.split(',').all(is_here)
    }
}

/// Reads the section, which verbs that read files do without; the outer `None` is a fault.
///
/// Nothing crosses a network in clear unless that is said, and no secret stands in it.
#[expect(clippy::option_option, reason = "absent and faulty differ, and the caller asks with `?` for the one")]
pub(super) fn read(root: &mut Section<'_>) -> Option<Option<Kafka>> {
    let faults = root.faults();
    let Some(source) = root.take("source") else { return Some(None) };
    let mut source = Section::new(source.table(faults)?, faults);
    let kafka = within(&mut source, "kafka", checked);
    source.finish();
    kafka.map(Some)
}

fn checked(section: &mut Section<'_>) -> Option<Kafka> {
    let kafka = Kafka::read(section)?;
    let wrong = |code, message: String, hint| {
        section.faults().add(Diagnostic::error(section.place(), code, message).hint(hint));
        None
    };
    if kafka.is_open() && !kafka.allow_plaintext {
        let message = "events and consent would cross the network in clear: `client` has no TLS".to_owned();
        let hint = "say `client = { \"security.protocol\" = \"ssl\" }` (or sasl_ssl), or `allow_plaintext = true`";
        return wrong("kafka_without_tls", message, hint);
    }
    if let Some(stray) = kafka.sealed_topics.iter().find(|topic| !kafka.topics.contains(topic)) {
        let message = format!("`sealed_topics` names {stray:?}, which is not among `topics`");
        let hint = "events of a topic that is not named here are taken in clear: it must be one that is read";
        return wrong("sealed_topic", message, hint);
    }
    if let Some(stray) = kafka.topic_tenants.keys().find(|topic| !kafka.topics.contains(topic)) {
        let message = format!("`topic_tenants` names {stray:?}, which is not among `topics`");
        let hint = "a topic that is not named here carries the events of everybody: it must be one that is read";
        return wrong("topic_tenants", message, hint);
    }
    let is_named = |value: &str| value.starts_with(FILE) || value.starts_with(ENVIRONMENT);
    if let Some((option, _)) = kafka.client.iter().find(|(option, value)| is_secret(option) && !is_named(value)) {
        let hint = "put it into a file of mode 0600 and say \"file:PATH\", or say \"env:NAME\"";
        return wrong("secret_in_config", format!("the secret of `{option}` stands in the configuration"), hint);
    }
    Some(kafka)
}

/// Tells whether a broker is on this machine.
fn is_here(broker: &str) -> bool {
    let broker = broker.trim().rsplit_once("://").map_or(broker.trim(), |(_, rest)| rest);
    let is_loopback = |host: &str| host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    let host = if broker.starts_with('[') {
        broker.trim_start_matches('[').split(']').next().unwrap_or_default()
    } else {
        broker.split(':').next().unwrap_or_default()
    };
    host == "localhost" || is_loopback(host)
}

fn is_secret(option: &str) -> bool {
    SECRETS.contains(&option)
}

/// Options of librdkafka whose values are secrets.
const SECRETS: [&str; 8] = [
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];
const FILE: &str = "file:";
const ENVIRONMENT: &str = "env:";

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::Config;
    use super::*;

    fn of(kafka: &str) -> Result<Kafka, String> {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("weir.toml");
        let text = format!(
            "contracts = \"schemas\"\nregion = \"eu\"\n[source.kafka]\ntopics = [\"t\"]\ngroup = \"g\"\n{kafka}\n\
             [consent]\ntopic = \"c\"\n[lake]\nroot = \"file:lake\"\n[keys]\nprovider = \"file:keys\"\n"
        );
        std::fs::write(&path, text).unwrap();
        Config::load(&[path], &[]).map(|config| config.kafka.unwrap()).map_err(|report| report.to_string())
    }

    #[test]
    fn brokers_elsewhere_are_spoken_to_by_tls_or_by_a_loud_word() {
        let far = "brokers = \"127.0.0.1:9092,kafka.example.com:9092\"";
        for clear in ["", "client = { \"security.protocol\" = \"SASL_PLAINTEXT\" }"] {
            let why = of(&format!("{far}\n{clear}")).unwrap_err();
            assert!(why.contains("kafka_without_tls") && why.contains("allow_plaintext"), "{why}");
        }
        for closed in ["client = { \"security.protocol\" = \"SSL\" }", "allow_plaintext = true"] {
            of(&format!("{far}\n{closed}")).unwrap();
        }
        for here in ["localhost:9092", "127.0.0.1:1, [::1]:2", "PLAINTEXT://localhost:9092"] {
            of(&format!("brokers = \"{here}\"")).unwrap();
        }
        for elsewhere in ["localhost.example:9092", "10.0.0.1:9092", "[::2]:9092", "127.0.0.1.example:1"] {
            of(&format!("brokers = \"{elsewhere}\"")).unwrap_err();
        }
    }

    #[test]
    fn secret_is_named_and_never_written_into_the_configuration() {
        let with = |option: &str| of(&format!("brokers = \"localhost:9092\"\nclient = {{ {option} }}"));
        let why = with("\"sasl.password\" = \"hunter2\"").unwrap_err();
        assert!(why.contains("secret_in_config") && !why.contains("hunter2"), "{why}");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "hunter2\n").unwrap();
        let named = with(&format!("\"sasl.password\" = \"file:{}\"", path.display())).unwrap();
        mode(&path, 0o644);
        let why = named.connection().err().unwrap().to_string();
        assert!(why.contains("sasl.password") && !why.contains("hunter2"), "{why}");
        mode(&path, 0o600);
        assert!(named.connection().is_ok());
        assert!(!format!("{named:?}").contains("hunter2"));
        let absent = with("\"ssl.key.password\" = \"env:WEIR_NO_SUCH_VARIABLE\"").unwrap();
        assert!(absent.connection().err().unwrap().to_string().contains("ssl.key.password"));
    }

    #[test]
    fn tenant_comes_through_the_topics_that_name_it_and_no_other() {
        let of_tenants = |tenants: &str| of(&format!("brokers = \"localhost:9092\"\ntopic_tenants = {tenants}"));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let with_topics = |tenants: &str| {
            let kafka = of_tenants(tenants).unwrap();
            Kafka { topics: vec!["t".into(), "u".into()], ..kafka }.rules()
        };
        let tenants: Vec<_> = with_topics("{ t = [\"acme\"] }").into_iter().map(|(_, rules)| rules.tenants).collect();
        assert_eq!(tenants, [Tenants::Only(names(&["acme"])), Tenants::AllBut(names(&["acme"]))]);
        assert_eq!(of("brokers = \"localhost:9092\"").unwrap().rules(), []);
        for (wrong, code) in
            [("{ u = [\"acme\"] }", "topic_tenants"), ("{ t = [] }", "list"), ("{ t = \"acme\" }", "list")]
        {
            let why = of_tenants(wrong).unwrap_err();
            assert!(why.contains(code), "{why}");
        }
    }

    fn mode(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}
