//! `cargo xtask up`: a broker to develop against.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::broker::{Broker, Wish};
use crate::{jars, report};

/// Starts a broker, prints its address alone on a line, and stays until it is interrupted.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let wish = parse(arguments)?;
    report::step(&format!("starting Apache Kafka {}", jars::KAFKA_VERSION));
    let broker = Broker::start(&wish)?;
    report::line(&broker.address);
    report::step(&format!("export WEIR_TEST_KAFKA={} # ctrl-c stops the broker", broker.address));
    broker.wait()
}

fn parse(arguments: &[String]) -> Result<Wish> {
    let mut wish = Wish::default();
    let mut arguments = arguments.iter();
    while let Some(flag) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--port" => wish.port = Some(value.parse().with_context(|| format!("no port: {value}"))?),
            "--data" => wish.data = Some(PathBuf::from(value)),
            "--tls" => wish.tls = Some(PathBuf::from(value)),
            other => bail!("no such option: {other}"),
        }
    }
    Ok(wish)
}
