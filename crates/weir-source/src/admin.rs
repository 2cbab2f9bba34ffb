//! Topics: made, described, deleted. Used for the state topic, by the demo and by tests.

use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use rdkafka::{
    Offset,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use crate::{
    brokers::Brokers,
    cluster::{AskError, of_answer, of_client},
    partition::{TopicPartition, placed},
};

/// A line to the brokers for changes to topics.
#[expect(missing_debug_implementations, reason = "the client's options may hold passwords")]
pub struct Admin {
    client: AdminClient<DefaultClientContext>,
    options: AdminOptions,
}

/// What a topic is to be.
#[derive(Clone, Copy, Debug)]
pub struct TopicPlan<'t> {
    /// Name of the topic.
    pub name: &'t str,
    /// Number of its partitions.
    pub partitions: i32,
    /// Number of copies; the brokers' default without one.
    pub replicas: Option<i32>,
    /// Options that differ from the brokers' defaults.
    pub options: &'t [(&'t str, &'t str)],
}

impl Admin {
    /// Makes the client; connects with the first question.
    ///
    /// # Errors
    /// [`AskError::Client`] when librdkafka cannot be set up with these options.
    pub fn connect(brokers: &Brokers, timeout: Duration) -> Result<Self, AskError> {
        let client = brokers.observer().create().map_err(|error| of_client(&error))?;
        let options = AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout));
        Ok(Self { client, options })
    }

    /// Makes a topic; one that exists already is left as it is.
    ///
    /// # Errors
    /// When the brokers refuse or do not answer in time.
    pub fn create(&self, plan: &TopicPlan<'_>) -> Result<(), AskError> {
        let replicas = TopicReplication::Fixed(plan.replicas.unwrap_or(BROKERS_DEFAULT));
        let mut topic = NewTopic::new(plan.name, plan.partitions, replicas);
        for (option, value) in plan.options {
            topic = topic.set(option, value);
        }
        let results = wait_for(self.client.create_topics([&topic], &self.options));
        match first(results, plan.name)? {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Err((_, code)) => Err(of_code(code, plan.name)),
        }
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// When the brokers refuse or do not answer in time.
    pub fn delete(&self, topic: &str) -> Result<(), AskError> {
        let results = wait_for(self.client.delete_topics(&[topic], &self.options));
        first(results, topic)?.map(drop).map_err(|(_, code)| of_code(code, topic))
    }

    /// Deletes the records of a partition that lie before an offset.
    ///
    /// # Errors
    /// When the brokers refuse or do not answer in time.
    pub fn delete_records(&self, at: &TopicPartition, before: i64) -> Result<(), AskError> {
        let list = placed([(at, Offset::Offset(before))]).map_err(|error| of_client(&error))?;
        let answer = wait_for(self.client.delete_records(&list, &self.options));
        answer.map(drop).map_err(|error| of_answer(&error, &at.topic))
    }

    /// Returns one option of a topic; none if the topic has no such option, or the brokers cannot tell.
    ///
    /// # Errors
    /// When the brokers refuse or do not answer in time.
    pub fn option(&self, topic: &str, option: &str) -> Result<Option<String>, AskError> {
        self.options(topic).map(|mut options| options.remove(option))
    }

    /// Returns the options of a topic that have a value, its own and those that it has from its brokers.
    ///
    /// # Errors
    /// When the brokers refuse or do not answer in time.
    pub fn options(&self, topic: &str) -> Result<TopicOptions, AskError> {
        let asked = [ResourceSpecifier::Topic(topic)];
        match first(wait_for(self.client.describe_configs(&asked, &self.options)), topic) {
            Ok(Ok(described)) => {
                Ok(described.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
            }
            Ok(Err(code)) => Err(of_code(code, topic)),
            Err(error) => Err(error),
        }
    }
}

/// The options of a topic, by name.
pub type TopicOptions = HashMap<String, String>;

/// Takes the only answer to a question about one topic.
fn first<T>(answers: KafkaResult<Vec<T>>, topic: &str) -> Result<T, AskError> {
    let of_error = |error: KafkaError| of_code(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail), topic);
    answers.map_err(of_error)?.pop().ok_or(AskError::BrokersAway)
}

fn of_code(code: RDKafkaErrorCode, topic: &str) -> AskError {
    if [RDKafkaErrorCode::UnknownTopicOrPartition, RDKafkaErrorCode::UnknownTopic].contains(&code) {
        AskError::TopicMissing(topic.to_owned())
    } else if AWAY.contains(&code) {
        AskError::BrokersAway
    } else {
        AskError::Refused(code)
    }
}

/// Waits on this thread; librdkafka answers from one of its own, so no runtime is needed.
fn wait_for<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

const AWAY: [RDKafkaErrorCode; 6] = [
    RDKafkaErrorCode::AllBrokersDown,
    RDKafkaErrorCode::BrokerTransportFailure,
    RDKafkaErrorCode::Fail,
    RDKafkaErrorCode::OperationTimedOut,
    RDKafkaErrorCode::RequestTimedOut,
    RDKafkaErrorCode::Resolve,
];

/// Leaves the number of copies to the brokers (`default.replication.factor`).
const BROKERS_DEFAULT: i32 = -1;
