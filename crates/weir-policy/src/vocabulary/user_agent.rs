//! User agents, stored as a family of a closed list and a major version.
//!
//! The rest of the header (device, build, extensions) is a fingerprint and is not read.

use super::{Token, token_in, word_in};

/// Returns family and major version (0 where the header names none).
///
/// Read are the headers of browsers and clients, and `Family/Major` or a bare `Family` of the list. A family that is
/// not in the list is `None`: the caller stores `(Token::OTHER, 0)`.
pub fn parse(text: &[u8]) -> Option<(Token, i32)> {
    // Nearly all headers begin with this, and no family does.
    if text.starts_with(b"Mozilla/") { header(text) } else { exact(text).or_else(|| header(text)) }
}

/// Returns the family.
pub fn render(token: Token) -> &'static str {
    word_in(FAMILIES, token)
}

/// Returns every family, sorted.
pub fn families() -> &'static [&'static str] {
    FAMILIES
}

/// Reads `Family` or `Family/Major[.…]` with a family exactly as the list writes it.
fn exact(text: &[u8]) -> Option<(Token, i32)> {
    let end = text.iter().position(|&byte| byte == b'/').unwrap_or(text.len());
    let family = token_in(FAMILIES, &text[..end])?;
    match text.get(end + 1..) {
        None => Some((family, 0)),
        Some(version) => major(version).map(|major| (family, major)),
    }
}

/// Reads a header in one pass over its words: the product of the lowest rank says what it is.
fn header(text: &[u8]) -> Option<(Token, i32)> {
    let mut signs = Signs::default();
    let mut found: Option<(&Product, i32)> = None;
    let (mut start, mut slash) = (0, None);
    for (at, &byte) in text.iter().chain(b" ").enumerate() {
        match byte {
            b'/' => slash = slash.or(Some(at)),
            b' ' | b'(' | b')' | b';' | b',' => {
                let word = &text[start..at];
                signs.read(word);
                if let Some(slash) = slash.take()
                    && let Some(product) = product_of(&text[start..slash])
                    && found.is_none_or(|(best, _)| product.rank < best.rank)
                {
                    found = Some((product, major(&text[slash + 1..at]).unwrap_or(0)));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    let (product, major) = found?;
    signs.refine(product.family, major)
}

/// Returns the product of a name; its first letter tells most others apart.
fn product_of(name: &[u8]) -> Option<&'static Product> {
    let first = *name.first()?;
    PRODUCTS
        .iter()
        .filter(|product| product.name.as_bytes()[0] == first)
        .find(|product| product.name.as_bytes() == name)
}

/// What a header says beside its products.
#[derive(Default)]
struct Signs {
    is_mobile: bool,
    is_web_view: bool,
    /// After `rv:`, as Internet Explorer has it.
    revision: Option<i32>,
    /// After `Version/`, as Safari has it.
    version: Option<i32>,
}

impl Signs {
    fn read(&mut self, word: &[u8]) {
        match word {
            [b'M', b'o', b'b', b'i', b'l', b'e', ..] => self.is_mobile = true,
            b"wv" => self.is_web_view = true,
            [b'r', b'v', b':', revision @ ..] => self.revision = major(revision),
            [b'V', b'e', b'r', b's', b'i', b'o', b'n', b'/', version @ ..] => self.version = major(version),
            _ => {}
        }
    }

    /// Returns the family and version that the signs make of a product.
    fn refine(&self, family: Token, major: i32) -> Option<(Token, i32)> {
        match family {
            CHROME if self.is_web_view => Some((const { token_of("Android WebView") }, major)),
            CHROME if self.is_mobile => Some((const { token_of("Chrome Mobile") }, major)),
            FIREFOX if self.is_mobile => Some((const { token_of("Firefox Mobile") }, major)),
            // Many call themselves Safari; Safari itself also gives its version.
            SAFARI if self.is_mobile => self.version.map(|version| (const { token_of("Safari Mobile") }, version)),
            SAFARI => self.version.map(|version| (family, version)),
            INTERNET_EXPLORER => Some((family, self.revision.unwrap_or(0))),
            _ => Some((family, major)),
        }
    }
}

const CHROME: Token = token_of("Chrome");
const FIREFOX: Token = token_of("Firefox");
const INTERNET_EXPLORER: Token = token_of("Internet Explorer");
const SAFARI: Token = token_of("Safari");

/// Returns the token of a family of the list.
const fn token_of(name: &str) -> Token {
    let (name, mut place) = (name.as_bytes(), 0);
    loop {
        let entry = FAMILIES[place].as_bytes();
        let mut same = 0;
        while same < name.len() && same < entry.len() && name[same] == entry[same] {
            same += 1;
        }
        place += 1;
        if same == name.len() && same == entry.len() {
            #[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "a short list")]
            return Token::from_number(place as u32);
        }
    }
}

/// Reads the digits at the start.
fn major(version: &[u8]) -> Option<i32> {
    let end = version.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(version.len());
    let digits = std::str::from_utf8(&version[..end]).ok()?;
    digits.parse().ok().filter(|major| *major <= MAJOR_MAX)
}

/// A greater number is no version, and could carry something else.
const MAJOR_MAX: i32 = 9_999;

/// Sorted.
const FAMILIES: &[&str] = &[
    "Android WebView",
    "Bingbot",
    "Chrome",
    "Chrome Mobile",
    "Edge",
    "Electron",
    "Firefox",
    "Firefox Mobile",
    "Go",
    "Googlebot",
    "Internet Explorer",
    "Java",
    "Opera",
    "Python",
    "Safari",
    "Safari Mobile",
    "Samsung Internet",
    "Vivaldi",
    "curl",
    "okhttp",
];

/// A name before a slash, and the family that it means.
struct Product {
    name: &'static str,
    family: Token,
    /// Those that also call themselves by another's name come before it.
    rank: u8,
}

const fn product(name: &'static str, family_name: &str, rank: u8) -> Product {
    Product { name, family: token_of(family_name), rank }
}

/// Sorted by name.
static PRODUCTS: &[Product] = &[
    product("Chrome", "Chrome", 3),
    product("CriOS", "Chrome Mobile", 2),
    product("Edg", "Edge", 1),
    product("EdgA", "Edge", 1),
    product("Edge", "Edge", 1),
    product("EdgiOS", "Edge", 1),
    product("Electron", "Electron", 1),
    product("Firefox", "Firefox", 3),
    product("FxiOS", "Firefox Mobile", 2),
    product("Go-http-client", "Go", 5),
    product("Googlebot", "Googlebot", 0),
    product("Java", "Java", 5),
    product("OPR", "Opera", 1),
    product("Safari", "Safari", 4),
    product("SamsungBrowser", "Samsung Internet", 1),
    product("Trident", "Internet Explorer", 4),
    product("Vivaldi", "Vivaldi", 1),
    product("bingbot", "Bingbot", 0),
    product("curl", "curl", 5),
    product("okhttp", "okhttp", 5),
    product("python-requests", "Python", 5),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_family_and_major() {
        for (header, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                "Chrome/126",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
                "Chrome Mobile/126",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36",
                "Android WebView/126",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Chrome/126.0.0.0 Safari/537.36 Edg/125.0.2535.92",
                "Edge/125",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
                "Safari/17",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari Mobile/17",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "Firefox/127"),
            ("Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0", "Firefox Mobile/127"),
            ("Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer/11"),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot/2"),
            (
                "Mozilla/5.0 (X11) AppleWebKit/537.36 Code/1.90 Chrome/122.0 Electron/29.4.0 Safari/537.36",
                "Electron/29",
            ),
            ("curl/8.5.0", "curl/8"),
            ("Chrome/126", "Chrome/126"),
            ("Safari", "Safari/0"),
        ] {
            let rendered = parse(header.as_bytes()).map(|(family, major)| format!("{}/{major}", render(family)));
            assert_eq!(rendered.as_deref(), Some(expected), "{header}");
        }
    }

    #[test]
    fn what_is_in_no_list_is_no_family() {
        for header in
            ["", "Crawler of Jane Doe", "Chrome/4111111111111111", "Chrome/", "Mozilla/5.0 Safari/604.1", "chrome/1"]
        {
            assert!(!matches!(parse(header.as_bytes()), Some((_, major)) if major > MAJOR_MAX), "{header}");
        }
        assert_eq!(parse(b"Crawler of Jane Doe"), None);
        assert_eq!(parse(b"Mozilla/5.0 Safari/604.1"), None);
    }

    #[test]
    fn lists_are_sorted() {
        assert!(FAMILIES.is_sorted() && PRODUCTS.is_sorted_by_key(|product| product.name));
    }
}
