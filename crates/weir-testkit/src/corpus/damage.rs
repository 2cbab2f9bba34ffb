//! What becomes of bytes on a bad day: cut off, overwritten, or not JSON in the first place.

use crate::random::Random;

/// Breaks a record; a few of the breaks leave it readable, as on real bad days.
pub(super) fn damage(value: &mut Vec<u8>, random: &mut Random) {
    let at = random.index(value.len());
    match random.below(18) {
        0..6 => value.truncate(at),
        6 => overwrite(value, at, 0xff),
        7 => overwrite(value, at, 0xc3),
        8 => overwrite(value, at, 0x07),
        9 => overwrite(value, at, b'"'),
        10 => overwrite(value, at, b'\\'),
        11 => overwrite(value, at, b','),
        12 => value.insert(at, b':'),
        13 => value.push(b'}'),
        14 if !value.is_empty() => drop(value.remove(at)),
        15 => value.splice(0..0, *b"\xef\xbb\xbf").for_each(drop),
        16 => *value = b"[1,2,3]".to_vec(),
        _ => *value = b"hello world".to_vec(),
    }
}

fn overwrite(value: &mut [u8], at: usize, byte: u8) {
    if let Some(place) = value.get_mut(at) {
        *place = byte;
    }
}
