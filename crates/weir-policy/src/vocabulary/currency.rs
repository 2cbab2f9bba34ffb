//! Currencies: ISO 4217, in either case.

use super::subtags::CURRENCIES;
use super::{Token, token_in, word_in};

/// How many there are.
pub const COUNT: usize = CURRENCIES.len();

/// Returns the token of a code of three letters.
pub fn token(text: &[u8]) -> Option<Token> {
    let code: [u8; 3] = text.try_into().ok()?;
    token_in(CURRENCIES, &code.map(|byte| byte.to_ascii_uppercase()))
}

/// Returns the code, in upper case.
pub fn render(token: Token) -> &'static str {
    word_in(CURRENCIES, token)
}
