//! A walk over the tokens of one text, each of them checked.
//!
//! The index has already found where strings end; the cursor goes from token to token and holds the grammar: which byte
//! may follow which. It is small and copied freely: what is done for every token is inlined, so that a loop over members
//! keeps its place in registers, and what is rare takes a copy and returns it.

use super::escape::check_escapes;
use super::index::{Index, usize_of};
use super::number::{Number, Short};

/// The text is not JSON as RFC 8259 defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// Where a string's characters are, quotes left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Whether a backslash is among them; its escapes are valid.
    pub(crate) escaped: bool,
}

/// Where in objects and arrays a walk is, and what it has counted, for the limits.
#[derive(Default)]
pub(crate) struct Nesting {
    depth: usize,
    pub(crate) deepest: usize,
    /// Members of all objects.
    pub(crate) members: usize,
    /// Items of the longest array.
    pub(crate) items: usize,
    /// The objects and arrays that a skip has entered.
    frames: Vec<Frame>,
}

#[derive(Clone, Copy)]
struct Frame {
    is_object: bool,
    items: usize,
}

impl Nesting {
    /// Forgets the last record.
    pub(crate) fn clear(&mut self) {
        *self = Self { frames: std::mem::take(&mut self.frames), ..Self::default() };
    }

    #[inline]
    pub(crate) fn enter(&mut self) {
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
    }

    #[inline]
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// A place in a text and its index.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'t> {
    text: &'t [u8],
    index: &'t Index,
    /// The marks that were not met yet.
    marks: &'t [u32],
    position: usize,
    /// No backslash that is still ahead comes before this.
    escape: u32,
}

impl<'t> Cursor<'t> {
    /// Starts at the beginning of a text that `index` has read.
    pub(crate) fn new(text: &'t [u8], index: &'t Index) -> Self {
        Self { text, index, marks: index.marks(), position: 0, escape: 0 }
    }

    /// Goes to the object or array before whose bracket so many marks were [left](Self::left).
    #[inline(always)]
    pub(crate) fn go_to(&mut self, left: usize) {
        let marks = self.index.marks();
        let at = marks.len() - left;
        (self.position, self.marks) = (usize_of(marks[at]), &marks[at..]);
    }

    /// Goes back to where an object or array was seen.
    pub(crate) fn go_back_to(&mut self, left: usize) {
        self.go_to(left);
        self.escape = 0;
    }

    /// Learns from a cursor that has read what this one is about to pass over, or to read, where no backslash is.
    #[inline(always)]
    pub(crate) fn learn(&mut self, other: &Cursor<'_>) {
        self.escape = other.escape;
    }

    /// Passes over the object or array at hand without a look at it, but for where it ends.
    pub(crate) fn hop(&mut self) -> Result<(), NotJson> {
        let mut depth = 0_usize;
        while let Some((mark, rest)) = self.marks.split_first() {
            match self.text.get(usize_of(*mark)) {
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => depth = depth.checked_sub(1).ok_or(NotJson)?,
                Some(_) => {}
                None => return Err(NotJson),
            }
            self.marks = rest;
            if depth == 0 {
                self.position = usize_of(*mark) + 1;
                return Ok(());
            }
        }
        Err(NotJson)
    }

    /// Goes behind the object or array after whose last bracket so many marks were left.
    #[inline(always)]
    pub(crate) fn go_behind(&mut self, left: usize) {
        let marks = self.index.marks();
        let at = marks.len() - left;
        (self.position, self.marks) = (usize_of(marks[at - 1]) + 1, &marks[at..]);
    }

    /// Returns how many marks are left, that of an object or array at hand among them.
    #[inline(always)]
    pub(crate) fn left(&self) -> usize {
        self.marks.len()
    }

    /// Returns how many bytes were read.
    #[inline(always)]
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Returns the bytes of a string as they stand.
    pub(crate) fn bytes(&self, text: Text) -> &'t [u8] {
        &self.text[usize_of(text.start)..usize_of(text.end)]
    }

    /// Returns the whole text.
    #[inline(always)]
    pub(crate) fn text(&self) -> &'t [u8] {
        self.text
    }

    /// Skips white space; returns the next byte, 0 at the end.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> u8 {
        if let Some(byte) = self.text.get(self.position)
            && *byte > b' '
        {
            return *byte;
        }
        self.position = after_space(self.text, self.position);
        // A NUL is no token, so that it can stand for the end.
        self.text.get(self.position).copied().unwrap_or(0)
    }

    /// Skips white space; tells whether this byte is next.
    #[inline(always)]
    fn is_at(&mut self, byte: u8) -> bool {
        if self.text.get(self.position) == Some(&byte) {
            return true;
        }
        self.position = after_space(self.text, self.position);
        self.text.get(self.position) == Some(&byte)
    }

    /// Enters the object or array at hand; false if it is empty, and then it is left again.
    #[inline(always)]
    pub(crate) fn enter(&mut self, close: u8) -> Result<bool, NotJson> {
        self.bracket()?;
        if self.peek() != close {
            return Ok(true);
        }
        self.bracket()?;
        Ok(false)
    }

    /// Goes to the next member or item; false if `close` ends the object or array.
    #[inline(always)]
    pub(crate) fn next(&mut self, close: u8) -> Result<bool, NotJson> {
        if self.text.get(self.position) == Some(&b',') {
            self.position += 1;
            return Ok(true);
        }
        if self.is_at(close) {
            self.bracket()?;
            return Ok(false);
        }
        // The comma may come after white space.
        if self.text.get(self.position) != Some(&b',') {
            return Err(NotJson);
        }
        self.position += 1;
        Ok(true)
    }

    /// Reads a member's key and its colon.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Result<Text, NotJson> {
        if !self.is_at(b'"') {
            return Err(NotJson);
        }
        let key = self.string()?;
        if !self.is_at(b':') {
            return Err(NotJson);
        }
        self.position += 1;
        Ok(key)
    }

    /// Reads the string at hand, whose quote was seen.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Result<Text, NotJson> {
        // Every quote and bracket of valid JSON is met in order.
        let [quote, end, rest @ ..] = self.marks else { return Err(NotJson) };
        if usize_of(*quote) != self.position {
            return Err(NotJson);
        }
        let (start, end) = (*quote + 1, *end);
        (self.position, self.marks) = (usize_of(end) + 1, rest);
        let mut escaped = false;
        if self.escape < end {
            self.escape = self.index.next_escape(start);
            if self.escape < end {
                escaped = true;
                check_escapes(&self.text[usize_of(start)..usize_of(end)])?;
            }
        }
        Ok(Text { start, end, escaped })
    }

    /// Reads the number at hand.
    #[inline(always)]
    pub(crate) fn number(&mut self) -> Result<Number, NotJson> {
        let number = Number::read(self.text, self.position)?;
        self.position = number.range().end;
        Ok(number)
    }

    /// Reads the number at hand, if it is a short one: a digit was seen.
    #[inline(always)]
    pub(crate) fn short(&mut self) -> Option<Short> {
        let short = Short::read(self.text, self.position)?;
        self.position = short.end();
        Some(short)
    }

    /// Reads the number at hand, if it is a short one without a point: a digit was seen.
    #[inline(always)]
    pub(crate) fn short_whole(&mut self) -> Option<i64> {
        let short = Short::read(self.text, self.position)?;
        let whole = short.whole()?;
        self.position = short.end();
        Some(whole)
    }

    /// Reads `true`, `false` or `null`, of which the first letter was seen.
    #[inline(always)]
    pub(crate) fn literal<const N: usize>(&mut self, word: &[u8; N]) -> Result<(), NotJson> {
        if self.text.get(self.position..).and_then(|rest| rest.first_chunk()) != Some(word) {
            return Err(NotJson);
        }
        self.position += N;
        Ok(())
    }

    /// Reads any value and forgets it.
    #[inline(always)]
    pub(crate) fn skip(&mut self, nesting: &mut Nesting) -> Result<(), NotJson> {
        match self.peek() {
            b'{' | b'[' => {
                let left = skip_nested(*self, nesting)?;
                self.go_behind(left);
                Ok(())
            }
            first => self.skip_scalar(first),
        }
    }

    #[inline(always)]
    fn skip_scalar(&mut self, first: u8) -> Result<(), NotJson> {
        match first {
            b'"' => self.string().map(drop),
            b'0'..=b'9' if self.short().is_some() => Ok(()),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => Err(NotJson),
        }
    }

    /// Checks that nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), NotJson> {
        self.peek();
        if self.position == self.text.len() { Ok(()) } else { Err(NotJson) }
    }

    #[inline(always)]
    fn bracket(&mut self) -> Result<(), NotJson> {
        let (mark, rest) = self.marks.split_first().ok_or(NotJson)?;
        if usize_of(*mark) != self.position {
            return Err(NotJson);
        }
        (self.position, self.marks) = (self.position + 1, rest);
        Ok(())
    }
}

/// Returns the position of the next byte that is no white space.
#[inline(never)]
fn after_space(text: &[u8], mut position: usize) -> usize {
    while matches!(text.get(position), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        position += 1;
    }
    position
}

/// Skips an object or array with a stack of its own: nesting is as deep as whoever wrote the record wants.
///
/// Returns how many marks are left behind it.
fn skip_nested(mut cursor: Cursor<'_>, nesting: &mut Nesting) -> Result<usize, NotJson> {
    nesting.frames.clear();
    loop {
        let first = cursor.peek();
        let is_open = match first {
            b'{' => cursor.enter(b'}')?,
            b'[' => cursor.enter(b']')?,
            first => {
                cursor.skip_scalar(first)?;
                false
            }
        };
        if matches!(first, b'{' | b'[') {
            nesting.enter();
            if is_open {
                nesting.frames.push(Frame { is_object: first == b'{', items: 0 });
            } else {
                nesting.leave();
            }
        }
        if !is_open && !climb(&mut cursor, nesting)? {
            return Ok(cursor.left());
        }
        if let Some(Frame { is_object: true, .. }) = nesting.frames.last() {
            cursor.key()?;
            nesting.members += 1;
        }
    }
}

/// Ends a value: leaves what it was the last of; false if nothing is left around it.
#[inline(always)]
fn climb(cursor: &mut Cursor<'_>, nesting: &mut Nesting) -> Result<bool, NotJson> {
    while let Some(frame) = nesting.frames.last_mut() {
        frame.items += 1;
        let Frame { is_object, items } = *frame;
        if cursor.next(if is_object { b'}' } else { b']' })? {
            return Ok(true);
        }
        if !is_object {
            nesting.items = nesting.items.max(items);
        }
        nesting.frames.pop();
        nesting.leave();
    }
    Ok(false)
}
