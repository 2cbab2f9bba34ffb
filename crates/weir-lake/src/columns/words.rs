//! Words become dictionary arrays: a text is copied once a slice and not once a row.

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
    let most = usize::try_from(numbers().max().unwrap_or_default()).unwrap_or(usize::MAX);
    let mut words = Words::with_room_for(values.len().min(most.saturating_add(1)));
    let keys: Vec<i32> = if most < SMALL {
        let mut places = vec![FREE; most + 1];
        places[0] = if skips_zero { 0 } else { FREE };
        let find = |value: &T| {
            let place = &mut places[usize::try_from(number(*value)).expect("a number is at most the greatest")];
            if *place == FREE {
                *place = words.add(|text| write(*value, text));
            }
            *place
        };
        values.iter().map(find).collect()
    } else {
        let mut places = Places::for_values(values.len());
        if skips_zero {
            places.skip(0);
        }
        let find = |value: &T| {
            let place = places.find(number(*value));
            if place.is_new {
                words.add(|text| write(*value, text));
            }
            place.number
        };
        values.iter().map(find).collect()
    };
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

    /// Adds a word, and returns its place.
    #[cold]
    fn add(&mut self, write: impl FnOnce(&mut String)) -> i32 {
        let place = i32::try_from(self.ends.len() - 1).expect("a slice has few rows");
        write(&mut self.text);
        self.ends.push(i32::try_from(self.text.len()).expect("a slice has few rows, and words are short"));
        place
    }
}

/// Nearly all words are shorter; others make the text grow.
const USUAL_BYTES: usize = 16;
/// Stands for the place of a number that did not come yet.
const FREE: i32 = -1;
/// Numbers below are places of a table, as those of all lists that people write are; it takes a quarter of a core's first cache.
const SMALL: usize = 2048;
