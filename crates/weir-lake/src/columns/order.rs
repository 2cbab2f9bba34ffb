//! The order in which rows are written: by subject, then by event id.

use weir_filter::{Head, Pseudonym, Rows};
use weir_policy::Purpose;

/// Returns the places of the rows in the order in which they are written.
pub(super) fn order<P: Purpose>(rows: &Rows<P>) -> Vec<usize> {
    let mut order = sorted(rows.heads().iter().map(sketch).zip(0..).collect());
    // Sketches are alike where two events are, or by a chance of one in 2^127.
    for alike in order.chunk_by_mut(|(one, _), (other, _)| one == other).filter(|alike| alike.len() > 1) {
        alike.sort_unstable_by_key(|(_, row)| whole(&rows.heads()[*row]));
    }
    order.into_iter().map(|(_, row)| row).collect()
}

/// The first bits of what rows are ordered by, and the place of the row.
type Sketched = ([u64; 2], usize);

/// Returns the first bits of what a row is ordered by: enough of them, and little to move.
fn sketch<P: Purpose>(head: &Head<P>) -> [u64; 2] {
    let (subject, id) = whole(head);
    // Rows without a subject come first, in the order of their event ids alone.
    match subject {
        None => [upper_half(id) >> 1, 0],
        Some(subject) => [upper_half(subject) >> 1 | 1 << 63, upper_half(id)],
    }
}

fn whole<P: Purpose>(head: &Head<P>) -> (Option<u128>, u128) {
    let number = |pseudonym: Pseudonym<P>| u128::from_be_bytes(pseudonym.bytes());
    (head.subject().map(number), number(head.event_id()))
}

fn upper_half(number: u128) -> u64 {
    u64::try_from(number >> 64).expect("half of 128 bits")
}

/// Sorts by sketches, which are hashes: their first bits lay them out evenly, so that few are left to compare.
fn sorted(sketches: Vec<Sketched>) -> Vec<Sketched> {
    // Of twice as many parts as rows half stay empty: nearly always the first bit is set.
    let bits = (2 * sketches.len().max(1)).next_power_of_two().trailing_zeros();
    let part = |sketch: &[u64; 2]| usize::try_from(sketch[0] >> (u64::BITS - bits)).expect("few bits are left");
    let mut ends = vec![0; (1 << bits) + 1];
    for (sketch, _) in &sketches {
        ends[part(sketch) + 1] += 1;
    }
    let mut end = 0;
    for place in &mut ends {
        end += *place;
        *place = end;
    }
    let mut sorted = vec![([0; 2], 0); sketches.len()];
    for sketched in sketches {
        // Where the part starts, and in the end where it ends.
        let place = &mut ends[part(&sketched.0)];
        sorted[*place] = sketched;
        *place += 1;
    }
    let mut start = 0;
    for end in ends {
        if end > start + 1 {
            sorted[start..end].sort_unstable_by_key(|(sketch, _)| *sketch);
        }
        start = end;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sketches_are_sorted_whether_even_or_not() {
        for count in [0_u64, 1, 2, 3, 1_000] {
            for factor in [0, 1, 0x9E37_79B9_7F4A_7C15] {
                let sketches: Vec<_> = (0..count).map(|n| [n.wrapping_mul(factor), n ^ 0x55]).zip(0..).collect();
                let mut want = sketches.clone();
                want.sort_unstable();
                assert!(sorted(sketches) == want);
            }
        }
    }
}
