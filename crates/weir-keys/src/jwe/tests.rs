//! One kind of JWE opens, for its event only; everything else is refused without a panic.

use aws_lc_rs::{aead::NONCE_LEN, agreement::PublicKey};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn key() -> JweKey {
    JweKey::of_secret(&Secret::from_bytes(&[7; 32])).unwrap()
}

fn attributes() -> Attributes<'static> {
    Attributes {
        id: "1".into(),
        source: "/a\"b".into(),
        event_type: "com.example.paid".into(),
        time: "2026-11-23T10:15:30Z".into(),
        tenant: "acme".into(),
        contract_version: None,
        purposes: Some("reliability".into()),
        sec_gpc: None,
    }
}

fn point(public: &PublicKey) -> [String; 2] {
    let (x, y) = public.as_ref()[1..].split_at(COORDINATE);
    [BASE64.encode(x), BASE64.encode(y)]
}

fn header() -> Value {
    let ce = json!({"id": "1", "source": "/a\"b", "type": "com.example.paid", "time": "2026-11-23T10:15:30Z", "tenant": "acme",
        "purposes": "reliability"});
    let [x, y] = point(&ephemeral().compute_public_key().unwrap());
    let epk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
    json!({"alg": "ECDH-ES", "enc": "A256GCM", "kid": key().public().kid(), "epk": epk, "ce": ce})
}

/// The same each time: a test may, a producer must not.
fn ephemeral() -> PrivateKey {
    PrivateKey::from_private_key(&ECDH_P256, &[9; 32]).unwrap()
}

/// Seals as a producer does, with a header that may be any text.
fn seal_under(header: &str, plain: &[u8]) -> String {
    let public = key().private.compute_public_key().unwrap();
    let peer = UnparsedPublicKey::new(&ECDH_P256, public.as_ref());
    let key = agree(&ephemeral(), peer, (), |shared| Ok(content_key(shared))).unwrap();
    let head = BASE64.encode(header);
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).unwrap());
    let mut bytes = plain.to_vec();
    let nonce = Nonce::assume_unique_for_key([3; NONCE_LEN]);
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(head.as_bytes()), &mut bytes).unwrap();
    let [nonce, bytes, tag] = [&[3; NONCE_LEN][..], &bytes, tag.as_ref()].map(|part| BASE64.encode(part));
    format!("{head}..{nonce}.{bytes}.{tag}")
}

fn opened(jwe: &[u8], event: &Attributes<'_>) -> Result<Vec<u8>, JweFault> {
    let key = key();
    open(jwe, event, |kid| (kid == key.public().kid()).then_some(&key)).map(|bytes| bytes.to_vec())
}

fn sealed() -> String {
    seal_under(&header().to_string(), PLAIN)
}

const PLAIN: &[u8] = br#"{"user":{"id":"u-1"}}"#;

#[test]
fn what_was_sealed_for_an_event_opens_in_it() {
    assert_eq!(opened(sealed().as_bytes(), &attributes()).as_deref(), Ok(PLAIN));
    assert_eq!(opened(seal_under(&header().to_string(), b"").as_bytes(), &attributes()).as_deref(), Ok(&b""[..]));
}

/// The example of RFC 7518, appendix C.
#[test]
fn agreed_key_is_that_of_the_rfc() {
    let decode = |text| BASE64.decode(text).unwrap();
    let alice =
        PrivateKey::from_private_key(&ECDH_P256, &decode("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo")).unwrap();
    let bob =
        [decode("weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ"), decode("e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck")];
    let bob = UnparsedPublicKey::new(&ECDH_P256, [vec![UNCOMPRESSED], bob.concat()].concat());
    let derived = agree(&alice, bob, (), |shared| Ok(concat_kdf(shared, "A128GCM", ["Alice", "Bob"], 128))).unwrap();
    assert_eq!(BASE64.encode(&derived.as_ref()[..16]), "VqqN6vgjbSBcIijNcacQGg");
}

#[test]
fn what_libraries_of_others_sealed_opens() {
    let sealed: Vec<_> = include_str!("sealed.txt").lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(sealed.len(), 3);
    for jwe in sealed {
        assert_eq!(opened(jwe.as_bytes(), &attributes()).as_deref(), Ok(PLAIN));
    }
}

/// The key of RFC 7518, appendix C; joserfc, jose and jwcrypto give it this thumbprint.
#[test]
fn public_key_and_its_name_are_those_of_others() {
    let bob = JweKey::of_secret(&Secret::from_bytes(&decode(b"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw").unwrap()));
    let jwk: Value = serde_json::from_str(&bob.unwrap().public().jwk()).unwrap();
    assert_eq!(jwk["x"], "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ");
    assert_eq!(jwk["y"], "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck");
    assert_eq!(jwk["kid"], "Vy57XrArUrW0NbpI12tEzDHABxMwrTh6HHXRenSpnCo");
    assert_eq!([&jwk["use"], &jwk["alg"]], ["enc", "ECDH-ES"]);
}

#[test]
fn every_attribute_binds() {
    let changes: [fn(&mut Attributes<'_>); 9] = [
        |event| event.id = "2".into(),
        |event| event.source = "/ab".into(),
        |event| event.event_type = "com.example.other".into(),
        |event| event.time = "2026-11-23T10:15:31Z".into(),
        |event| event.tenant = "globex".into(),
        |event| event.contract_version = Some("1".into()),
        |event| event.purposes = None,
        |event| event.purposes = Some("reliability,personalization".into()),
        |event| event.sec_gpc = Some("0".into()),
    ];
    for change in changes {
        let mut event = attributes();
        change(&mut event);
        assert_eq!(opened(sealed().as_bytes(), &event), Err(JweFault::Event));
    }
}

/// Each of these is sealed well, under a header that says or hides something else.
#[test]
fn other_forms_are_refused() {
    let header = header();
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        header.to_string()
    };
    let text = header.to_string();
    let mut compressed = header["epk"].clone();
    compressed["y"] = "".into();
    let mut without = header.clone();
    without["ce"].as_object_mut().unwrap().remove("time");
    for (header, fault) in [
        (with("alg", "ECDH-ES+A256KW".into()), JweFault::Form),
        (with("alg", "dir".into()), JweFault::Form),
        (with("alg", "none".into()), JweFault::Form),
        (with("enc", "A128GCM".into()), JweFault::Form),
        (with("enc", "A128CBC-HS256".into()), JweFault::Form),
        (with("zip", "DEF".into()), JweFault::Form),
        (with("crit", json!(["ce"])), JweFault::Form),
        (with("b64", json!(false)), JweFault::Form),
        (with("apu", "QWxpY2U".into()), JweFault::Form),
        (with("ce", Value::Null), JweFault::Form),
        (with("epk", json!({"kty": "OKP", "crv": "X25519", "x": "AA", "y": "AA"})), JweFault::Form),
        (with("epk", compressed), JweFault::Form),
        (with("kid", "other".into()), JweFault::Key),
        (without.to_string(), JweFault::Form),
        (text.replacen('{', r#"{"alg":"ECDH-ES","#, 1), JweFault::Form),
        (text.replacen(r#""id":"1""#, r#""id":"2","id":"1""#, 1), JweFault::Form),
        (format!("{text}{{}}"), JweFault::Form),
        (String::new(), JweFault::Form),
        ("[]".to_owned(), JweFault::Form),
    ] {
        assert_eq!(opened(seal_under(&header, PLAIN).as_bytes(), &attributes()), Err(fault), "{header}");
    }
    let jwe = sealed();
    for other in [format!("{jwe}."), format!("{jwe}="), jwe.replacen("..", ".AA.", 1), jwe.replacen("..", ".", 1)] {
        assert_eq!(opened(other.as_bytes(), &attributes()), Err(JweFault::Form));
    }
}

/// A point off the curve would tell the private key bit by bit to whoever may ask often.
#[test]
fn point_that_is_not_on_the_curve_is_refused() {
    let mut header = header();
    header["epk"]["y"] = BASE64.encode([1; COORDINATE]).into();
    assert_eq!(opened(seal_under(&header.to_string(), PLAIN).as_bytes(), &attributes()), Err(JweFault::Broken));
}

#[test]
fn every_changed_byte_and_every_cut_is_noticed() {
    let jwe = sealed();
    for at in 0..jwe.len() {
        assert!(opened(&jwe.as_bytes()[..at], &attributes()).is_err());
        for change in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut other = jwe.clone().into_bytes();
            other[at] ^= change;
            assert!(opened(&other, &attributes()).is_err(), "byte {at} with {change}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        parts in prop::collection::vec("[A-Za-z0-9_.-]{0,24}", 5),
        header in r#"[{}\[\]":, a-z0-9]{0,60}"#,
    ) {
        for jwe in [bytes, parts.join(".").into_bytes(), seal_under(&header, PLAIN).into_bytes()] {
            prop_assert!(opened(&jwe, &attributes()).is_err());
        }
    }
}
