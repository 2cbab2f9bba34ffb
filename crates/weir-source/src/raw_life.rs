//! How long the brokers keep raw records: a copy of everything that weir leaves out, out of weir's hands.
//!
//! A row that was erased or expired in the lake is still there as long as its record is in the topic. So the topics that
//! carry names of people must let go of them in time, and a topic that may not is [overstaying](Overstay).
//!
//! A record leaves with its segment, once the segment's newest timestamp is older than `retention.ms`; until then a segment may
//! grow for `segment.ms`, and with timestamps of the producers that newest one may lie `message.timestamp.after.max.ms` ahead. So
//! it stays for the sum of the three at most. Compaction alone lets the newest record of each key stay for ever.

use std::{fmt, time::Duration};

use crate::{
    admin::{Admin, TopicOptions},
    brokers::Brokers,
    cluster::{AskError, Cluster},
};

/// A topic that may keep records for longer than they may stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overstay {
    /// Name of the topic.
    pub topic: String,
    /// The option that keeps them.
    pub option: &'static str,
    /// Its value.
    pub found: String,
    life: Option<Duration>,
    allowed: Duration,
}

/// A line to the brokers for the one question how long they keep records, which is asked again and again.
#[expect(missing_debug_implementations, reason = "the clients' options may hold passwords")]
pub struct RawLife {
    cluster: Cluster,
    admin: Admin,
}

impl RawLife {
    /// Makes the clients; connects with the first question.
    ///
    /// # Errors
    /// [`AskError::Client`] when librdkafka cannot be set up with these options.
    pub fn connect(brokers: &Brokers) -> Result<Self, AskError> {
        Ok(Self { cluster: Cluster::connect(brokers)?, admin: Admin::connect(brokers, PATIENCE)? })
    }

    /// Returns those of `topics` that may keep a record for longer than `allowed`; topics that do not exist keep none.
    ///
    /// # Errors
    /// When the brokers do not answer, or do not say how they are set: nobody may guess.
    pub fn overstays(&self, topics: &[String], allowed: Duration) -> Result<Vec<Overstay>, AskError> {
        let mut overstays = Vec::new();
        for topic in topics {
            // Asked about a topic that does not exist, brokers say nothing instead of that it does not.
            match self.cluster.partitions(topic, PATIENCE) {
                Ok(_) => overstays.extend(overstay(topic, &self.admin.options(topic)?, allowed)),
                Err(AskError::TopicMissing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(overstays)
    }
}

fn overstay(topic: &str, options: &TopicOptions, allowed: Duration) -> Option<Overstay> {
    let text = |option: &str| options.get(option).map_or("unknown", String::as_str);
    let time = |option: &str| {
        let milliseconds = options.get(option)?.parse::<i64>().ok()?;
        u64::try_from(milliseconds).ok().map(Duration::from_millis)
    };
    let over = |option: &'static str, life: Option<Duration>| {
        let found = text(option).to_owned();
        Some(Overstay { topic: topic.to_owned(), option, found, life, allowed })
    };
    if !text("cleanup.policy").split(',').any(|policy| policy.trim() == "delete") {
        return over("cleanup.policy", None);
    }
    let is_of_producer = text("message.timestamp.type") != "LogAppendTime";
    let parts = ["retention.ms", "segment.ms", "message.timestamp.after.max.ms"];
    let mut life = Duration::ZERO;
    for option in parts.into_iter().take(if is_of_producer { 3 } else { 2 }) {
        life = match time(option) {
            Some(part) => life.saturating_add(part),
            None => return over(option, None),
        };
        if life > allowed {
            return over(option, Some(life));
        }
    }
    None
}

impl fmt::Display for Overstay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, option, found, life, allowed } = self;
        write!(f, "{topic} may keep a raw record ")?;
        match life {
            Some(life) if *life < ENDLESS => write!(f, "{}", days(*life))?,
            Some(_) | None => write!(f, "for ever")?,
        }
        write!(f, " ({option}={found}), and {} are allowed", days(*allowed))
    }
}

fn days(time: Duration) -> String {
    const DAY: u64 = 86_400;
    let (days, rest) = (time.as_secs() / DAY, time.as_secs() % DAY);
    if rest == 0 { format!("{days} days") } else { format!("{days} days and {} hours", rest.div_ceil(3_600)) }
}

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than anybody's lake.
const ENDLESS: Duration = Duration::from_hours(24 * 36_500);

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn of(changes: &[(&str, &str)]) -> Option<&'static str> {
        let usual = [
            ("cleanup.policy", "delete"),
            ("retention.ms", "604800000"),
            ("segment.ms", "604800000"),
            ("message.timestamp.type", "CreateTime"),
            ("message.timestamp.after.max.ms", "3600000"),
        ];
        let options = usual.iter().chain(changes).map(|(option, value)| ((*option).to_owned(), (*value).to_owned()));
        let month = Duration::from_hours(30 * 24);
        overstay("telemetry", &options.collect(), month).map(|overstay| overstay.option)
    }

    #[test]
    fn everything_that_lets_a_record_stay_is_found() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("cleanup.policy", "compact,delete")]), None);
        assert_eq!(of(&[("cleanup.policy", "compact")]), Some("cleanup.policy"));
        assert_eq!(of(&[("retention.ms", "-1")]), Some("retention.ms"));
        assert_eq!(of(&[("retention.ms", &(31 * DAY_MS).to_string())]), Some("retention.ms"));
        // Each alone would do, and both together would not.
        assert_eq!(of(&[("retention.ms", &(24 * DAY_MS).to_string())]), Some("segment.ms"));
        // Brokers before Kafka 4.0 take any timestamp from a producer.
        let any_time = ("message.timestamp.after.max.ms", "9223372036854775807");
        assert_eq!(of(&[any_time]), Some("message.timestamp.after.max.ms"));
        assert_eq!(of(&[any_time, ("message.timestamp.type", "LogAppendTime")]), None);
        assert_eq!(of(&[("segment.ms", "unknown")]), Some("segment.ms"));
    }

    #[test]
    fn words_name_the_option_and_the_times() {
        let found = "604800000".to_owned();
        let (life, allowed) = (Some(Duration::from_hours(15 * 24 + 1)), Duration::from_hours(24 * 14));
        let mut overstay = Overstay { topic: "telemetry".to_owned(), option: "segment.ms", found, life, allowed };
        let words =
            "telemetry may keep a raw record 15 days and 1 hours (segment.ms=604800000), and 14 days are allowed";
        assert_eq!(overstay.to_string(), words);
        overstay.life = None;
        assert!(overstay.to_string().contains("record for ever (segment.ms"), "{overstay}");
    }
}
