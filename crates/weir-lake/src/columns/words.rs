//! Words that no list has become dictionary arrays: a text is copied once a slice and not once a row.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::Int32Type;
use arrow::error::ArrowError;

use super::places::Places;

/// Makes a dictionary array: each different value is written once. The number of a null is 0, that of others may be.
pub(super) fn words<T: Copy>(
    values: &[T],
    nulls: Option<NullBuffer>,
    number: impl Fn(T) -> u64,
    write: impl Fn(T, &mut String),
) -> Result<ArrayRef, ArrowError> {
    let numbers = || values.iter().map(|value| number(*value));
    // Nobody looks at the key of a null, so that 0 needs no word unless it also stands for one.
    let is_word = |nulls: &NullBuffer| numbers().filter(|number| *number == 0).count() > nulls.null_count();
    let skips_zero = nulls.as_ref().is_some_and(|nulls| !is_word(nulls));
    let mut places = Places::for_values(values.len());
    if skips_zero {
        places.skip(0);
    }
    let mut words = Words::with_room_for(values.len().min(USUAL_WORDS));
    let find = |value: &T| {
        let place = places.find(number(*value));
        if place.is_new {
            words.add(|text| write(*value, text));
        }
        place.number
    };
    let keys: Vec<i32> = values.iter().map(find).collect();
    let keys = Int32Array::try_new(keys.into(), nulls)?;
    let texts = StringArray::try_new(OffsetBuffer::new(words.ends.into()), words.text.into_bytes().into(), None)?;
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(texts))?))
}

/// The words of a dictionary, one after the other.
struct Words {
    text: String,
    /// Where each ends, behind a 0.
    ends: Vec<i32>,
}

impl Words {
    /// Makes room for so many words.
    fn with_room_for(count: usize) -> Self {
        let mut ends = Vec::with_capacity(count + 1);
        ends.push(0);
        Self { text: String::with_capacity(count * USUAL_BYTES), ends }
    }

    /// Adds a word.
    #[cold]
    fn add(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        self.ends.push(i32::try_from(self.text.len()).expect("a slice has few rows, and words are short"));
    }
}

/// Nearly all words are shorter; others make the text grow.
const USUAL_BYTES: usize = 16;
/// Most slices have fewer; more make the text grow.
const USUAL_WORDS: usize = 64;
