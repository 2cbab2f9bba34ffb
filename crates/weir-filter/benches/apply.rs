//! Events per second through `Filter::apply`, on one core.
//!
//! `cargo bench -p weir-filter` prints one line a corpus: *stable* has one producer's key order, *mixed* has several types and
//! orders, missing and undeclared members, refusals and malformed records. The minimum of several rounds counts.

#![expect(clippy::print_stdout, reason = "a bench prints its result")]
#![expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "figures for people")]

#[path = "../tests/filter/world.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "made for tests, of which this needs the half")]
mod world;

use weir_filter::{Filtered, Headers, Origin, Record};
use weir_policy::PurposeId;
use world::{NOW_MS, World};

const CONTRACT: &str = include_str!("contract.toml");
const TYPES: usize = 8;
const EVENTS: usize = 100_000;
const PEOPLE: u64 = 20_000;
/// Records that a poll hands over at once.
const POLL: usize = 512;
const ROUNDS: usize = 9;

fn main() {
    let contracts: Vec<_> = (0..TYPES).map(|n| CONTRACT.replace("order_completed", &format!("order_{n}"))).collect();
    let world = World::new(&contracts.iter().map(String::as_str).collect::<Vec<_>>());
    for person in 0..PEOPLE {
        // One in ten people refuses one purpose, one in twenty all of them.
        for purpose in PurposeId::ALL {
            let refused = person % 20 == 0 || (person % 10 == 1 && purpose.index() as u64 == person / 10 % 3);
            let status = if refused { weir_consent::Status::Refused } else { weir_consent::Status::Given };
            world.choose(&user(person), purpose, status, world::LONG_AGO_MS);
        }
    }
    for (name, corpus) in [("stable", corpus(false)), ("mixed", corpus(true))] {
        let bytes = corpus.len();
        let rounds: Vec<_> = (0..ROUNDS).map(|_| (round(&world, &corpus), parse(&corpus))).collect();
        let nanos = rounds.iter().map(|(filter, _)| *filter).min().unwrap_or_default();
        let parse = rounds.iter().map(|(_, parse)| *parse).min().unwrap_or_default();
        let per_event = nanos as f64 / EVENTS as f64;
        println!(
            "{name:8} {:5.0} ns/event  {:7.0} events/s  {:5.1} MB/s  {:4} bytes/event  {:4.2} × serde_json that ignores all",
            per_event,
            1e9 / per_event,
            bytes as f64 * 1e3 / nanos as f64,
            bytes / EVENTS,
            nanos as f64 / parse as f64,
        );
    }
}

fn round(world: &World, corpus: &str) -> u64 {
    let mut filter = world.filter();
    let view = world.store.view(NOW_MS, i64::MAX).expect("the store is current");
    let mut out = Filtered::default();
    let records: Vec<_> = (0..)
        .zip(corpus.lines())
        .map(|(position, event)| Record::new(Origin(0), position, Some(event.as_bytes()), Headers::NONE))
        .collect();
    let start = busy_nanos();
    for poll in records.chunks(POLL) {
        filter.apply(poll, &view, NOW_MS, &mut out);
    }
    let nanos = busy_nanos() - start;
    assert!(out.rows() > EVENTS, "most events are written");
    nanos
}

/// Parses the same bytes and keeps nothing: a baseline that says how fast the machine is at the moment.
fn parse(corpus: &str) -> u64 {
    let start = busy_nanos();
    let sound = corpus.lines().filter(|event| serde_json::from_str::<serde::de::IgnoredAny>(event).is_ok()).count();
    let nanos = busy_nanos() - start;
    assert!(sound > EVENTS / 2, "most events are JSON");
    nanos
}

/// Returns the time for which this thread has been on a processor: other programs on the machine do not count.
fn busy_nanos() -> u64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the bench runs on Linux");
    schedule.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("the first number is the busy time")
}

fn user(person: u64) -> String {
    format!("u-{:08x}", person.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF)
}

/// A small generator, seeded: the corpus is the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap_or_default()]
    }
}

/// Makes the events, one a line: as they lie in a fetched batch, one after the other.
fn corpus(mixed: bool) -> String {
    let mut dice = Dice(if mixed { 7 } else { 8 });
    (0..EVENTS).map(|_| event(&mut dice, mixed) + "\n").collect()
}

fn event(dice: &mut Dice, mixed: bool) -> String {
    let mut user_members = vec![
        format!(r#""id":"{}""#, user(dice.roll(PEOPLE))),
        format!(r#""session_id":"{:016x}-{:08x}""#, dice.roll(1 << 30), dice.roll(1 << 30)),
        format!(r#""plan":"{}""#, dice.pick(&["free", "starter", "team", "enterprise"])),
        format!(r#""locale":"{}""#, dice.pick(&["de-DE", "en-GB", "en-US", "fr-FR", "pt-BR"])),
    ];
    let mut client = vec![
        format!(r#""ip":"{}.{}.{}.{}""#, dice.roll(223) + 1, dice.roll(256), dice.roll(256), dice.roll(256)),
        format!(
            r#""user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0""#,
            100 + dice.roll(40)
        ),
        format!(r#""version":"{}.{}.{}""#, dice.roll(5), dice.roll(20), dice.roll(100)),
        format!(r#""country":"{}""#, dice.pick(&["DE", "GB", "US", "FR", "BR"])),
    ];
    let mut request = vec![
        format!(r#""route":"/orders/{}/items""#, dice.roll(1_000_000)),
        format!(r#""method":"{}""#, dice.pick(&["GET", "POST", "PUT"])),
        format!(r#""status":{}"#, dice.pick(&["200", "201", "404", "500"])),
        format!(r#""latency_ms":{}"#, dice.roll(3_000)),
        format!(r#""cpu_ms":{}.{:03}"#, dice.roll(200), dice.roll(1000)),
        format!(r#""bytes_out":{}"#, dice.roll(900_000)),
        format!(r#""cached":{}"#, dice.pick(&["true", "false"])),
        format!(r#""started_at":"2026-11-23T10:{:02}:{:02}.{:03}Z""#, dice.roll(15), dice.roll(60), dice.roll(1000)),
    ];
    let items: Vec<_> = (0..=dice.roll(3))
        .map(|_| {
            let group = dice.pick(&["books", "games", "garden", "kitchen", "music", "office", "sports", "toys"]);
            format!(r#"{{"sku_group":"{group}","quantity":{}}}"#, 1 + dice.roll(9))
        })
        .collect();
    let mut order = vec![
        format!(r#""id":"o-{:010}""#, dice.roll(1 << 31)),
        format!(r#""total":{}.{:02}"#, dice.roll(500), dice.roll(100)),
        format!(r#""currency":"{}""#, dice.pick(&["EUR", "GBP", "USD"])),
        format!(r#""items":[{}]"#, items.join(",")),
    ];
    let mut payment = vec![
        format!(r#""provider":"{}""#, dice.pick(&["adyen", "stripe", "paypal", "klarna"])),
        format!(r#""attempts":{}"#, 1 + dice.roll(3)),
    ];
    let mut extra = vec![
        r#""note":"Please leave the parcel with the neighbours, they are always at home.""#.to_owned(),
        r#""shipping":{"address":{"street":"12 Example Road","city":"Sampleton","zip":"12345"}}"#.to_owned(),
        format!(r#""trace":{{"span":"{:016x}","sampled":true}}"#, dice.roll(1 << 30)),
    ];
    if mixed {
        for part in [&mut user_members, &mut client, &mut request, &mut order, &mut payment, &mut extra] {
            let at = usize::try_from(dice.roll(part.len() as u64)).unwrap_or_default();
            part.rotate_left(at);
            // The person is missing in few events only, or nothing would be written.
            if dice.roll(4) == 0 && !part[0].starts_with("\"id\"") {
                part.remove(0);
            }
        }
        request.push(format!(r#""undeclared_{}":"x""#, dice.roll(20)));
    }
    let data = format!(
        r#"{{"user":{{{}}},"client":{{{}}},"request":{{{}}},"order":{{{}}},"payment":{{{}}},{}}}"#,
        user_members.join(","),
        client.join(","),
        request.join(","),
        order.join(","),
        payment.join(","),
        extra.join(","),
    );
    envelope(dice, mixed, &data)
}

fn envelope(dice: &mut Dice, mixed: bool, data: &str) -> String {
    let kind = if mixed { dice.roll(TYPES as u64) } else { 0 };
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        dice.roll(1 << 31),
        dice.roll(1 << 16),
        dice.roll(1 << 12),
        dice.roll(1 << 12),
        dice.roll(1 << 31)
    );
    let mut attributes = vec![
        r#""specversion":"1.0""#.to_owned(),
        format!(r#""id":"{id}""#),
        r#""source":"/shop/checkout""#.to_owned(),
        format!(r#""type":"bench.order_{kind}""#),
        format!(r#""time":"2026-11-23T10:15:{:02}.{:03}Z""#, dice.roll(60), dice.roll(1000)),
        r#""tenant":"acme""#.to_owned(),
        r#""datacontenttype":"application/json""#.to_owned(),
        format!(r#""data":{data}"#),
    ];
    if mixed {
        let at = usize::try_from(dice.roll(8)).unwrap_or_default();
        attributes[..7].rotate_left(at % 7);
        if dice.roll(8) == 0 {
            attributes.rotate_left(1);
        }
        if dice.roll(1000) == 0 {
            attributes.push("\"broken\":tru".to_owned());
        }
    }
    format!("{{{}}}", attributes.join(","))
}
