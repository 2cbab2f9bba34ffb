//! The gate: a read-only S3 endpoint over the lake, so that the readers people already use can read it.
//!
//! ```text
//!  reader ─ TLS ─▶ GET or HEAD ─▶ signature, grant, session ─▶ key ─▶ file, range, list
//!                  serve.rs       access.rs, grants.rs          key.rs  objects.rs, reading.rs, list.rs
//!                                 sessions.rs ─▶ the ledger     shown.rs
//! ```
//! A process of its own. Each recipient has an access key for the purposes that they were granted, until a day, and sees the tables of
//! these that a contract declares; anything else in the lake is absent to them, in the same words as what is not there. Nothing is ever written but the account of who read.

mod access;
mod grants;
mod key;
mod list;
mod objects;
mod reading;
mod s3;
mod serve;
mod sessions;
mod shown;

use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io, thread};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SystemRandom, generate};
use parking_lot::RwLock;
use s3s::auth::SecretKey;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::validation::NameValidation;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tracing::{error, info};
use weir_bucket::Root;
use weir_daemon::config::Gate as Settings;
use weir_daemon::custody::{Custody, Ground, Secrets};
use weir_daemon::metrics::labels::{ReloadLabels, ReloadOutcome, Word, Words as _};
use weir_daemon::{FileFault, Health, Metrics, SharedClock, tls_acceptor};
use weir_keys::StoreKeys;
use weir_ledger::Ledger;
use weir_policy::diagnostic::Report;
use weir_policy::{Policy, PolicySource, Purposes};

use access::Door;
use grants::{Grant, Grants};
use objects::Objects;
use s3::Desk;
use sessions::Sessions;
use shown::Shown;

/// Everything that a gate needs, checked.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Setup {
    /// Where it listens, and to whom.
    pub settings: Settings,
    /// Where contracts and purposes are: which tables there are to read, and who may be granted what.
    pub policy: PolicySource,
    /// The folder or bucket of the lake.
    pub lake: Root,
    /// The region, which is the bucket.
    pub region: String,
    /// What its objects are sealed with, if they are.
    pub store_keys: Option<Arc<StoreKeys>>,
    /// What is told of sessions.
    pub ledger: Ledger,
    /// The keys that it uses, and for how long they may be.
    pub kept: Vec<(Custody, Arc<dyn Secrets>)>,
    /// What stands in its way.
    pub health: Health,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where time comes from.
    pub clock: SharedClock,
}

/// A gate that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum GateFault {
    /// A file cannot be read.
    #[error("failed to read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The grants, or the contracts and purposes that they go by, have faults.
    #[error(transparent)]
    Report(#[from] Report),
    /// The certificate or its key.
    #[error(transparent)]
    Tls(#[from] FileFault),
    /// It cannot listen, or watch its signals.
    #[error("failed to open the gate")]
    Open(#[source] io::Error),
}

/// Serves until the process is told to end.
///
/// # Errors
/// When the grants or the certificate cannot be used, or the address cannot be bound.
pub fn serve(setup: Setup) -> Result<(), GateFault> {
    let listen = setup.settings.rules.listen;
    let places = setup.settings.rules.connections.as_usize().min(Semaphore::MAX_PERMITS);
    let gate = Arc::new(Gate::new(setup, SILENCE)?);
    (0..gate.kept.len()).try_for_each(|at| gate.keep(at)).map_err(GateFault::Open)?;
    let mut builder = runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build().map_err(GateFault::Open)?;
    runtime.block_on(async {
        let listener = serve::listen(listen).map_err(GateFault::Open)?;
        run(listener, gate, Arc::new(Semaphore::new(places)), places).await.map_err(GateFault::Open)
    })
}

/// Checks the files of a gate without opening it.
///
/// # Errors
/// When one of them cannot be used.
pub fn check(settings: &Settings, policy: Policy) -> Result<(), GateFault> {
    InForce::read(settings, policy).map(drop)
}

/// What answers requests.
struct Gate {
    settings: Settings,
    policy: PolicySource,
    region: String,
    objects: Objects,
    sessions: Arc<Sessions>,
    in_force: RwLock<Arc<InForce>>,
    /// The secret of everybody whom nobody knows.
    decoy: SecretKey,
    /// What the tags of objects are made with.
    tags: hmac::Key,
    /// How long a connection may say or take nothing.
    silence: Duration,
    kept: Vec<(Custody, Arc<dyn Secrets>)>,
    health: Health,
    metrics: Arc<Metrics>,
    clock: SharedClock,
}

/// What the files say.
struct InForce {
    grants: Grants,
    policy: Arc<Policy>,
    tls: Option<TlsAcceptor>,
}

impl InForce {
    fn read(settings: &Settings, policy: Policy) -> Result<Self, GateFault> {
        let grants = read_grants(settings, policy.purposes())?;
        Ok(Self { grants, policy: Arc::new(policy), tls: read_tls(settings)? })
    }
}

impl Gate {
    fn new(setup: Setup, silence: Duration) -> Result<Self, GateFault> {
        let Setup { settings, policy, lake, region, store_keys, ledger, kept, health, metrics, clock } = setup;
        let (read, _warnings) = Policy::load(&policy)?;
        let in_force = InForce::read(&settings, read)?;
        let random = || generate::<[u8; 32]>(&SystemRandom::new()).expect("the system gives random bytes").expose();
        let decoy: String = random().iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        Ok(Self {
            settings,
            policy,
            objects: Objects::new(lake, &region, store_keys),
            region,
            sessions: Arc::new(Sessions::new(ledger, Arc::clone(&clock), Arc::clone(&metrics))),
            in_force: RwLock::new(Arc::new(in_force)),
            decoy: decoy.into(),
            tags: hmac::Key::new(hmac::HMAC_SHA256, &random()),
            silence,
            kept,
            health,
            metrics,
            clock,
        })
    }

    /// Has the keys of a place in the list confirmed whenever it is time to, for as long as there is a gate.
    fn keep(self: &Arc<Self>, at: usize) -> io::Result<()> {
        let gate = Arc::downgrade(self);
        let tend = move || {
            while let Some(gate) = gate.upgrade() {
                gate.tend(at);
                drop(gate);
                thread::sleep(TURN);
            }
        };
        thread::Builder::new().name("keys".to_owned()).spawn(tend).map(drop)
    }

    fn tend(&self, at: usize) {
        let (custody, secrets) = &self.kept[at];
        custody.tend_if_due(self.ground(), &**secrets, || true);
    }

    /// Tells whether the keys may be used; those that nobody confirmed for too long are forgotten.
    fn keys_are_current(&self) -> bool {
        // All of them are looked at, so that each lapses in its time.
        let is_old =
            |(custody, secrets): &&(Custody, Arc<dyn Secrets>)| !custody.are_current(self.ground(), &**secrets);
        self.kept.iter().filter(is_old).count() == 0
    }

    fn ground(&self) -> Ground<'_> {
        Ground { health: &self.health, metrics: &self.metrics, clock: &self.clock }
    }

    fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.read())
    }

    /// Returns what a grant shows by the contracts in force.
    fn shown_to(&self, grant: &Grant) -> Shown {
        Shown { purposes: grant.purposes, policy: Arc::clone(&self.in_force().policy) }
    }

    /// Reads contracts, purposes, grants and certificate anew. A certificate that cannot be used leaves the old one. Grants that cannot be used
    /// leave nobody in until they can: who changed them may have meant to keep somebody out.
    fn reload(&self) {
        self.kept.iter().for_each(|(custody, _)| custody.hurry());
        let before = self.in_force();
        let tls = read_tls(&self.settings);
        let granted = Policy::load(&self.policy).map_err(GateFault::from).and_then(|(policy, _)| {
            let grants = read_grants(&self.settings, policy.purposes())?;
            Ok((grants, Arc::new(policy)))
        });
        let is_sound = tls.is_ok() && granted.is_ok();
        let tls = tls.unwrap_or_else(|fault| {
            complain(&fault, "the certificate before stays");
            before.tls.clone()
        });
        let (grants, policy) = granted.unwrap_or_else(|fault| {
            complain(&fault, "nobody is let in until the files are mended and read anew");
            (Grants::default(), Arc::clone(&before.policy))
        });
        let grants = grants.replace(&before.grants);
        *self.in_force.write() = Arc::new(InForce { grants, policy, tls });
        let outcome = if is_sound { ReloadOutcome::Applied } else { ReloadOutcome::Refused };
        self.metrics.gate_reloads.get_or_create_owned(&ReloadLabels { outcome: Word(outcome) }).inc();
        info!(outcome = outcome.word(), "grants and certificate were read anew");
    }

    fn service(self: &Arc<Self>) -> S3Service {
        let mut builder = S3ServiceBuilder::new(Desk(Arc::clone(self)));
        builder.set_auth(Door(Arc::clone(self)));
        builder.set_access(Door(Arc::clone(self)));
        builder.set_validation(AnyBucket);
        builder.build()
    }
}

/// Takes every name for a bucket's: those that are not the region's are absent like others, however they are written.
struct AnyBucket;

impl NameValidation for AnyBucket {
    fn validate_bucket_name(&self, name: &str) -> bool {
        !name.is_empty()
    }
}

/// Takes connections and signals until one of these says to end.
async fn run(listener: TcpListener, gate: Arc<Gate>, places: Arc<Semaphore>, number: usize) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut tick = tokio::time::interval(TICK);
    info!(listen = %listener.local_addr()?, "the gate is open");
    let (close, closing) = watch::channel(false);
    let desk = serve::Hall { gate: Arc::clone(&gate), service: gate.service(), closing };
    let accepting = tokio::spawn(serve::accept(listener, desk, Arc::clone(&places)));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                let gate = Arc::clone(&gate);
                tokio::task::spawn_blocking(move || gate.reload()).await.map_err(io::Error::other)?;
            }
            _ = tick.tick() => {}
        }
        // Their ends are told with keys that may be used, or once they may again.
        if gate.keys_are_current() {
            gate.sessions.close_over().await;
        }
    }
    accepting.abort();
    close.send_replace(true);
    let all = u32::try_from(number).unwrap_or(u32::MAX);
    drop(tokio::time::timeout(FAREWELL, places.acquire_many(all)).await);
    if gate.keys_are_current() {
        gate.sessions.close_all().await;
    }
    Ok(())
}

fn read_grants(settings: &Settings, purposes: &Purposes) -> Result<Grants, GateFault> {
    let path = &settings.rules.grants;
    let text = fs::read_to_string(path).map_err(|source| GateFault::File { path: path.clone(), source })?;
    Ok(Grants::read(path, &text, purposes)?)
}

fn read_tls(settings: &Settings) -> Result<Option<TlsAcceptor>, GateFault> {
    let tls = settings.tls.as_ref().map(|files| tls_acceptor(&files.certificate, &files.key, None));
    Ok(tls.transpose()?)
}

/// Says what is wrong with the files, by place and code.
fn complain(fault: &GateFault, so: &str) {
    match fault {
        GateFault::Report(report) => {
            for diagnostic in &report.diagnostics {
                error!(code = diagnostic.code, place = %diagnostic.place, "fault in the grants, contracts or purposes");
            }
        }
        GateFault::File { .. } | GateFault::Open(_) | GateFault::Tls(_) => {
            let why = fault.source().map(ToString::to_string).unwrap_or_default();
            error!(%fault, why, "grants or certificate cannot be read");
        }
    }
    error!("{so}");
}

/// How long a connection may say or take nothing. Readers keep idle ones for some seconds, to ask again.
const SILENCE: Duration = Duration::from_secs(30);
/// How often it is looked at sessions, and at how old the keys are.
const TICK: Duration = Duration::from_secs(1);
/// How often it is looked whether it is time to have keys confirmed.
const TURN: Duration = Duration::from_millis(200);
/// How long requests under way may take once the process is told to end.
const FAREWELL: Duration = Duration::from_secs(10);
/// More do not read faster from one machine's disks.
const BLOCKING_THREADS_MAX: usize = 64;

#[cfg(test)]
mod tests;
