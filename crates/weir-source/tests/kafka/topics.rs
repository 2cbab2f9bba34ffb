//! Offsets without records, records that are gone, topics that come and go.

use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use weir_source::{Cluster, Outgoing, Problem, Producer, Tail, TopicPartition};

use crate::support::{
    Member, PATIENCE, Tables, address, admin, brokers, create, membership, produce, unique, with_options,
};

pub(crate) fn transactional(topic: &str) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", address())
        .set("transactional.id", topic)
        .create()
        .expect("a producer");
    producer.init_transactions(PATIENCE).expect("the broker has transactions");
    producer
}

pub(crate) fn transaction(producer: &BaseProducer, topic: &str, count: usize) {
    producer.begin_transaction().expect("no other is open");
    for _ in 0..count {
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(0).payload(b"{}");
        producer.send(record).map_err(|(error, _)| error).expect("the record fits");
    }
    producer.flush(PATIENCE).expect("the broker takes the records");
}

/// Goal: markers and aborted records lie inside the spans, and a partition that ends with a marker can be read to its end.
#[test]
fn offsets_without_records_are_accounted_for() {
    let topic = unique("transactions");
    create(&topic, 1, &[]);
    let producer = transactional(&topic);
    transaction(&producer, &topic, 10);
    producer.commit_transaction(PATIENCE).expect("committed");
    transaction(&producer, &topic, 5);
    producer.abort_transaction(PATIENCE).expect("aborted");
    transaction(&producer, &topic, 3);
    producer.commit_transaction(PATIENCE).expect("committed");
    transaction(&producer, &topic, 2); // Open: its records are nobody's yet.

    let tables = Tables::default();
    let mut member = Member::join(&brokers(), &membership(&topic, &topic), &tables);
    member.until("the committed records", |member| member.held() >= 13);
    let lags = member.consumer.lag(PATIENCE).expect("the broker answers");
    // 10 records, a marker, 5 aborted, a marker, 3 records, a marker.
    assert_eq!((lags[0].position.next, lags[0].end, lags[0].offsets()), (20, 21, 1));
    let mut tail = Tail::connect(&brokers(), &topic).expect("a client");
    let name = TopicPartition::new(topic.as_str(), 0);
    assert_eq!(tail.is_empty(&name, 10, 17, PATIENCE), Ok(false), "records follow the aborted ones");
    member.consumer.settle(&mut tail, &lags, PATIENCE).expect("the broker answers");
    member.turn();
    assert_eq!(member.consumer.positions()[0].next, 21);
    member.commit_all();
    let id = member.consumer.positions()[0].partition.clone();
    assert_eq!((tables.watermark(&id), tables.rows()), (Some(21), 13));

    producer.commit_transaction(PATIENCE).expect("committed");
    member.until("the last records", |member| member.held() >= 2);
    member.commit_all();
    assert_eq!((tables.watermark(&id), tables.rows()), (Some(23), 15));
}

#[test]
fn tombstones_are_records() {
    let topic = unique("tombstones");
    create(&topic, 1, &[]);
    let producer = Producer::connect(&brokers()).expect("a producer");
    for value in [Some(b"{}".as_slice()), None, Some(b"")] {
        let outgoing = Outgoing { topic: &topic, key: Some(b"k"), value, ..Outgoing::default() };
        producer.send(&outgoing).expect("the record fits");
    }
    producer.flush(PATIENCE).expect("the broker takes the records");
    let tables = Tables::default();
    let mut member = Member::join(&brokers(), &membership(&topic, &topic), &tables);
    member.until("three records", |member| member.held() == 3);
    member.commit_all();
    tables.assert_whole(1, 3);
}

/// Goal: a topic of the same name is another source even if its offsets would fit. Method: read 10 records, make the topic
/// anew with 20: every offset that the tables know exists again.
#[test]
fn topic_made_anew_is_another_source() {
    let topic = unique("anew");
    create(&topic, 1, &[]);
    produce(&topic, 1, 10);
    let tables = Tables::default();
    let mut member = Member::join(&brokers(), &membership(&topic, &topic), &tables);
    member.until("the records", |member| member.held() == 10);
    member.commit_all();
    let before = member.consumer.positions()[0].partition.clone();
    let cluster = Cluster::connect(&brokers()).expect("a client");
    assert_eq!(cluster.incarnation(&topic, PATIENCE).expect("the broker answers"), before.source);
    assert!(before.source.contains('/'), "{} names the cluster and the topic", before.source);

    admin().delete(&topic).expect("the broker deletes the topic");
    while cluster.partitions(&topic, PATIENCE).is_ok() {}
    create(&topic, 1, &[]);
    produce(&topic, 1, 20);
    assert_ne!(cluster.incarnation(&topic, PATIENCE).expect("the broker answers"), before.source);
    assert_eq!(member.consumer.lag(PATIENCE).expect("the broker answers"), []);
    member.until("the problem", |member| member.problems.iter().any(|problem| problem.code() == "made_anew"));
    assert_eq!(tables.watermark(&before), Some(10));
}

/// Goal: topics of many partitions have their ids at the first question, and each later one; librdkafka says several lines for each
/// partition beside them.
#[test]
fn topics_of_many_partitions_are_known_by_their_ids() {
    let topics = [unique("many"), unique("many")];
    let other = Cluster::connect(&brokers()).expect("a client");
    for topic in &topics {
        create(topic, 300, &[]);
        while other.partitions(topic, PATIENCE).is_err() {}
    }
    let cluster = Cluster::connect(&brokers()).expect("a client");
    for _ in 0..3 {
        let ids = topics.each_ref().map(|topic| cluster.incarnation(topic, PATIENCE).expect("the broker answers"));
        assert!(ids.iter().all(|id| id.contains('/')) && ids[0] != ids[1], "{ids:?}");
    }
    for topic in &topics {
        admin().delete(topic).expect("the broker deletes the topic");
    }
}

/// Goal: records that went before they were read stop the partition; nothing is skipped in silence.
#[test]
fn records_that_are_gone_stop_the_partition() {
    let topic = unique("gap");
    create(&topic, 1, &[]);
    produce(&topic, 1, 10);
    let tables = Tables::default();
    let mut member = Member::join(&brokers(), &membership(&topic, &topic), &tables);
    member.until("records", |member| member.held() == 10);
    member.commit_all();
    drop(member);
    produce(&topic, 1, 10);
    let name = TopicPartition::new(topic.as_str(), 0);
    admin().delete_records(&name, 15).expect("the broker deletes records");
    let mut member = Member::join(&brokers(), &membership(&topic, &topic), &tables);
    member.until("the problem", |member| !member.problems.is_empty());
    assert_eq!(member.problems, [Problem::Gap { partition: name, wanted: 10, first: 15 }]);
    member.turn();
    assert_eq!(member.held(), 0, "a record after the gap was handed out");
}

/// Goal: the same while the process runs. Method: the records go while the consumer holds still and has fetched none of them.
#[test]
fn records_that_go_under_way_stop_the_partition() {
    let topic = unique("gap-under-way");
    create(&topic, 1, &[]);
    produce(&topic, 1, 10);
    let tables = Tables::default();
    let mut member = Member::join(&brokers(), &membership(&topic, &topic), &tables);
    member.until("records", |member| member.held() == 10);
    member.consumer.pause();
    produce(&topic, 1, 10);
    let name = TopicPartition::new(topic.as_str(), 0);
    admin().delete_records(&name, 15).expect("the broker deletes records");
    member.consumer.resume();
    member.until("the problem", |member| !member.problems.is_empty());
    assert_eq!(member.problems, [Problem::Gap { partition: name, wanted: 10, first: 15 }]);
    assert_eq!(member.held(), 10, "a record after the gap was handed out");
}

#[test]
fn missing_topic_is_told_and_read_once_it_is_there() {
    let topic = unique("missing");
    let brokers = with_options(&[("topic.metadata.refresh.interval.ms", "1000")]);
    let tables = Tables::default();
    let mut member = Member::join(&brokers, &membership(&topic, &topic), &tables);
    member.until("the problem", |member| !member.problems.is_empty());
    assert_eq!(member.problems[0], Problem::TopicMissing { topics: vec![topic.clone()] });
    create(&topic, 1, &[]);
    produce(&topic, 1, 3);
    member.until("the records", |member| member.held() == 3);
}
