//! Countries: ISO 3166-1 alpha-2, in either case.

use super::subtags::COUNTRIES;
use super::{Token, token_in, word_in};

/// How many there are.
pub const COUNT: usize = COUNTRIES.len();

/// Returns the token of a code of two letters.
pub fn token(text: &[u8]) -> Option<Token> {
    let code: [u8; 2] = text.try_into().ok()?;
    token_in(COUNTRIES, &code.map(|byte| byte.to_ascii_uppercase()))
}

/// Returns the code, in upper case.
pub fn render(token: Token) -> &'static str {
    word_in(COUNTRIES, token)
}
