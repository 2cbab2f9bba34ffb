//! What is given, and what looks as if it were not there.

use std::os::unix::fs::symlink;
use std::process::Command;

use weir_daemon::Obstacle;

use super::super::*;
use super::signer::hex;
use super::world::{Answer, How, LARGE, LOG, OTHER, World, large, put, request};

#[test]
fn object_and_every_range_of_it_are_exact() {
    exact(&World::new());
}

/// In a sealed lake objects are as long and say the same as in one that is not; those that were changed, are another's, or lie in clear are
/// given to nobody.
#[test]
fn sealed_objects_are_opened_for_their_places_only() {
    let world = World::with(How { sealed: true, ..How::default() });
    exact(&world);
    assert_eq!(world.list("site", &[("list-type", "2")]).all("Size"), ["3".to_owned(), large().len().to_string()]);
    let (other, clear, cut) =
        (LARGE.replace("5b0c", "0a0c"), LARGE.replace("5b0c", "0b0c"), LARGE.replace("5b0c", "0c0c"));
    let sealed = fs::read(world.path("lake/eu").join(LARGE)).unwrap();
    put(&world.path("lake/eu"), &other, &sealed);
    put(&world.path("lake/eu"), &clear, &large());
    put(&world.path("lake/eu"), &cut, &sealed[..40]);
    for key in [&clear, &cut] {
        let answer = world.get("site", key);
        assert_eq!((answer.status, answer.code().as_str()), (500, "InternalError"), "{key}");
    }
    let mut flipped = sealed.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    put(&world.path("lake/eu"), LARGE, &flipped);
    assert_eq!(world.get("site", &other).body, b"", "an object of another place was given out");
    let begun = world.get("site", LARGE).body;
    assert!(begun.len() < middle && large().starts_with(&begun), "a changed piece was given out");
    assert_eq!(world.list("site", &[("list-type", "2")]).status, 200);
    let open = World::new();
    put(&open.path("lake/eu"), LARGE, &sealed);
    assert_eq!(
        open.get("site", LARGE).code(),
        "InternalError",
        "a gate without the store's keys gave out what they seal"
    );
}

/// Keys that were not confirmed for `cache_ttl` open nothing until they are.
#[test]
fn keys_that_nobody_confirms_open_nothing() {
    let ttl = Duration::from_mins(1);
    let world = World::with(How { sealed: true, cache_ttl: Some(ttl), ..How::default() });
    assert_eq!(world.get("site", LOG).status, 200);
    world.clock.advance(ttl + Duration::from_millis(1));
    let answer = world.get("site", LOG);
    assert_eq!((answer.status, answer.code().as_str()), (503, "ServiceUnavailable"));
    assert!(world.gate.health.stands(Obstacle::StoreKeys));
    // Who has no grant learns nothing of it.
    assert_eq!(world.get("nobody", LOG).status, 403);
    world.gate.tend(0);
    assert_eq!(world.get("site", LOG).status, 200);
    assert!(world.gate.health.obstacles().is_empty());
}

fn exact(world: &World) {
    let (whole, len) = (large(), large().len());
    let answer = world.get("site", LARGE);
    assert_eq!((answer.status, answer.header("content-length")), (200, len.to_string().as_str()));
    assert!(answer.body == whole, "the object came back changed");
    assert_eq!(world.get("site", LOG).body, b"{}\n");
    let piece = 1 << 20;
    let ranges = [
        (format!("bytes=0-{}", len - 1), 0..len),
        ("bytes=0-0".to_owned(), 0..1),
        (format!("bytes={}-", len - 1), len - 1..len),
        ("bytes=-8".to_owned(), len - 8..len),
        (format!("bytes=-{}", len * 2), 0..len),
        (format!("bytes={}-{}", piece - 1, piece), piece - 1..piece + 1),
        (format!("bytes={}-{}", piece, 2 * piece - 1), piece..2 * piece),
        (format!("bytes=5-{}", len * 9), 5..len),
    ];
    for (range, bytes) in ranges {
        for method in ["GET", "HEAD"] {
            let mut ask = request("site", method, &format!("/eu/{LARGE}"));
            ask.headers = vec![("range", range.clone())];
            let answer = world.send(&ask.signed());
            let named = format!("bytes {}-{}/{len}", bytes.start, bytes.end - 1);
            assert_eq!(answer.header("content-length"), bytes.len().to_string(), "{method} {range}");
            // s3s answers a HEAD of a range with 200 or 206, both with its length.
            assert_eq!(answer.header("content-range"), named, "{method} {range}");
            if method == "GET" {
                assert_eq!(answer.status, 206, "{range}");
                assert!(answer.body == whole[bytes.clone()], "{range} came back changed");
            }
        }
    }
    for range in [format!("bytes={len}-"), "bytes=-0".to_owned(), format!("bytes={}-{}", len * 2, len * 3)] {
        let mut ask = request("site", "GET", &format!("/eu/{LARGE}"));
        ask.headers = vec![("range", range.clone())];
        let answer = world.send(&ask.signed());
        assert_eq!((answer.status, answer.code().as_str()), (416, "InvalidRange"), "{range}");
    }
    for range in ["bytes=2-1", "bytes=x", "bytes=0-1,3-4", "lines=0-1", "bytes=99999999999999999999-", "bytes=--1"] {
        let mut ask = request("site", "GET", &format!("/eu/{LARGE}"));
        ask.headers = vec![("range", range.to_owned())];
        assert_eq!(world.send(&ask.signed()).status, 400, "{range}");
    }
}

#[test]
fn conditions_on_an_object_are_kept() {
    let world = World::new();
    let tag = world.get("site", LOG).header("etag").to_owned();
    let status = |header: &'static str, value: &str| {
        let mut ask = request("site", "GET", &format!("/eu/{LOG}"));
        ask.headers = vec![(header, value.to_owned())];
        world.send(&ask.signed()).status
    };
    assert_eq!((status("if-match", &tag), status("if-match", "\"other\"")), (200, 412));
    assert_eq!((status("if-none-match", &tag), status("if-none-match", "\"other\"")), (304, 200));
    put(&world.path("lake/eu"), LOG, b"{}\n\n");
    assert_eq!(status("if-match", &tag), 412, "another object has the tag of the one before");
}

/// Another purpose, another region, weir's own tables, staged files and names that are no names: the same answer to the last byte
/// as a name of the purpose that is not there; and nothing of them in a list.
#[test]
fn what_is_not_granted_looks_as_what_is_not_there() {
    let world = World::new();
    let staged = LARGE.replace("5b0c", ".5b0c");
    put(&world.path("lake/eu"), &staged, b"staged");
    put(&world.path("lake/eu"), &format!("_restricted/{LARGE}"), b"aside");
    let missing = LARGE.replace("5b0c", "0000");
    let others = [
        OTHER.to_owned(),
        OTHER.replace("6b0c", "0000"),
        staged,
        format!("_restricted/{LARGE}"),
        "_coverage/_delta_log/00000000000000000000.json".to_owned(),
        "_ledger/00000000000000000000.json".to_owned(),
        format!("reliability/../{OTHER}"),
        format!("reliability/%2e%2e/{OTHER}"),
        format!("..%2feu%2f{LARGE}"),
        format!("%2e%2e/us/{LARGE}"),
        LARGE.replace('/', "%2F%2F"),
        LARGE.replace("date=", "date%253D"),
        format!("{LARGE}%00"),
        format!("{LARGE}%0a"),
        format!("{LARGE}%20"),
        LARGE.replace("reliability", "Reliability"),
        LARGE.replace("reliability", "reliabilit%C3%BF"),
        format!("{LARGE}/"),
        "reliability/".to_owned(),
        "reliability/com.example.a".to_owned(),
        format!("{LARGE}{}", "x".repeat(2_000)),
    ];
    for method in ["GET", "HEAD"] {
        let answer = |key: &str| world.send(&request("site", method, &format!("/eu/{key}")).signed());
        let control = answer(&missing);
        assert_eq!((control.status, control.code().as_str()), (404, if method == "GET" { "NoSuchKey" } else { "" }));
        for key in &others {
            assert_eq!(without_end(answer(key)), without_end(control.clone()), "{method} {key:?}");
        }
    }
    let bucket = |path: &str| world.send(&request("site", "GET", path).signed());
    assert_eq!(bucket(&format!("/us/{LARGE}")).code(), "NoSuchBucket");
    assert_eq!(bucket(&format!("/us/{LARGE}")), bucket(&format!("/nowhere/{LARGE}")));

    let keys = |who: &str| world.list(who, &[("list-type", "2")]).all("Key");
    assert_eq!(keys("site"), [LOG, LARGE]);
    assert_eq!(keys("support"), [""; 0]);
    for prefix in
        ["personalization/", "_coverage/", "marketing/", "../us/", "reliability/com.example.a/date=2026-11-28/."]
    {
        let text =
            |prefix: &str| world.list("site", &[("list-type", "2"), ("prefix", prefix)]).text().replace(prefix, "");
        assert_eq!(text(prefix), text("nothing/"), "{prefix}");
    }
}

/// Only an answer that ends the connection says so; whether it does says nothing of the object.
fn without_end(mut answer: Answer) -> Answer {
    answer.headers.retain(|(name, _)| name != "connection");
    answer
}

/// Whoever can make a link or a pipe in the lake still makes nobody read anything outside.
#[test]
fn links_and_pipes_are_absent() {
    let world = World::new();
    let lake = world.path("lake/eu");
    let outside = world.path("outside");
    put(&outside, "date=2026-11-28/7b0cb3f8-18f2-49a3-81c2-79ed2896a254.parquet", b"outside");
    put(&outside, "com.example.z/date=2026-11-28/7b0cb3f8-18f2-49a3-81c2-79ed2896a254.parquet", b"outside");
    let file = LARGE.replace("5b0c", "7b0c");
    symlink(outside.join("date=2026-11-28/7b0cb3f8-18f2-49a3-81c2-79ed2896a254.parquet"), lake.join(&file)).unwrap();
    symlink(outside.join("date=2026-11-28"), lake.join("reliability/com.example.a/date=2026-11-27")).unwrap();
    symlink(outside.join("com.example.z"), lake.join("reliability/com.example.z")).unwrap();
    let pipe = LARGE.replace("5b0c", "8b0c");
    assert!(Command::new("mkfifo").arg(lake.join(&pipe)).status().unwrap().success());
    for key in [&file, &file.replace("28/", "27/"), &file.replace("example.a", "example.z"), &pipe] {
        assert_eq!(world.get("site", key).code(), "NoSuchKey", "{key}");
    }
    assert_eq!(world.list("site", &[("list-type", "2")]).all("Key"), [LOG, LARGE]);
}

#[test]
fn lists_go_on_from_page_to_page() {
    let world = World::new();
    let table = "reliability/com.example.a/_delta_log";
    let all: Vec<String> = (0..5).map(|version| format!("{table}/{version:020}.json")).collect();
    for key in &all {
        put(&world.path("lake/eu"), key, b"{}");
    }
    let prefix = format!("{table}/");
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let mut query = vec![("list-type", "2"), ("prefix", prefix.as_str()), ("max-keys", "2")];
        query.extend(token.as_deref().map(|token| ("continuation-token", token)));
        let page = world.list("site", &query);
        found.extend(page.all("Key"));
        token = page.all("NextContinuationToken").pop();
        assert_eq!(page.all("IsTruncated"), [token.is_some().to_string()]);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(found, all);
    let first = world.list("site", &[("prefix", &prefix), ("max-keys", "2")]);
    assert_eq!(first.all("NextMarker"), [all[1].clone()]);
    assert_eq!(world.list("site", &[("prefix", &prefix), ("marker", &all[1])]).all("Key"), all[2..]);
    let folders =
        world.list("site", &[("list-type", "2"), ("prefix", "reliability/com.example.a/"), ("delimiter", "/")]);
    let prefixes = folders.all("CommonPrefixes").concat();
    assert!(prefixes.contains("/_delta_log/<") && prefixes.contains("/date=2026-11-28/<"), "{}", folders.text());
    assert_eq!(folders.all("Key"), [""; 0]);

    let status = |query: &[(&str, &str)]| world.list("site", &[&[("list-type", "2")], query].concat()).status;
    assert_eq!(status(&[("max-keys", "2147483647")]), 200);
    for wrong in [
        ("max-keys", "-1"),
        ("max-keys", "99999999999"),
        ("continuation-token", "made up"),
        ("continuation-token", "_w"),
    ] {
        assert_eq!(status(&[wrong]), 400, "{wrong:?}");
    }
    let made_up =
        world.list("site", &[("list-type", "2"), ("continuation-token", "cmVsaWFiaWxpdHkvLi4v"), ("max-keys", "1")]);
    assert_eq!((made_up.status, made_up.all("Key")), (200, vec![all[0].clone()]));
    for prefix in ["\n", "\0", "\u{fffe}<&>", "é"] {
        let odd = world.list("site", &[("list-type", "2"), ("prefix", prefix)]);
        assert_eq!((odd.status, odd.all("Key")), (200, Vec::new()), "{prefix:?}");
    }
}

/// Times of a file are those that its purpose keeps; its tag changes with the file, and is no time.
#[test]
fn times_are_as_coarse_as_the_purpose() {
    let world = World::new();
    let answer = world.get("site", LARGE);
    assert!(answer.header("last-modified").ends_with(":00:00 GMT"), "{}", answer.header("last-modified"));
    let listed = world.list("site", &[("list-type", "2")]).all("LastModified");
    assert!(!listed.is_empty() && listed.iter().all(|time| time.ends_with(":00:00.000Z")), "{listed:?}");
}

#[test]
fn nothing_writes_and_nothing_else_is_answered() {
    let world = World::new();
    let before = Command::new("find").arg(world.path("lake/eu/reliability")).output().unwrap().stdout;
    for method in ["PUT", "POST", "DELETE", "PATCH", "OPTIONS"] {
        for path in ["/eu", &format!("/eu/{LARGE}"), "/"] {
            let answer = world.send(&request("site", method, path).signed());
            assert_eq!((answer.status, answer.code().as_str()), (403, "AccessDenied"), "{method} {path}");
            assert_eq!(answer.header("connection"), "close");
        }
    }
    for (path, query) in
        [("/", ""), ("/eu", "acl"), ("/eu", "policy"), ("/eu", "uploads"), ("/eu", "versions"), ("/eu", "versioning")]
    {
        let mut ask = request("site", "GET", path);
        ask.query = [(query.to_owned(), String::new())].into_iter().filter(|(name, _)| !name.is_empty()).collect();
        assert_eq!(world.send(&ask.signed()).code(), "AccessDenied", "{path} {query}");
    }
    for query in ["tagging", "acl", "attributes", "torrent", "uploadId"] {
        let mut ask = request("site", "GET", &format!("/eu/{LARGE}"));
        ask.query = vec![(query.to_owned(), String::new())];
        assert_eq!(world.send(&ask.signed()).status, 403, "{query}");
    }
    for (name, value) in [("versionId", "1"), ("partNumber", "2")] {
        let mut ask = request("site", "GET", &format!("/eu/{LARGE}"));
        ask.query = vec![(name.to_owned(), value.to_owned())];
        assert_eq!(world.send(&ask.signed()).code(), "NotImplemented", "{name}");
    }
    let after = Command::new("find").arg(world.path("lake/eu/reliability")).output().unwrap().stdout;
    assert_eq!(before, after);
    let mut location = request("site", "GET", "/eu");
    location.query = vec![("location".to_owned(), String::new())];
    let location = world.send(&location.signed());
    assert!(location.status == 200 && location.text().contains(">eu</"), "{}", location.text());
    assert_eq!(world.send(&request("site", "HEAD", "/eu").signed()).header("x-amz-bucket-region"), "eu");
    assert_eq!(world.send(&request("site", "HEAD", "/us").signed()).status, 404);
}

/// Whoever has no grant learns nothing: an unknown key and a wrong secret are one answer, and only version 4, signed now, is heard.
#[test]
fn only_what_a_grant_signed_now_is_heard() {
    let world = World::new();
    let path = format!("/eu/{LARGE}");
    let ask = request("site", "GET", &path);
    let mut stranger = request("stranger", "GET", &path);
    let refused = world.send(&stranger.signed());
    assert_eq!((refused.status, refused.code().as_str()), (403, "SignatureDoesNotMatch"));
    stranger = ask.clone();
    stranger.secret = secret_of("other");
    assert_eq!(world.send(&stranger.signed()), refused);
    // The key of one with the secret of the other.
    stranger.secret = secret_of("support");
    assert_eq!(world.send(&stranger.signed()), refused);
    assert_eq!(world.send(&ask.signed().replace(LARGE, LOG)), refused, "a signature served another object");
    assert_eq!(world.send(&ask.text("")).code(), "AccessDenied");
    for minutes in [-16, 16] {
        let mut ask = ask.clone();
        ask.at_ms += minutes * 60_000;
        assert_eq!(world.send(&ask.signed()).code(), "RequestTimeTooSkewed", "{minutes}");
    }

    assert_eq!(world.send(&ask.presigned(60)).body.len(), large().len());
    assert_eq!(world.send(&ask.presigned(60).replace(LARGE, LOG)), refused);
    assert_eq!(world.send(&ask.presigned(604_800)).status, 200, "a week is what S3 allows");
    for seconds in [604_801, u32::MAX] {
        assert_eq!(world.send(&ask.presigned(seconds)).code(), "AccessDenied", "{seconds}");
    }
    let mut old = ask.clone();
    old.at_ms -= 61_000;
    assert_eq!(world.send(&old.presigned(60)).code(), "AccessDenied");

    let mac = |text: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, ask.secret.as_bytes());
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hmac::sign(&key, text.as_bytes()))
    };
    let date = "Sun, 29 Nov 2026 12:00:00 GMT";
    let second = format!(
        "date: {date}\r\nauthorization: AWS {}:{}\r\n",
        ask.access_key,
        mac(&format!("GET\n\n\n{date}\n{path}"))
    );
    assert_eq!(world.send(&ask.text(&second)).code(), "AccessDenied", "version 2 was heard");
    for name in ["Signature", "%53ignature", "AWSAccessKeyId"] {
        let text = ask
            .text("")
            .replace(&path, &format!("{path}?Expires=4102444800&AWSAccessKeyId={}&{name}=x", ask.access_key));
        assert_eq!(world.send(&text).code(), "AccessDenied", "{name}");
    }
    for broken in [
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=, Signature=",
        &format!("AWS4-HMAC-SHA256 {}", hex(&[7; 900])),
    ] {
        let status = world.send(&ask.text(&format!("authorization: {broken}\r\n"))).status;
        assert!((400..404).contains(&status), "{broken}: {status}");
    }
}

fn secret_of(who: &str) -> String {
    super::world::secret(who)
}
