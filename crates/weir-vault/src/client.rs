//! The client of whatever keeps keys: synchronous for who asks, with a thread and a runtime of its own.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::{self, Runtime};
use weir_keys::{Versions, Wrap, WrapError};
use zeroize::Zeroizing;

use crate::provider::Provider;

/// A vault, for one place in it, one prefix and one login; which make it is of, its [`Provider`] says.
#[expect(missing_debug_implementations, reason = "holds a login")]
pub struct Vault {
    service: Arc<dyn Service>,
    /// Taken when the client is dropped.
    runtime: Option<Runtime>,
}

/// How a vault is, as far as it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// It answers, and knows weir's login.
    Answers,
    /// It answers.
    Open {
        /// Its version.
        version: String,
    },
    /// Somebody has to unseal it first.
    Sealed,
}

pub(crate) type Secret = Result<Zeroizing<Vec<u8>>, WrapError>;

/// What keeps keys, asked about one key at a time; names of keys have no prefix yet. As [`Wrap`], but for who may wait.
#[async_trait]
pub(crate) trait Service: Send + Sync + 'static {
    fn place(&self) -> String;
    /// Does what is due by itself, such as renewing a login.
    async fn tend(&self) {}
    async fn seal(&self) -> Result<Seal, WrapError>;
    async fn make(&self, key: &str) -> Result<bool, WrapError>;
    async fn wrap(&self, key: &str, secret: &[u8]) -> Result<String, WrapError>;
    async fn unwrap(&self, key: &str, wrapped: &str) -> Secret;
    async fn rewrap(&self, key: &str, wrapped: &str) -> Result<String, WrapError>;
    async fn rotate(&self, key: &str) -> Result<(), WrapError>;
    async fn destroy(&self, key: &str) -> Result<(), WrapError>;
    async fn versions(&self, key: &str) -> Result<Option<Versions>, WrapError>;
}

impl Vault {
    /// Makes a client; nothing is asked yet.
    ///
    /// # Errors
    /// When the machine has no thread left.
    pub fn new(provider: impl Into<Provider>) -> std::io::Result<Self> {
        let runtime =
            runtime::Builder::new_multi_thread().worker_threads(1).thread_name("vault").enable_all().build()?;
        let service = provider.into().service();
        runtime.spawn(keep_fresh(Arc::downgrade(&service)));
        Ok(Self { service, runtime: Some(runtime) })
    }

    /// Asks how it is; of Vault and OpenBao that needs no login.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn seal(&self) -> Result<Seal, WrapError> {
        self.run(|service| async move { service.seal().await })
    }

    /// Has the runtime do something and waits for it, from whatever thread.
    fn run<T, F>(&self, work: impl FnOnce(Arc<dyn Service>) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (done, is_done) = mpsc::sync_channel(1);
        let work = work(Arc::clone(&self.service));
        let runtime = self.runtime.as_ref().expect("the runtime is there until the client is dropped");
        runtime.spawn(async move {
            // Who asked waits below.
            drop(done.send(work.await));
        });
        is_done.recv().expect("every question has an answer, if only that its time was over")
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Wrap for Vault {
    fn place(&self) -> String {
        self.service.place()
    }

    fn make(&self, key: &str) -> Result<bool, WrapError> {
        let key = key.to_owned();
        self.run(|service| async move { service.make(&key).await })
    }

    fn wrap(&self, key: &str, secret: &[u8]) -> Result<String, WrapError> {
        let (key, secret) = (key.to_owned(), Zeroizing::new(secret.to_vec()));
        self.run(|service| async move { service.wrap(&key, &secret).await })
    }

    fn unwrap(&self, asked: &[(String, String)]) -> Vec<Secret> {
        let asked: Arc<[_]> = asked.into();
        self.run(|service| unwrap_all(service, asked))
    }

    fn rewrap(&self, key: &str, wrapped: &str) -> Result<String, WrapError> {
        let (key, wrapped) = (key.to_owned(), wrapped.to_owned());
        self.run(|service| async move { service.rewrap(&key, &wrapped).await })
    }

    fn rotate(&self, key: &str) -> Result<(), WrapError> {
        let key = key.to_owned();
        self.run(|service| async move { service.rotate(&key).await })
    }

    fn destroy(&self, key: &str) -> Result<(), WrapError> {
        let key = key.to_owned();
        self.run(|service| async move { service.destroy(&key).await })
    }

    fn versions(&self, key: &str) -> Result<Option<Versions>, WrapError> {
        let key = key.to_owned();
        self.run(|service| async move { service.versions(&key).await })
    }
}

/// Does what is due for as long as somebody has the client.
async fn keep_fresh(service: Weak<dyn Service>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(service) = service.upgrade() else { return };
        service.tend().await;
    }
}

/// Unwraps many texts, a few at a time: each has a key of its own, so that they cannot be sent as one batch.
///
/// The first is asked alone. Once the vault is away or refuses the login, the rest is not asked: it would take a time-out each.
async fn unwrap_all(service: Arc<dyn Service>, asked: Arc<[(String, String)]>) -> Vec<Secret> {
    let Some((key, text)) = asked.first() else { return Vec::new() };
    let first = service.unwrap(key, text).await;
    if let Some(error) = ending(&first) {
        return vec![Err(error); asked.len()];
    }
    let next = Arc::new(AtomicUsize::new(1));
    let workers: Vec<_> = (0..AT_ONCE.min(asked.len()))
        .map(|_| tokio::spawn(unwrap_some(Arc::clone(&service), Arc::clone(&asked), Arc::clone(&next))))
        .collect();
    let mut answers: Vec<Option<Secret>> = asked.iter().map(|_| None).collect();
    if let Some(place) = answers.first_mut() {
        *place = Some(first);
    }
    let mut ended = None;
    for worker in workers {
        for (at, answer) in worker.await.expect("a worker does not panic") {
            ended = ended.or_else(|| ending(&answer));
            if let Some(place) = answers.get_mut(at) {
                *place = Some(answer);
            }
        }
    }
    let open = || WrapError::Unexpected { place: service.place(), why: "left a question open".to_owned() };
    let rest = || Err(ended.clone().unwrap_or_else(open));
    answers.into_iter().map(|answer| answer.unwrap_or_else(rest)).collect()
}

async fn unwrap_some(
    service: Arc<dyn Service>,
    asked: Arc<[(String, String)]>,
    next: Arc<AtomicUsize>,
) -> Vec<(usize, Secret)> {
    let mut answers = Vec::new();
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some((key, text)) = asked.get(at) else { return answers };
        let answer = service.unwrap(key, text).await;
        if ending(&answer).is_some() {
            next.store(asked.len(), Ordering::Relaxed);
        }
        answers.push((at, answer));
    }
}

/// Returns the error after which asking on is no use.
fn ending(answer: &Secret) -> Option<WrapError> {
    let error = answer.as_ref().err()?;
    matches!(error, WrapError::Away { .. } | WrapError::Login { .. }).then(|| error.clone())
}

/// Logins last minutes and more.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Questions under way at once; a vault answers thousands a second.
const AT_ONCE: usize = 16;
