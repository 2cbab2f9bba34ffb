//! Locales: BCP 47 `language[-Script][-REGION]` from closed lists of subtags, in any case.
//!
//! Variants, extensions and private use are not read: they can say anything, and a locale that has them is no word of
//! this list. A token packs the three subtags, so that no list of all combinations is needed.

use super::subtags::{COUNTRIES, LANGUAGES, SCRIPTS, WORLD_REGIONS};
use super::{Token, token_in, word_in};

/// Returns the token of a locale.
pub fn token(text: &[u8]) -> Option<Token> {
    let mut subtags = text.split(|&byte| byte == b'-');
    let language = language(subtags.next()?)?;
    let mut next = subtags.next();
    let script = next.and_then(script);
    if script.is_some() {
        next = subtags.next();
    }
    let region = match next {
        Some(subtag) => Some(region(subtag)?),
        None => None,
    };
    if subtags.next().is_some() {
        return None;
    }
    let part = |token: Option<Token>| token.map_or(0, Token::number);
    Some(Token(language.number() | part(script) << SCRIPT_SHIFT | part(region) << REGION_SHIFT))
}

/// Returns the locale, each subtag in the case that BCP 47 recommends.
pub fn render(token: Token) -> String {
    let bits = token.number();
    let mut text = word_in(LANGUAGES, Token(bits & LANGUAGE_MASK)).to_owned();
    let script = bits >> SCRIPT_SHIFT & SCRIPT_MASK;
    if script != 0 {
        text.push('-');
        text.push_str(word_in(SCRIPTS, Token(script)));
    }
    let region = bits >> REGION_SHIFT;
    if region > WORLD_OFFSET {
        text.push('-');
        text.push_str(word_in(WORLD_REGIONS, Token(region - WORLD_OFFSET)));
    } else if region != 0 {
        text.push('-');
        text.push_str(word_in(COUNTRIES, Token(region)));
    }
    text
}

fn language(subtag: &[u8]) -> Option<Token> {
    let mut lower = [0; 3];
    let lower = lower.get_mut(..subtag.len())?;
    lower.copy_from_slice(subtag);
    lower.make_ascii_lowercase();
    token_in(LANGUAGES, lower)
}

fn script(subtag: &[u8]) -> Option<Token> {
    let mut title: [u8; 4] = subtag.try_into().ok()?;
    title.make_ascii_lowercase();
    title[0].make_ascii_uppercase();
    token_in(SCRIPTS, &title)
}

fn region(subtag: &[u8]) -> Option<Token> {
    super::country::token(subtag)
        .or_else(|| token_in(WORLD_REGIONS, subtag).map(|area| Token(area.number() + WORLD_OFFSET)))
}

/// Ten bits hold the languages, eight the scripts, the rest the regions.
const LANGUAGE_MASK: u32 = 0x3ff;
const SCRIPT_SHIFT: u32 = 10;
const SCRIPT_MASK: u32 = 0xff;
const REGION_SHIFT: u32 = 18;
/// World areas stand after the countries.
const WORLD_OFFSET: u32 = 400;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        token(text.as_bytes()).map(render)
    }

    #[test]
    fn locales_are_read_in_any_case_and_written_in_one() {
        for (text, rendered) in [
            ("en", "en"),
            ("DE-ch", "de-CH"),
            ("zh-hant-TW", "zh-Hant-TW"),
            ("sr-LATN", "sr-Latn"),
            ("es-419", "es-419"),
            ("haw-US", "haw-US"),
            ("en-001", "en-001"),
        ] {
            assert_eq!(read(text).as_deref(), Some(rendered), "{text}");
        }
    }

    #[test]
    fn what_says_more_than_a_locale_is_none() {
        for text in [
            "",
            "-",
            "en-",
            "en_US",
            "xx",
            "english",
            "en-US-posix",
            "en-x-jane",
            "de-1996",
            "en-Latn-US-u",
            "zh-TW-Hant",
            "en-ZZ",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    /// A token packs three places: no two locales may share one, and the bits must hold every list.
    #[test]
    fn the_packed_parts_fit_their_bits() {
        let fits = |list: &[&str], limit: u32| list.len() < usize::try_from(limit).expect("small");
        assert!(fits(LANGUAGES, LANGUAGE_MASK) && fits(SCRIPTS, SCRIPT_MASK) && fits(COUNTRIES, WORLD_OFFSET));
        assert!([LANGUAGES, SCRIPTS, COUNTRIES, WORLD_REGIONS].iter().all(|list| list.is_sorted()));
    }
}
