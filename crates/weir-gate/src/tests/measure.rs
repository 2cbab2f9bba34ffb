//! How fast objects come from the page cache; it asserts no figure, docs/gate.md has those of one machine.
#![expect(clippy::disallowed_methods, reason = "a measurement takes real time")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use super::limits::{certificate, client};
use super::world::{How, LARGE, World, put, request};

/// One object, read by some at once. As a test it is small.
#[test]
fn objects_come_as_fast_as_the_machine_gives_them() {
    let bytes = std::env::var("WEIR_TEST_BYTES").map_or(32 << 20, |bytes| bytes.parse().unwrap());
    for (what, tls) in [("in clear", false), ("by TLS", true)] {
        let world = World::with(How { tls: tls.then_some(certificate), ..How::default() });
        let key = LARGE.replace("5b0c", "ab0c");
        put(&world.path("lake/eu"), &key, &vec![7; bytes]);
        for readers in [1, 2, 8] {
            let started = Instant::now();
            let read: usize = thread::scope(|scope| {
                let readers: Vec<_> = (0..readers).map(|_| scope.spawn(|| swallow(&world, &key, tls))).collect();
                readers.into_iter().map(|reader| reader.join().unwrap()).sum()
            });
            assert!(read > readers * bytes);
            let megabytes = u32::try_from(read / 1_000).map(f64::from).unwrap() / 1_000.0;
            println!("{readers} at once {what}: {:.0} MB/s", megabytes / started.elapsed().as_secs_f64());
        }
    }
}

/// Reads an answer to its end; returns how long it is.
fn swallow(world: &World, key: &str, tls: bool) -> usize {
    let request = request("site", "GET", &format!("/eu/{key}")).signed();
    let mut buffer = vec![0; 256 << 10];
    let mut length = 0;
    let mut count = |read: std::io::Result<usize>| {
        let read = read.unwrap_or(0);
        length += read;
        read > 0
    };
    if tls {
        let mut stream = client(world).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        while count(stream.read(&mut buffer)) {}
    } else {
        let mut stream = TcpStream::connect(world.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        while count(stream.read(&mut buffer)) {}
    }
    length
}
