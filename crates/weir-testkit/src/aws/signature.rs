//! Checks signatures, version 4, of requests to `/`: written apart from the client's.

use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::{Aws, Cloud, User};
use crate::stub::Request;

impl Cloud {
    /// Returns who asks, or what is wrong with their signature.
    pub(super) fn who(&self, request: &Request) -> Result<String, &'static str> {
        let header = request.header("authorization").strip_prefix("AWS4-HMAC-SHA256 ");
        let parts = header.ok_or("MissingAuthenticationTokenException")?.split(", ");
        let mut fields = parts.filter_map(|part| part.split_once('='));
        let mut next = |wanted: &str| {
            fields
                .next()
                .filter(|(name, _)| *name == wanted)
                .map(|(_, value)| value)
                .ok_or("IncompleteSignatureException")
        };
        let (credential, signed, signature) = (next("Credential")?, next("SignedHeaders")?, next("Signature")?);
        let (id, range) = credential.split_once('/').ok_or("IncompleteSignatureException")?;
        let user = self.users.get(id).ok_or("UnrecognizedClientException")?;
        let time = request.header("x-amz-date");
        let day = time.split('T').next().unwrap_or_default();
        if range != format!("{day}/{}/kms/aws4_request", Aws::REGION) || !is_now(time) {
            return Err("InvalidSignatureException");
        }
        if user.token.as_deref().unwrap_or_default() != request.header("x-amz-security-token") {
            return Err("ExpiredTokenException");
        }
        let names: Vec<_> = signed.split(';').collect();
        let must = request.headers.keys().filter(|name| name.starts_with("x-amz-") || *name == "host");
        let are_all = must.into_iter().all(|name| names.contains(&name.as_str()));
        if !are_all || !names.is_sorted() || signature_of(user, request, &names, time, range) != signature {
            return Err("InvalidSignatureException");
        }
        Ok(id.to_owned())
    }
}

fn signature_of(user: &User, request: &Request, names: &[&str], time: &str, range: &str) -> String {
    let headers: Vec<_> = names.iter().map(|name| format!("{name}:{}\n", request.header(name))).collect();
    let body = hex(&Sha256::digest(&request.body));
    let text = format!("{}\n{}\n\n{}\n{}\n{body}", request.method, request.path, headers.concat(), names.join(";"));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{range}\n{}", hex(&Sha256::digest(text.as_bytes())));
    let first = format!("AWS4{}", user.secret).into_bytes();
    let key = range.split('/').fold(first, |key, word| hmac(&key, word.as_bytes()));
    hex(&hmac(&key, text.as_bytes()))
}

/// RFC 2104 with SHA-256, for keys of up to one block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |with: u8| (0..64).map(|at| key.get(at).copied().unwrap_or_default() ^ with).collect::<Vec<_>>();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// Tells whether a time such as `20150830T123600Z` is now, give or take five minutes.
fn is_now(time: &str) -> bool {
    let number = |from: usize, to: usize| time.get(from..to).and_then(|digits| digits.parse::<i64>().ok());
    let parts = [(0, 4), (4, 6), (6, 8), (9, 11), (11, 13), (13, 15)].map(|(from, to)| number(from, to));
    let [Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)] = parts else { return false };
    // Days since 1970 of a date, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
    let asked = days * 86_400 + hour * 3_600 + minute * 60 + second;
    #[expect(clippy::disallowed_methods, reason = "signatures go by the real time")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(now).is_ok_and(|now| (now - asked).abs() < 300)
}
