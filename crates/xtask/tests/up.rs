//! The broker that tests run against: it answers, and it ends with the program that started it.
#![expect(clippy::disallowed_methods, reason = "a real broker takes real time")]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A broker outlives no run: not even one that had no chance to clean up. Kills the parent as the system would when
/// memory runs out, and waits for the broker and its data to go.
#[test]
fn broker_ends_with_a_killed_parent() {
    let home = tempfile::tempdir().expect("a folder for the broker");
    // The jars that the run around this test has downloaded serve here too.
    let jars = Path::new(&std::env::var("WEIR_TEST_JARS").expect("`cargo xtask test` sets WEIR_TEST_JARS")).to_owned();
    let name = jars.file_name().expect("the jars have a folder");
    std::os::unix::fs::symlink(&jars, home.path().join(name)).expect("the folder is ours");

    let mut up = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("up")
        .env("WEIR_TEST_HOME", home.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("xtask starts");
    let mut address = String::new();
    let mut output = BufReader::new(up.stdout.take().expect("its output is ours"));
    output.read_line(&mut address).expect("it prints an address");
    let address = address.trim_end();
    assert!(TcpStream::connect(address).is_ok(), "no broker at {address}");
    let port = address.rsplit(':').next().expect("an address has a port");
    let data = home.path().join(format!("kafka-{port}"));
    assert!(data.is_dir());

    up.kill().expect("it runs");
    up.wait().expect("it ended");
    eventually(|| TcpStream::connect(address).is_err(), "the broker is still there");
    eventually(|| !data.exists(), "its data are still there");
}

fn eventually(holds: impl Fn() -> bool, otherwise: &str) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "{otherwise}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
