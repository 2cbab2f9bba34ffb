//! A real Apache Kafka for tests: one node, on free ports, quick where a test would otherwise wait.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::guard::Guarded;
use crate::{jars, process, tree};

/// A running broker; it ends with this value.
pub(crate) struct Broker {
    /// Where clients find it, as `host:port`.
    pub(crate) address: String,
    server: Guarded,
}

/// What a broker is asked to be.
#[derive(Default)]
pub(crate) struct Wish {
    /// A fixed port, for a broker that must come back under its old address.
    pub(crate) port: Option<u16>,
    /// A folder for data that outlives the broker; otherwise the data end with it.
    pub(crate) data: Option<PathBuf>,
    /// A folder with `broker.pem` (its key, PKCS#8, then its certificates) and `clients-ca.pem`: the port then takes TLS only, from
    /// clients with a certificate.
    pub(crate) tls: Option<PathBuf>,
}

impl Broker {
    /// Starts a broker and returns when it answers.
    pub(crate) fn start(wish: &Wish) -> Result<Self> {
        let jars = jars::kafka()?;
        let port = wish.port.map_or_else(free_port, Ok)?;
        let home = tree::home()?;
        let kept = wish.data.is_some();
        let folder = wish.data.clone().unwrap_or_else(|| home.join(format!("kafka-{port}")));
        if !kept {
            tree::remove(&folder)?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        let folder = fs::canonicalize(&folder)?;
        let logs = home.join("log");
        fs::create_dir_all(&logs)?;

        // The broker itself, and who asks whether it is up, come by a port of their own when the port takes TLS only.
        let inside = if wish.tls.is_some() { free_port()? } else { port };
        let tls = wish.tls.as_ref().map(|pems| Ok::<_, anyhow::Error>((port, fs::canonicalize(pems)?))).transpose()?;
        let properties = configure(&folder, inside, tls.as_ref())?;
        format_storage(&jars, &folder, &properties)?;
        let log = logs.join(format!("kafka-{port}.log"));
        let mut server = java(&jars, &folder, "info");
        server.arg("kafka.Kafka").arg(&properties);
        let server = Guarded::start(&server, &log, (!kept).then_some(&folder))?;
        let host = if wish.tls.is_some() { "localhost" } else { "127.0.0.1" };
        let mut broker = Self { address: format!("{host}:{port}"), server };
        if let Err(error) = broker.await_answer(&format!("127.0.0.1:{inside}")) {
            let said = fs::read_to_string(&log).unwrap_or_default();
            bail!("Kafka did not start: {error}; the end of {}:\n{}", log.display(), process::tail(&said));
        }
        Ok(broker)
    }

    /// Waits until the broker ends by itself, which it does only if something is wrong.
    pub(crate) fn wait(mut self) -> Result<()> {
        self.server.wait()?;
        bail!("Kafka at {} ended by itself", self.address)
    }

    fn await_answer(&mut self, address: &str) -> Result<()> {
        let asked = Instant::now();
        while !answers(address) {
            if !self.server.is_alive()? {
                bail!("it ended by itself");
            }
            if asked.elapsed() > START_MAX {
                bail!("no answer within {} s", START_MAX.as_secs());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// Whether a broker at `address` answers a request for the versions it speaks, which it does once it is up.
pub(crate) fn answers(address: &str) -> bool {
    let exchange = || -> std::io::Result<[u8; 8]> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(&API_VERSIONS)?;
        let mut head = [0; 8];
        stream.read_exact(&mut head)?;
        Ok(head)
    };
    // A size, then the number of our request.
    exchange().is_ok_and(|head| head.ends_with(&API_VERSIONS_NUMBER))
}

/// Writes the broker's configuration and its logger's.
fn configure(folder: &Path, port: u16, tls: Option<&(u16, PathBuf)>) -> Result<PathBuf> {
    let controller = free_port()?;
    let data = folder.join("log");
    let properties = folder.join("server.properties");
    let (closed, pems) = tls.map_or_else(Default::default, |(port, pems)| {
        (format!(",SSL://localhost:{port}"), TLS.replace("PEMS", &pems.display().to_string()))
    });
    let text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{closed}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}{closed}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL\n\
         inter.broker.listener.name=PLAINTEXT\n\
         log.dirs={}\n{SETTINGS}{pems}",
        data.display()
    );
    fs::write(&properties, text).with_context(|| format!("could not write {}", properties.display()))?;
    fs::write(folder.join(LOGGER_FILE), LOGGER)?;
    Ok(properties)
}

fn format_storage(jars: &Path, folder: &Path, properties: &Path) -> Result<()> {
    if folder.join("log/meta.properties").exists() {
        return Ok(());
    }
    // A cluster id is 16 bytes in base64; these 22 characters are such a text, and no two brokers get the same.
    let cluster = format!("weir{:016x}AA", RandomState::new().build_hasher().finish());
    let mut format = java(jars, folder, "warn");
    format.args(["kafka.tools.StorageTool", "format", "--cluster-id", &cluster, "--config"]).arg(properties);
    process::quietly(&mut format).context("could not format Kafka's storage").map(drop)
}

fn java(jars: &Path, folder: &Path, level: &str) -> Command {
    let mut java = Command::new("java");
    // Small and quick to start: tests share two cores and little memory with it.
    java.args(["-Xmx512m", "-XX:+UseSerialGC"]);
    java.arg(format!("-Dkafka.log={level}"));
    java.arg(format!("-Dlog4j2.configurationFile={}", folder.join(LOGGER_FILE).display()));
    java.arg("-cp").arg(jars.join("*"));
    java
}

/// Returns a port that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("could not find a free port")?;
    Ok(listener.local_addr()?.port())
}

/// The request `ApiVersions` in version 0: size 10, key 18, version 0, number 7, no client id.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255];
const API_VERSIONS_NUMBER: [u8; 4] = [0, 0, 0, 7];

/// A start takes 7 s on two idle cores; a first build beside it, and neighbours, make that many times longer.
const START_MAX: Duration = Duration::from_mins(4);

/// One node needs replication factors of one. The rest saves tests from waiting: groups form at once, a killed broker
/// or consumer is noticed within seconds, compaction and deletion follow a topic's settings within seconds. Topics are
/// made by tests only, records are kept whatever their timestamp says, and may be larger than what weir accepts.
const SETTINGS: &str = "\
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
message.max.bytes=16777216
log.retention.ms=604800000
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=500
log.segment.delete.delay.ms=1000
log.cleaner.backoff.ms=200
log.cleaner.min.cleanable.ratio=0.01
log.cleaner.dedupe.buffer.size=16777216
";

/// What a broker needs for TLS; nobody comes in without a certificate.
const TLS: &str = "\
ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location=PEMS/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=PEMS/clients-ca.pem
";

const LOGGER_FILE: &str = "log4j2.properties";
const LOGGER: &str = "\
rootLogger.level=${sys:kafka.log:-warn}
rootLogger.appenderRef.a.ref=err
appender.e.type=Console
appender.e.name=err
appender.e.target=SYSTEM_ERR
appender.e.layout.type=PatternLayout
appender.e.layout.pattern=%d %p %c{1}: %m%n
";
