//! Where the brokers are, how to speak to them, and which of librdkafka's options are not the operator's to set.
//!
//! Every client that weir opens is configured here, so that the rules of "Exactly once" cannot be undone by a line of
//! configuration: no automatic commit, no automatic reset to another offset, committed records only. It stands first
//! because nothing can be read before it is known from whom.

use std::collections::BTreeMap;

use rdkafka::{ClientConfig, config::RDKafkaLogLevel, error::KafkaError};

/// The address of the brokers and the options that every client passes through.
#[expect(missing_debug_implementations, reason = "the options may hold passwords and keys")]
#[derive(Clone)]
pub struct Brokers {
    bootstrap: String,
    options: BTreeMap<String, String>,
}

impl Brokers {
    /// Checks the options (`[source.kafka] client`) without connecting to anything.
    ///
    /// # Errors
    /// [`OptionRefused`] names the first option that weir owns, or that librdkafka does not know or accept.
    pub fn new(bootstrap: impl Into<String>, options: BTreeMap<String, String>) -> Result<Self, OptionRefused> {
        for option in options.keys() {
            if let Some((_, why)) = OWNED.iter().find(|(owned, _)| owned == option) {
                return Err(OptionRefused::Owned { option: option.clone(), why });
            }
        }
        let brokers = Self { bootstrap: bootstrap.into(), options };
        match brokers.observer().create_native_config() {
            Ok(_) => Ok(brokers),
            // The value is left out on purpose: it may be a password.
            Err(KafkaError::ClientConfig(_, _, option, _)) => Err(OptionRefused::Invalid { option }),
            Err(_) => Err(OptionRefused::Invalid { option: "client".to_owned() }),
        }
    }

    /// A client that asks about topics and offsets and reads nothing.
    pub(crate) fn observer(&self) -> ClientConfig {
        let mut config = self.base();
        config.set("isolation.level", "read_committed").set("allow.auto.create.topics", "false");
        config
    }

    /// A consumer whose partitions weir chooses by hand, at offsets that weir chooses.
    ///
    /// librdkafka wants the name of a group even from a consumer that never joins one.
    pub(crate) fn reader(&self, group: &str) -> ClientConfig {
        let mut config = self.base();
        for (option, default) in READER_DEFAULTS {
            self.set_default(&mut config, option, default);
        }
        for (option, value) in READER_RULES {
            config.set(*option, *value);
        }
        config.set("group.id", group);
        config
    }

    /// A consumer that shares the partitions of its topics with the other members of a group.
    pub(crate) fn member(&self, group: &str, instance: Option<&str>) -> ClientConfig {
        let mut config = self.reader(group);
        if self.options.get("group.protocol").is_none_or(|protocol| protocol == "classic") {
            self.set_default(&mut config, "partition.assignment.strategy", "cooperative-sticky");
        }
        if let Some(instance) = instance {
            config.set("group.instance.id", instance);
        }
        config
    }

    /// A producer whose records are stored once, in order, on all replicas, before they count as sent.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.base();
        for option in self.options.keys().filter(|option| is_of_consumers(option)) {
            config.remove(option);
        }
        config.set("enable.idempotence", "true").set("acks", "all").set("allow.auto.create.topics", "false");
        for (option, default) in PRODUCER_DEFAULTS {
            self.set_default(&mut config, option, default);
        }
        config
    }

    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "weir").set_log_level(RDKafkaLogLevel::Info);
        for (option, value) in &self.options {
            config.set(option, value);
        }
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    fn set_default(&self, config: &mut ClientConfig, option: &str, value: &str) {
        if !self.options.contains_key(option) {
            config.set(option, value);
        }
    }
}

/// Why an option of `[source.kafka] client` is refused; never quotes its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionRefused {
    /// librdkafka does not know the option, or not with this value.
    #[error("option `{option}` is unknown to librdkafka, or its value is not one it accepts")]
    Invalid {
        /// Name of the option.
        option: String,
    },
    /// The option is weir's own.
    #[error("option `{option}` is weir's own: {why}")]
    Owned {
        /// Name of the option.
        option: String,
        /// What to do instead, or why it must not be changed.
        why: &'static str,
    },
}

impl OptionRefused {
    /// Returns the name of the option that is refused.
    pub fn option(&self) -> &str {
        match self {
            Self::Invalid { option } | Self::Owned { option, .. } => option,
        }
    }
}

fn is_of_consumers(option: &str) -> bool {
    const NAMES: [&str; 6] = [
        "check.crcs",
        "heartbeat.interval.ms",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "partition.assignment.strategy",
        "session.timeout.ms",
    ];
    ["fetch.", "group.", "queued."].iter().any(|prefix| option.starts_with(prefix)) || NAMES.contains(&option)
}

/// What a reader must be; the reasons stand in [`OWNED`].
const READER_RULES: &[(&str, &str)] = &[
    ("allow.auto.create.topics", "false"),
    ("auto.offset.reset", "error"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "false"),
    ("isolation.level", "read_committed"),
];

/// What a reader is unless the operator says otherwise.
const READER_DEFAULTS: &[(&str, &str)] = &[
    // A flipped bit is found before the record is judged; the checksum is one instruction a word on current machines.
    ("check.crcs", "true"),
    // The prefetch queue and one answer of a broker bound what librdkafka holds, so that the process stays below 500 MB.
    ("fetch.max.bytes", "8388608"),
    // A queue that was full is fetched for again as soon as there is room; the default of a second starves a fast reader.
    ("fetch.queue.backoff.ms", "5"),
    ("queued.max.messages.kbytes", "32768"),
    ("receive.message.max.bytes", "16777216"),
    // A topic that was missing, or got partitions, is noticed within half a minute instead of five.
    ("topic.metadata.refresh.interval.ms", "30000"),
];

/// What a producer is unless the operator says otherwise.
const PRODUCER_DEFAULTS: &[(&str, &str)] = &[
    ("compression.type", "zstd"),
    ("linger.ms", "5"),
    // Shorter than the five minutes of librdkafka: who waits for a flush wants to know, and tries again.
    ("message.timeout.ms", "30000"),
    // As Java's clients do: a key lands in the same partition whoever writes it.
    ("partitioner", "murmur2_random"),
];

/// Options that are refused, with what to do instead or why.
const OWNED: &[(&str, &str)] = &[
    ("acks", "consent records count as sent when all replicas have them"),
    ("allow.auto.create.topics", "a topic that is missing is reported, not made"),
    ("auto.offset.reset", "use `start`; an offset that is gone stops the partition instead of skipping records"),
    ("bootstrap.servers", "use `brokers`"),
    ("client.id", "weir names itself"),
    ("debug", "weir reads librdkafka's own log; use `-vv`"),
    ("enable.auto.commit", "offsets are committed only with the receipt of a durable commit"),
    ("enable.auto.offset.store", "offsets are committed only with the receipt of a durable commit"),
    ("enable.idempotence", "consent records are never stored twice or out of order"),
    ("enable.partition.eof", "weir asks for end offsets itself"),
    ("enable.ssl.certificate.verification", "brokers are verified; name their CA as `ssl.ca.location`"),
    ("group.id", "use `group`"),
    ("group.instance.id", "use `instance_id`"),
    ("isolation.level", "records of aborted transactions were never sent"),
    ("log.queue", "weir reads librdkafka's own log"),
    ("metadata.broker.list", "use `brokers`"),
    ("plugin.library.paths", "a plugin would see records before the filter does"),
    ("request.required.acks", "consent records count as sent when all replicas have them"),
    ("ssl.endpoint.identification.algorithm", "brokers are verified by the names that they are reached by"),
    ("test.mock.num.brokers", "use `weir demo`"),
    ("transactional.id", "weir's tables carry the offsets; no transaction is needed"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(option: &str, value: &str) -> OptionRefused {
        let options = BTreeMap::from([(option.to_owned(), value.to_owned())]);
        Brokers::new("localhost:9092", options).err().expect("the option is refused")
    }

    /// Goal: no line of configuration can undo the rules of "Exactly once".
    #[test]
    fn options_that_weir_owns_are_refused_by_name() {
        for (option, why) in OWNED {
            let message = refused(option, "true").to_string();
            assert!(message.contains(option) && message.contains(why), "{message}");
        }
        for (option, _) in READER_RULES {
            assert!(OWNED.iter().any(|(owned, _)| owned == option), "{option} is a rule that could be overridden");
        }
    }

    #[test]
    fn unknown_option_is_named_and_its_value_is_not() {
        let message = refused("ssl.key.pasword", "hunter2").to_string();
        assert!(message.contains("ssl.key.pasword") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn operators_options_win_over_defaults_and_lose_to_rules() {
        let options = BTreeMap::from([("fetch.max.bytes".to_owned(), "4194304".to_owned())]);
        let brokers = Brokers::new("localhost:9092", options).expect("the option is librdkafka's");
        let config = brokers.member("weir", Some("one"));
        assert_eq!(config.get("fetch.max.bytes"), Some("4194304"));
        assert_eq!(config.get("enable.auto.commit"), Some("false"));
        assert_eq!(config.get("group.instance.id"), Some("one"));
        assert_eq!(brokers.producer().get("fetch.max.bytes"), None);
    }
}
