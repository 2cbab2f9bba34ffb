//! Tables that no contract declares: nobody listed them, so nobody reads them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::super::*;
use super::world::{CONTRACT, LARGE, LOG, World, put, request};

/// A table whose event type no contract declares, or not for this purpose, answers to the last byte as one that is not there, and is in
/// no list.
#[test]
fn tables_that_no_contract_declares_look_as_what_is_not_there() {
    let world = World::new();
    let unlisted: fn(&str) -> String = |key| key.replace("example.a/", "example.gone/");
    let of_another_purpose: fn(&str) -> String = |key| key.replace("reliability", "troubleshooting");
    for key in [LARGE, LOG] {
        put(&world.path("lake/eu"), &unlisted(key), b"PAR1 of no contract");
        put(&world.path("lake/eu"), &of_another_purpose(key), b"PAR1 of no field");
    }
    for (who, hidden) in [("site", unlisted), ("support", of_another_purpose)] {
        for method in ["GET", "HEAD"] {
            let answer = |key: &str| world.send(&request(who, method, &format!("/eu/{key}")).signed());
            let missing = answer(&LARGE.replace("5b0c", "0000").replace("reliability", "personalization"));
            assert_eq!(missing.status, 404);
            for key in [LARGE, LOG].map(hidden) {
                assert_eq!(answer(&key), missing, "{who} {method} {key}");
            }
        }
        let folder = hidden(LOG).replace("00000000000000000000.json", "");
        for query in
            [vec![], vec![("delimiter", "/")], vec![("list-type", "2")], vec![("list-type", "2"), ("delimiter", "/")]]
        {
            let list = |prefix: &str| {
                world.list(who, &[&query[..], &[("prefix", prefix)]].concat()).text().replace(prefix, "")
            };
            assert_eq!(list(&folder), list("nothing/"), "{who} {query:?}");
            assert_eq!(list(folder.split("_delta_log").next().unwrap()), list("nothing/"), "{who} {query:?}");
        }
    }
    assert_eq!(world.list("site", &[("list-type", "2")]).all("Key"), [LOG, LARGE]);
    assert_eq!(world.list("support", &[("list-type", "2")]).all("Key"), [""; 0]);
}

/// A contract that is taken away takes its tables with it at SIGHUP, in the middle of an object; one that has run out does not, and
/// one that is put back brings them back.
#[test]
fn tables_go_and_come_with_their_contract() {
    let world = World::new();
    let huge = LARGE.replace("5b0c", "9b0c");
    put(&world.path("lake/eu"), &huge, &vec![7; 64 << 20]);
    let mut stream = TcpStream::connect(world.address).unwrap();
    stream.write_all(request("site", "GET", &format!("/eu/{huge}")).signed().as_bytes()).unwrap();
    stream.read_exact(&mut [0; 4096]).unwrap();
    fs::remove_file(world.path("contracts/a.toml")).unwrap();
    let other = CONTRACT.replace("example.a", "example.b");
    fs::write(world.path("contracts/b.toml"), other).unwrap();
    world.gate.reload();
    let mut rest = Vec::new();
    drop(stream.read_to_end(&mut rest));
    assert!(rest.len() < 32 << 20, "a table that nobody declares any more was served to the end");
    assert_eq!(world.get("site", LOG).code(), "NoSuchKey");
    assert_eq!(world.list("site", &[("list-type", "2")]).all("Key"), [""; 0]);

    fs::write(world.path("contracts/a.toml"), CONTRACT.replace("2199", "2020")).unwrap();
    world.gate.reload();
    assert_eq!(world.get("site", LOG).status, 200, "rows of a contract that ran out are still what it says");
    assert_eq!(world.list("site", &[("list-type", "2")]).all("Key"), [LOG, LARGE, &huge]);
}
