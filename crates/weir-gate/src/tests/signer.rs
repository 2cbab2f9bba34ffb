//! A client that signs as S3's do, and can do so wrongly: code of its own, by the words of the specification.

use aws_lc_rs::{digest, hmac};
use weir_policy::values::time;

/// A request that is to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    /// As it stands on the wire.
    pub(crate) path: String,
    /// Names and values, not encoded.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) access_key: String,
    pub(crate) secret: String,
    pub(crate) at_ms: i64,
}

impl Ask {
    /// Signs it in a header; returns the text of the request.
    pub(crate) fn signed(&self) -> String {
        let (date, day) = self.instant();
        let scope = format!("{day}/eu/s3/aws4_request");
        let canonical = format!(
            "{}\n{}\n{}\nhost:gate\nx-amz-content-sha256:{EMPTY}\nx-amz-date:{date}\n\nhost;x-amz-content-sha256;x-amz-date\n{EMPTY}",
            self.method,
            self.canonical_path(),
            self.query_text(),
        );
        let signature = self.signature(&canonical, &date, &day, &scope);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}",
            self.access_key
        );
        self.text(&format!("x-amz-date: {date}\r\nx-amz-content-sha256: {EMPTY}\r\nauthorization: {authorization}\r\n"))
    }

    /// Signs it in its address, for some seconds.
    pub(crate) fn presigned(&self, seconds: u32) -> String {
        let (date, day) = self.instant();
        let scope = format!("{day}/eu/s3/aws4_request");
        let mut ask = self.clone();
        let more = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", format!("{}/{scope}", self.access_key)),
            ("X-Amz-Date", date.clone()),
            ("X-Amz-Expires", seconds.to_string()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ];
        ask.query.extend(more.map(|(name, value)| (name.to_owned(), value)));
        let canonical = format!(
            "{}\n{}\n{}\nhost:gate\n\nhost\nUNSIGNED-PAYLOAD",
            ask.method,
            ask.canonical_path(),
            ask.query_text()
        );
        let signature = ask.signature(&canonical, &date, &day, &scope);
        ask.query.push(("X-Amz-Signature".to_owned(), signature));
        ask.text("")
    }

    /// Does not sign it.
    pub(crate) fn text(&self, more: &str) -> String {
        let query = self.query_text();
        let mark = if query.is_empty() { "" } else { "?" };
        let lines: Vec<_> = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let headers = lines.concat();
        format!(
            "{} {}{mark}{query} HTTP/1.1\r\nhost: gate\r\nconnection: close\r\n{headers}{more}\r\n",
            self.method, self.path
        )
    }

    fn instant(&self) -> (String, String) {
        let seconds = self.at_ms.div_euclid(1_000) * 1_000_000;
        let date: String = time::render(seconds).chars().filter(|sign| !"-:".contains(*sign)).collect();
        let day = date.get(..8).unwrap().to_owned();
        (date, day)
    }

    /// S3 signs the path as its decoded bytes, encoded once.
    fn canonical_path(&self) -> String {
        let mut bytes = Vec::new();
        let mut rest = self.path.as_bytes();
        while let [first, after @ ..] = rest {
            let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
            if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
                bytes.push(u8::try_from(high << 4 | low).unwrap());
                rest = &after[2..];
            } else {
                bytes.push(*first);
                rest = after;
            }
        }
        encoded(&bytes, true)
    }

    fn query_text(&self) -> String {
        let pair = |(name, value): &(String, String)| {
            format!("{}={}", encoded(name.as_bytes(), false), encoded(value.as_bytes(), false))
        };
        let mut pairs: Vec<_> = self.query.iter().map(pair).collect();
        pairs.sort();
        pairs.join("&")
    }

    fn signature(&self, canonical: &str, date: &str, day: &str, scope: &str) -> String {
        let digest = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
        let first = format!("AWS4{}", self.secret).into_bytes();
        let key = [day, "eu", "s3", "aws4_request"].iter().fold(first, |key, word| mac(&key, word.as_bytes()));
        hex(&mac(&key, to_sign.as_bytes()))
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

/// Writes bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from_digit(digit.into(), 16).unwrap())
        .collect()
}

fn encoded(bytes: &[u8], is_path: bool) -> String {
    let written = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        b'/' if is_path => "/".to_owned(),
        byte => format!("%{byte:02X}"),
    };
    bytes.iter().map(written).collect()
}

/// SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
