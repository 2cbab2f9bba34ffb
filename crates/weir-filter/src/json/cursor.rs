//! A walk over the tokens of one text, each of them checked.
//!
//! The index has already found where strings end; the cursor goes from token to token and holds the grammar: which byte
//! may follow which. It is small and copied freely: what is done for every token is inlined, so that a loop over members
//! keeps its place in registers, and what is rare takes a copy and returns it.

use super::escape::escape_length;
use super::index::{small, usize_of};
use super::number::{Number, Short};
use super::text::{END, Marked, Piece};

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
    /// As many items of an array are kept; a record with more is refused when it is read.
    pub(crate) most_items: usize,
    /// The objects and arrays that a skip has entered.
    frames: Vec<Frame>,
}

#[derive(Clone, Copy)]
struct Frame {
    is_object: bool,
    items: usize,
}

impl Nesting {
    /// Keeps so many items of an array.
    pub(crate) fn keeping(most_items: usize) -> Self {
        Self { most_items, ..Self::default() }
    }

    /// Forgets the last record.
    pub(crate) fn clear(&mut self) {
        *self = Self { frames: std::mem::take(&mut self.frames), most_items: self.most_items, ..Self::default() };
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

/// A place in a marked text.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<M> {
    text: M,
    /// How many marks were met.
    met: usize,
    position: usize,
    /// No backslash that is still ahead comes before this.
    escape: u32,
}

impl<M: Marked> Cursor<M> {
    /// Starts at the beginning of a text.
    pub(crate) fn new(text: M) -> Self {
        Self { text, met: 0, position: 0, escape: 0 }
    }

    /// Goes to the object or array before whose bracket so many marks were [met](Self::met).
    #[inline(always)]
    pub(crate) fn go_to(&mut self, met: usize) {
        (self.position, self.met) = (usize_of(self.text.mark(met)), met);
    }

    /// Goes back to where an object or array was seen.
    pub(crate) fn go_back_to(&mut self, met: usize) {
        self.go_to(met);
        self.escape = 0;
    }

    /// Learns from a cursor that has read what this one is about to pass over, or to read, where no backslash is.
    #[inline(always)]
    pub(crate) fn learn(&mut self, other: &Self) {
        self.escape = other.escape;
    }

    /// Passes over the object or array at hand without a look at it, but for where it ends.
    pub(crate) fn hop(&mut self) -> Result<(), NotJson> {
        let mut depth = 0_usize;
        loop {
            let mark = self.text.mark(self.met);
            if mark == END {
                return Err(NotJson);
            }
            match self.text.byte(usize_of(mark)) {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1).ok_or(NotJson)?,
                _ => {}
            }
            self.met += 1;
            if depth == 0 {
                self.position = usize_of(mark) + 1;
                return Ok(());
            }
        }
    }

    /// Goes behind the object or array after whose last bracket so many marks were met.
    #[inline(always)]
    pub(crate) fn go_behind(&mut self, met: usize) {
        (self.position, self.met) = (usize_of(self.text.mark(met - 1)) + 1, met);
    }

    /// Returns how many marks were met, that of an object or array at hand not among them.
    #[inline(always)]
    pub(crate) fn met(&self) -> usize {
        self.met
    }

    /// Returns how many bytes were read.
    #[inline(always)]
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Returns the bytes of a string as they stand.
    pub(crate) fn bytes(&self, text: Text) -> &[u8] {
        &self.text.all()[usize_of(text.start)..usize_of(text.end)]
    }

    /// Returns a string as a piece of the text.
    #[inline(always)]
    pub(crate) fn piece(&self, text: Text) -> Piece<M> {
        Piece { text: self.text, start: usize_of(text.start), end: usize_of(text.end) }
    }

    /// Returns the whole text.
    pub(crate) fn all(&self) -> &[u8] {
        self.text.all()
    }

    /// Skips white space; returns the next byte, 0 at the end.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> u8 {
        let byte = self.text.byte(self.position);
        if byte > b' ' {
            return byte;
        }
        self.position = after_space(self.text, self.position);
        self.text.byte(self.position)
    }

    /// Skips white space; tells whether this byte is next.
    #[inline(always)]
    fn is_at(&mut self, byte: u8) -> bool {
        if self.text.byte(self.position) == byte {
            return true;
        }
        self.position = after_space(self.text, self.position);
        self.text.byte(self.position) == byte
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
        if self.text.byte(self.position) == b',' {
            self.position += 1;
            return Ok(true);
        }
        if self.is_at(close) {
            self.bracket()?;
            return Ok(false);
        }
        // The comma may come after white space.
        if self.text.byte(self.position) != b',' {
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
        // Every quote and bracket of valid JSON is met in order, and the index has seen to it that every string ends.
        let (quote, end) = (self.text.mark(self.met), self.text.mark(self.met + 1));
        if usize_of(quote) != self.position {
            return Err(NotJson);
        }
        let start = quote + 1;
        (self.position, self.met) = (usize_of(end) + 1, self.met + 2);
        let mut escaped = false;
        if self.escape < end {
            self.escape = self.text.next_escape(start);
            if self.escape < end {
                escaped = true;
                check_escapes(self.text, self.escape, end)?;
            }
        }
        Ok(Text { start, end, escaped })
    }

    /// Reads the number at hand.
    #[inline(always)]
    pub(crate) fn number(&mut self) -> Result<Number, NotJson> {
        let number = Number::read(self.text.all(), self.position)?;
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
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(word);
        let others = self.text.eight(self.position) ^ u64::from_le_bytes(bytes);
        if others << (64 - 8 * N) != 0 {
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
                let met = skip_nested(*self, nesting)?;
                self.go_behind(met);
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
        if self.position == self.text.all().len() { Ok(()) } else { Err(NotJson) }
    }

    #[inline(always)]
    fn bracket(&mut self) -> Result<(), NotJson> {
        if usize_of(self.text.mark(self.met)) != self.position {
            return Err(NotJson);
        }
        (self.position, self.met) = (self.position + 1, self.met + 1);
        Ok(())
    }
}

/// Checks the escapes of the string that ends at `end`, from its first backslash on.
///
/// The grammar lets an escape name half a surrogate pair, so that is no fault here; it only is no text.
#[inline(never)]
fn check_escapes<M: Marked>(text: M, first: u32, end: u32) -> Result<(), NotJson> {
    let (mut at, string) = (first, &text.all()[..usize_of(end)]);
    while at < end {
        let after = usize_of(at) + 1;
        at = text.next_escape(small(after + escape_length(&string[after..])?));
    }
    Ok(())
}

/// Returns the position of the next byte that is no white space.
#[inline(never)]
fn after_space<M: Marked>(text: M, mut position: usize) -> usize {
    while matches!(text.byte(position), b' ' | b'\t' | b'\n' | b'\r') {
        position += 1;
    }
    position
}

/// Skips an object or array with a stack of its own: nesting is as deep as whoever wrote the record wants.
///
/// Returns how many marks were met then.
fn skip_nested<M: Marked>(mut cursor: Cursor<M>, nesting: &mut Nesting) -> Result<usize, NotJson> {
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
            return Ok(cursor.met());
        }
        if let Some(Frame { is_object: true, .. }) = nesting.frames.last() {
            cursor.key()?;
            nesting.members += 1;
        }
    }
}

/// Ends a value: leaves what it was the last of; false if nothing is left around it.
#[inline(always)]
fn climb<M: Marked>(cursor: &mut Cursor<M>, nesting: &mut Nesting) -> Result<bool, NotJson> {
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
