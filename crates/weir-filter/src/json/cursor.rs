//! A walk over the tokens of one text, each of them checked.
//!
//! The index has already found where strings end; the cursor goes from token to token and holds the grammar: which byte
//! may follow which. Its functions are leaves of the hot path and small on purpose.

use super::escape::check_escapes;
use super::index::{Index, usize_of};
use super::number::Number;

/// The text is not JSON as RFC 8259 defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// Where a string's characters are, quotes left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether a backslash is among them; its escapes are valid.
    pub(crate) escaped: bool,
}

/// An object or array that a skip has entered.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    is_object: bool,
    items: usize,
}

/// What a walk has counted, for the limits.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sizes {
    /// Members of all objects.
    pub(crate) members: usize,
    /// Items of the longest array.
    pub(crate) items: usize,
}

/// A place in a text and its index.
pub(crate) struct Cursor<'t> {
    text: &'t [u8],
    index: &'t Index,
    marks: &'t [u32],
    position: usize,
    mark: usize,
    pub(crate) sizes: Sizes,
}

impl<'t> Cursor<'t> {
    /// Starts at the beginning of a text that `index` has read.
    pub(crate) fn new(text: &'t [u8], index: &'t Index) -> Self {
        Self { text, index, marks: index.marks(), position: 0, mark: 0, sizes: Sizes::default() }
    }

    /// Goes to a place that [`place`](Self::place) gave.
    pub(crate) fn go_to(&mut self, place: (usize, usize)) {
        (self.position, self.mark) = place;
    }

    /// Returns the place to come back to.
    pub(crate) fn place(&self) -> (usize, usize) {
        (self.position, self.mark)
    }

    /// Returns the bytes of a string as they stand.
    pub(crate) fn bytes(&self, text: Text) -> &'t [u8] {
        &self.text[text.start..text.end]
    }

    /// Returns the whole text.
    pub(crate) fn text(&self) -> &'t [u8] {
        self.text
    }

    /// Skips white space; returns the next byte, 0 at the end.
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        let byte = self.byte();
        if byte > b' ' || byte == 0 { byte } else { self.peek_after_space() }
    }

    fn peek_after_space(&mut self) -> u8 {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.position += 1;
        }
        self.byte()
    }

    /// Enters the object or array at hand; false if it is empty, and then it is left again.
    #[inline]
    pub(crate) fn enter(&mut self, close: u8) -> Result<bool, NotJson> {
        self.bracket()?;
        if self.peek() != close {
            return Ok(true);
        }
        self.bracket()?;
        Ok(false)
    }

    /// Goes to the next member or item; false if `close` ends the object or array.
    #[inline]
    pub(crate) fn next(&mut self, close: u8) -> Result<bool, NotJson> {
        let byte = self.peek();
        if byte == b',' {
            self.position += 1;
            return Ok(true);
        }
        if byte != close {
            return Err(NotJson);
        }
        self.bracket()?;
        Ok(false)
    }

    /// Reads a member's key and its colon.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Text, NotJson> {
        if self.peek() != b'"' {
            return Err(NotJson);
        }
        let key = self.string()?;
        if self.peek() != b':' {
            return Err(NotJson);
        }
        self.position += 1;
        self.sizes.members += 1;
        Ok(key)
    }

    /// Reads the string at hand, whose quote was seen.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Text, NotJson> {
        self.meet()?;
        let (start, end) = (self.position + 1, usize_of(self.marks[self.mark]));
        self.mark += 1;
        self.position = end + 1;
        let escaped = self.index.has_escape(start, end);
        if escaped {
            check_escapes(&self.text[start..end])?;
        }
        Ok(Text { start, end, escaped })
    }

    /// Reads the number at hand.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Number, NotJson> {
        let (number, end) = Number::read(self.text, self.position)?;
        self.position = end;
        Ok(number)
    }

    /// Reads `true`, `false` or `null`, of which the first letter was seen.
    #[inline]
    pub(crate) fn literal(&mut self, word: &[u8]) -> Result<(), NotJson> {
        let end = self.position + word.len();
        if self.text.get(self.position..end) != Some(word) {
            return Err(NotJson);
        }
        self.position = end;
        Ok(())
    }

    /// Reads any value and forgets it.
    #[inline]
    pub(crate) fn skip(&mut self, frames: &mut Vec<Frame>) -> Result<(), NotJson> {
        match self.peek() {
            b'{' | b'[' => self.skip_nested(frames),
            _ => self.skip_scalar(),
        }
    }

    #[inline]
    fn skip_scalar(&mut self) -> Result<(), NotJson> {
        match self.peek() {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => Err(NotJson),
        }
    }

    /// Skips an object or array with a stack of its own: nesting is as deep as whoever wrote the record wants.
    fn skip_nested(&mut self, frames: &mut Vec<Frame>) -> Result<(), NotJson> {
        frames.clear();
        loop {
            let entered = match self.peek() {
                b'{' => self.enter(b'}')?.then_some(Frame { is_object: true, items: 0 }),
                b'[' => self.enter(b']')?.then_some(Frame { is_object: false, items: 0 }),
                _ => {
                    self.skip_scalar()?;
                    None
                }
            };
            match entered {
                Some(frame) => frames.push(frame),
                None if !self.climb(frames)? => return Ok(()),
                None => {}
            }
            if let Some(Frame { is_object: true, .. }) = frames.last() {
                self.key()?;
            }
        }
    }

    /// Ends a value: leaves what it was the last of; false if nothing is left around it.
    fn climb(&mut self, frames: &mut Vec<Frame>) -> Result<bool, NotJson> {
        while let Some(frame) = frames.last_mut() {
            frame.items += 1;
            let close = if frame.is_object { b'}' } else { b']' };
            if self.next(close)? {
                return Ok(true);
            }
            if !frame.is_object {
                self.sizes.items = self.sizes.items.max(frame.items);
            }
            frames.pop();
        }
        Ok(false)
    }

    /// Jumps over the object or array at hand without looking inside; returns false for any other value.
    pub(crate) fn hop(&mut self) -> Result<bool, NotJson> {
        if !matches!(self.peek(), b'{' | b'[') {
            return Ok(false);
        }
        let close = self.index.close_of(self.text, self.mark).ok_or(NotJson)?;
        self.position = usize_of(self.marks[close]) + 1;
        self.mark = close + 1;
        Ok(true)
    }

    /// Checks that nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), NotJson> {
        self.peek();
        if self.position == self.text.len() { Ok(()) } else { Err(NotJson) }
    }

    /// Checks that a value ended where hopping over it said.
    pub(crate) fn ended_at(&self, position: usize) -> Result<(), NotJson> {
        if self.position == position { Ok(()) } else { Err(NotJson) }
    }

    #[inline]
    fn byte(&self) -> u8 {
        // A NUL is no token, so that it can stand for the end.
        self.text.get(self.position).copied().unwrap_or(0)
    }

    #[inline]
    fn bracket(&mut self) -> Result<(), NotJson> {
        self.meet()?;
        self.position += 1;
        Ok(())
    }

    /// Takes the mark of the byte at hand: every quote and bracket of valid JSON is met in order.
    #[inline]
    fn meet(&mut self) -> Result<(), NotJson> {
        let mark = self.marks[self.mark];
        self.mark += 1;
        if usize_of(mark) == self.position { Ok(()) } else { Err(NotJson) }
    }
}
