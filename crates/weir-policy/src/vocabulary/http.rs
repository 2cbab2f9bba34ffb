//! Methods of HTTP, case-sensitive as RFC 9110 has them, and the bounds of a status.

use super::{Token, token_in, word_in};

/// How many methods there are.
pub const COUNT: usize = METHODS.len();
/// The smallest status that is kept.
pub const STATUS_MIN: i64 = 100;
/// The greatest status that is kept.
pub const STATUS_MAX: i64 = 599;

/// Returns the token of a method.
pub fn method(text: &[u8]) -> Option<Token> {
    token_in(METHODS, text)
}

/// Returns the method.
pub fn render(token: Token) -> &'static str {
    word_in(METHODS, token)
}

/// RFC 9110, with PATCH (RFC 5789); sorted.
const METHODS: &[&str] = &["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
