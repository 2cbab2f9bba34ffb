//! User agents, stored as a family of a closed list and a major version.
//!
//! The rest of the header (device, build, extensions) is a fingerprint and is not read.

use super::{Token, word_in};

/// Returns family and major version (0 where the header names none).
///
/// Read are the headers of browsers and clients, and `Family/Major` or a bare `Family` of the list. A family that is
/// not in the list is `None`: the caller stores `(Token::OTHER, 0)`.
pub fn parse(text: &[u8]) -> Option<(Token, i32)> {
    exact(text).or_else(|| MARKS.iter().find_map(|mark| mark.read(text)))
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
    let family = super::token_in(FAMILIES, &text[..end])?;
    match text.get(end + 1..) {
        None => Some((family, 0)),
        Some(version) => major(version).map(|major| (family, major)),
    }
}

/// What a header must hold to be of a family.
struct Mark {
    family: &'static str,
    /// All of these must occur.
    signs: &'static [&'static str],
    /// The major version stands after this.
    version: &'static str,
}

impl Mark {
    fn read(&self, text: &[u8]) -> Option<(Token, i32)> {
        let signed = self.signs.iter().all(|sign| after(text, sign).is_some());
        if !signed {
            return None;
        }
        let family = super::token_in(FAMILIES, self.family.as_bytes())?;
        Some((family, after(text, self.version).and_then(major).unwrap_or(0)))
    }
}

/// Returns what follows the first occurrence of `sign`.
fn after<'t>(text: &'t [u8], sign: &str) -> Option<&'t [u8]> {
    let sign = sign.as_bytes();
    text.windows(sign.len()).position(|window| window == sign).map(|place| &text[place + sign.len()..])
}

/// Reads the digits up to a `.`, a space or the end.
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

/// In order: those that call themselves something else as well come first.
const MARKS: &[Mark] = &[
    Mark { family: "Googlebot", signs: &["Googlebot/"], version: "Googlebot/" },
    Mark { family: "Bingbot", signs: &["bingbot/"], version: "bingbot/" },
    Mark { family: "Electron", signs: &["Electron/"], version: "Electron/" },
    Mark { family: "Edge", signs: &["Edg/"], version: "Edg/" },
    Mark { family: "Edge", signs: &["EdgA/"], version: "EdgA/" },
    Mark { family: "Edge", signs: &["EdgiOS/"], version: "EdgiOS/" },
    Mark { family: "Edge", signs: &["Edge/"], version: "Edge/" },
    Mark { family: "Opera", signs: &["OPR/"], version: "OPR/" },
    Mark { family: "Vivaldi", signs: &["Vivaldi/"], version: "Vivaldi/" },
    Mark { family: "Samsung Internet", signs: &["SamsungBrowser/"], version: "SamsungBrowser/" },
    Mark { family: "Firefox Mobile", signs: &["FxiOS/"], version: "FxiOS/" },
    Mark { family: "Firefox Mobile", signs: &["Firefox/", "Mobile"], version: "Firefox/" },
    Mark { family: "Firefox", signs: &["Firefox/"], version: "Firefox/" },
    Mark { family: "Chrome Mobile", signs: &["CriOS/"], version: "CriOS/" },
    Mark { family: "Android WebView", signs: &["; wv)", "Chrome/"], version: "Chrome/" },
    Mark { family: "Chrome Mobile", signs: &["Chrome/", "Mobile"], version: "Chrome/" },
    Mark { family: "Chrome", signs: &["Chrome/"], version: "Chrome/" },
    Mark { family: "Safari Mobile", signs: &["Safari/", "Version/", "Mobile"], version: "Version/" },
    Mark { family: "Safari", signs: &["Safari/", "Version/"], version: "Version/" },
    Mark { family: "Internet Explorer", signs: &["Trident/"], version: "rv:" },
    Mark { family: "curl", signs: &["curl/"], version: "curl/" },
    Mark { family: "okhttp", signs: &["okhttp/"], version: "okhttp/" },
    Mark { family: "Go", signs: &["Go-http-client/"], version: "Go-http-client/" },
    Mark { family: "Python", signs: &["python-requests/"], version: "python-requests/" },
    Mark { family: "Java", signs: &["Java/"], version: "Java/" },
];
