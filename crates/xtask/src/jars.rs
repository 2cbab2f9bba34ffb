//! Apache Kafka itself: the jars of a release, from Maven Central.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{process, tree};

/// Returns the folder with Kafka's jars, downloaded by the first run that needs them.
pub(crate) fn kafka() -> Result<PathBuf> {
    let folder = tree::home()?.join(format!("kafka-jars-{}", KAFKA_VERSION.replace('.', "-")));
    tree::once(&folder, download)?;
    Ok(folder)
}

/// The release that tests run against.
pub(crate) const KAFKA_VERSION: &str = "4.3.1";

/// Asks Maven for the server, the tool that formats its storage, and a logger, with all they need at run time.
fn download(folder: &Path) -> Result<()> {
    let pom = folder.join("pom.xml");
    fs::write(&pom, PROJECT.replace("KAFKA_VERSION", KAFKA_VERSION))?;
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", "--file"]).arg(pom);
    maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    maven.arg(format!("-DoutputDirectory={}", folder.display()));
    process::quietly(&mut maven).map(drop)
}

const PROJECT: &str = "\
<project><modelVersion>4.0.0</modelVersion><groupId>weir</groupId><artifactId>kafka-jars</artifactId><version>1</version>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>KAFKA_VERSION</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>KAFKA_VERSION</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
</dependencies></project>
";
