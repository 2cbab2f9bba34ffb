//! Signature version 4: who asks AWS, and that nobody changed what is asked.

use aws_lc_rs::{digest, hmac};

use super::login::Credentials;

/// What is signed of a request to `/`, without a query.
pub(super) struct Unsigned<'r> {
    pub(super) method: &'r str,
    /// Names in small letters, in order, each with its value.
    pub(super) headers: &'r [(&'r str, &'r str)],
    pub(super) body: &'r [u8],
}

/// For what a signature is valid.
pub(super) struct Scope<'s> {
    pub(super) region: &'s str,
    pub(super) service: &'s str,
    /// The time, as in `20150830T123600Z`.
    pub(super) time: &'s str,
}

/// Returns the value of the header `authorization`.
pub(super) fn authorization(credentials: &Credentials, scope: &Scope<'_>, request: &Unsigned<'_>) -> String {
    let Scope { region, service, time } = scope;
    let day = time.split('T').next().unwrap_or_default();
    let names = request.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let body = hex(digest::digest(&digest::SHA256, request.body).as_ref());
    let canonical = format!("{}\n/\n\n{}\n{names}\n{body}", request.method, headers.concat());
    let canonical = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let range = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("{ALGORITHM}\n{time}\n{range}\n{canonical}");
    let key = [day, region, service, "aws4_request"]
        .iter()
        .fold(credentials.first_key(), |key, word| hmac::Key::new(hmac::HMAC_SHA256, mac(&key, word).as_ref()));
    let (id, signature) = (&credentials.id, hex(mac(&key, &text).as_ref()));
    format!("{ALGORITHM} Credential={id}/{range}, SignedHeaders={names}, Signature={signature}")
}

fn mac(key: &hmac::Key, text: &str) -> hmac::Tag {
    hmac::sign(key, text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

#[cfg(test)]
mod tests {
    use super::*;

    /// The signatures of AWS's own test suite, as it publishes them.
    #[test]
    fn signatures_are_those_of_the_test_suite() {
        let credentials = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None);
        let scope = Scope { region: "us-east-1", service: "service", time: "20150830T123600Z" };
        let plain = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        let form = [("content-type", "application/x-www-form-urlencoded"), plain[0], plain[1]];
        for (name, method, headers, body, expected) in [
            ("get-vanilla", "GET", &plain[..], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (
                "post-vanilla",
                "POST",
                &plain[..],
                "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-x-www-form-urlencoded",
                "POST",
                &form[..],
                "Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ] {
            let request = Unsigned { method, headers, body: body.as_bytes() };
            let found = authorization(&credentials, &scope, &request);
            let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
            assert_eq!(
                found,
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders={names}, Signature={expected}"
                ),
                "{name}"
            );
        }
    }
}
