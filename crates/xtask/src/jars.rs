//! Apache Kafka itself, and what Apache Spark needs to read Delta tables: the jars of a release, from Maven Central.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{process, tree};

/// Returns the folder with Kafka's jars, downloaded by the first run that needs them.
pub(crate) fn kafka() -> Result<PathBuf> {
    let folder = tree::home()?.join(format!("kafka-jars-{}", KAFKA_VERSION.replace('.', "-")));
    tree::once(&folder, |folder| download(folder, &KAFKA.replace("KAFKA_VERSION", KAFKA_VERSION), &[]))?;
    Ok(folder)
}

/// Returns the folder with the jars of Delta and of S3 for Spark, which comes with its own from the list of Python packages.
pub(crate) fn delta() -> Result<PathBuf> {
    let folder = tree::home()?.join("delta-jars-4-0-1-s3a-3-4-1-parquet-1-15-2");
    // What these need of Spark, Scala and Netty is in Spark.
    let groups = format!("-DincludeGroupIds={}", DELTA_GROUPS.join(","));
    tree::once(&folder, |folder| download(folder, DELTA, &[&groups]))?;
    Ok(folder)
}

/// The release that tests run against.
pub(crate) const KAFKA_VERSION: &str = "4.3.1";

/// Asks Maven for what a project names, with all it needs at run time.
fn download(folder: &Path, dependencies: &str, options: &[&str]) -> Result<()> {
    let pom = folder.join("pom.xml");
    fs::write(&pom, format!("{HEAD}{dependencies}</dependencies></project>\n"))?;
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", "--file"]).arg(pom);
    maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    maven.arg(format!("-DoutputDirectory={}", folder.display())).args(options);
    process::quietly(&mut maven).map(drop)
}

const HEAD: &str = "\
<project><modelVersion>4.0.0</modelVersion><groupId>weir</groupId><artifactId>jars</artifactId><version>1</version>
<dependencies>
";
/// The server, the tool that formats its storage, and a logger.
const KAFKA: &str = "\
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>KAFKA_VERSION</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>KAFKA_VERSION</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
";
/// Delta's reader, Parquet's client for keys that are at hand (it is among its tests), and Hadoop's S3 of the release that Spark has. That wants all of the AWS SDK in one file of 600 MB, and uses these parts.
const DELTA: &str = "\
<dependency><groupId>io.delta</groupId><artifactId>delta-spark_2.13</artifactId><version>4.0.1</version></dependency>
<dependency><groupId>org.apache.hadoop</groupId><artifactId>hadoop-aws</artifactId><version>3.4.1</version>
<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>
<dependency><groupId>software.amazon.awssdk</groupId><artifactId>s3-transfer-manager</artifactId><version>2.57.8</version></dependency>
<dependency><groupId>software.amazon.awssdk</groupId><artifactId>apache-client</artifactId><version>2.57.8</version></dependency>
<dependency><groupId>org.apache.parquet</groupId><artifactId>parquet-hadoop</artifactId><version>1.15.2</version><classifier>tests</classifier>
<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>
";
const DELTA_GROUPS: [&str; 6] = [
    "io.delta",
    "org.apache.hadoop",
    "org.apache.httpcomponents",
    "org.apache.parquet",
    "org.reactivestreams",
    "software.amazon.awssdk",
];
