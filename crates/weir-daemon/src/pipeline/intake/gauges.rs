//! What the source worker shows of itself: what it holds, and how far its partitions are behind.
//!
//! A topic that is bound to tenants carries what nobody else sends, so its lag would count one tenant's records, mostly under the tenant's
//! name. The lags of all such topics are added up under one word that no topic can have as its name.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use weir_filter::{Tenants, TopicRules};
use weir_lake::PartitionId;
use weir_source::Consumer;

use super::{Intake, LAG_EVERY_MS, LAG_PATIENCE};
use crate::health::Obstacle;
use crate::metrics::labels::PartitionLabels;
use crate::pipeline::shared::seconds;

impl Intake {
    /// Brings the gauges up to date, and asks the brokers for the ends once in a while.
    pub(super) fn show(&mut self, consumer: &Consumer) {
        let now_ms = self.shared.clock.elapsed_ms();
        if self.session.lag_asked_ms.is_some_and(|asked| now_ms - asked < LAG_EVERY_MS) {
            return;
        }
        self.session.lag_asked_ms = Some(now_ms);
        let metrics = &self.shared.metrics;
        let in_flight_ms = self.in_flight.map(|batch| batch.opened_ms);
        let oldest_ms = in_flight_ms.into_iter().chain(self.filling.open.opened_ms()).min();
        metrics.oldest_uncommitted_seconds.set(seconds(oldest_ms.map_or(0, |oldest| now_ms - oldest)));
        metrics.open_bytes.set(i64::try_from(self.filling.open.filtered.memory()).unwrap_or(i64::MAX));
        if self.session.retake_ms.is_some() {
            return self.show_standing(consumer);
        }
        let Ok(lags) = consumer.lag(LAG_PATIENCE) else { return };
        self.pass_markers(consumer, &lags);
        self.session.lacks_topic &= lags.is_empty();
        if !self.session.lacks_topic {
            self.shared.health.clear(Obstacle::Kafka);
        }
        metrics.partitions.set(i64::try_from(lags.len()).unwrap_or(i64::MAX));
        let behind = lags.into_iter().map(|lag| {
            let partition = lag.position.partition;
            let committed = self.session.watermarks.get(&partition).copied().unwrap_or(lag.start);
            (partition, lag.end - committed)
        });
        show_lag(&metrics.lag, &self.membership.rules, behind);
    }

    /// Shows how far partitions that stand still fall behind.
    fn show_standing(&self, consumer: &Consumer) {
        let Ok(whole) = consumer.whole(LAG_PATIENCE) else { return };
        let behind = whole.into_iter().filter_map(|(partition, bounds)| {
            let committed = self.session.standing.get(&partition)?;
            Some((partition, bounds.end - committed))
        });
        show_lag(&self.shared.metrics.lag, &self.membership.rules, behind);
    }
}

/// Shows how many records each partition is behind.
fn show_lag(
    lag: &Family<PartitionLabels, Gauge>,
    rules: &[(String, TopicRules)],
    behind: impl Iterator<Item = (PartitionId, i64)>,
) {
    let mut shown = BTreeMap::<(Arc<str>, i32), i64>::new();
    for (partition, records) in behind {
        *shown.entry((shown_name(partition.topic, rules), partition.partition)).or_default() += records.max(0);
    }
    lag.clear();
    for ((topic, partition), records) in shown {
        lag.get_or_create_owned(&PartitionLabels { topic, partition }).set(records);
    }
}

/// Returns what a topic is called in a label.
fn shown_name(topic: Arc<str>, rules: &[(String, TopicRules)]) -> Arc<str> {
    let of_topic = rules.iter().find(|(name, _)| **name == *topic);
    match of_topic.map(|(_, rules)| &rules.tenants) {
        Some(Tenants::Only(_)) => BOUND.into(),
        Some(Tenants::AllBut(_)) | None => topic,
    }
}

/// The name of all topics that are bound to tenants: Kafka allows no bracket in a topic's.
const BOUND: &str = "(bound)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn lag_of_topics_that_are_bound_to_tenants_names_none_of_them() {
        let tenants = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let of = |tenants| TopicRules { only_sealed: false, tenants };
        let rules = [
            ("telemetry.acme".to_owned(), of(Tenants::Only(tenants(&["acme"])))),
            ("telemetry.globex".to_owned(), of(Tenants::Only(tenants(&["globex"])))),
            ("telemetry".to_owned(), of(Tenants::AllBut(tenants(&["acme", "globex"])))),
        ];
        let behind =
            [("telemetry.acme", 0, 5), ("telemetry.globex", 0, 7), ("telemetry.acme", 1, -1), ("telemetry", 0, 2)];
        let behind = behind.map(|(topic, partition, records)| {
            (PartitionId { source: "c/t".into(), topic: topic.into(), partition }, records)
        });
        let metrics = Metrics::new();
        for _ in 0..2 {
            show_lag(&metrics.lag, &rules, behind.clone().into_iter());
        }
        let text = metrics.text();
        let mut lines: Vec<_> = text.lines().filter(|line| line.starts_with("kafka_consumer_lag{")).collect();
        lines.sort_unstable();
        let want = [
            "kafka_consumer_lag{topic=\"(bound)\",partition=\"0\"} 12",
            "kafka_consumer_lag{topic=\"(bound)\",partition=\"1\"} 0",
            "kafka_consumer_lag{topic=\"telemetry\",partition=\"0\"} 2",
        ];
        assert_eq!(lines, want, "what was shown before is replaced, not added to");
    }
}
