//! How a number is coarsened before it is stored, so that rows of two purposes cannot be matched by it.

use std::sync::Arc;

/// How a number is coarsened for one purpose.
///
/// Whole numbers are taken as they are stored: decimals at their scale, durations in µs.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Coarsen {
    /// Lower bounds, ascending: a value becomes the greatest that is not above it.
    Buckets(Arc<[i128]>),
    /// The value is stored as it came.
    #[default]
    Exact,
    /// Lower bounds of a `float64`, ascending.
    FloatBuckets(Arc<[f64]>),
    /// A step of a `float64`: rounded down to a multiple.
    FloatMultiple(f64),
    /// A step: rounded down to a multiple, towards −∞.
    Multiple(i128),
}

/// A way to coarsen the numbers of a type.
#[derive(Clone, Debug, PartialEq)]
pub struct Coarser {
    pub(crate) coarsen: Coarsen,
    /// What whole numbers of the type lie between.
    pub(crate) bounds: Option<(i128, i128)>,
}

impl Coarser {
    /// Returns the coarsened value of a whole number; `None` below the first bucket, and where rounding down takes one of the least
    /// numbers out of its type (both counted as out of range).
    pub fn whole(&self, value: i128) -> Option<i128> {
        self.coarsen.whole(value).filter(|value| self.is_of_type(*value))
    }

    /// Returns the coarsened value of a `float64`; `None` below the first bucket (counted as out of range).
    pub fn float(&self, value: f64) -> Option<f64> {
        self.coarsen.float(value)
    }

    pub(crate) fn is_of_type(&self, value: i128) -> bool {
        self.bounds.is_none_or(|(min, max)| min <= value && value <= max)
    }
}

impl Coarsen {
    /// Returns the coarsened value of a whole number; `None` below the first bucket (counted as out of range).
    pub fn whole(&self, value: i128) -> Option<i128> {
        match self {
            Self::Exact | Self::FloatBuckets(_) | Self::FloatMultiple(_) => Some(value),
            Self::Multiple(step) => match (i64::try_from(value), i64::try_from(*step)) {
                // The division of the machine, where the numbers fit: many times quicker than that of `i128`.
                (Ok(small), Ok(step)) => value.checked_sub(small.rem_euclid(step).into()),
                (_, _) => value.checked_sub(value.rem_euclid(*step)),
            },
            Self::Buckets(bounds) => {
                let above = bounds.partition_point(|bound| *bound <= value);
                above.checked_sub(1).map(|place| bounds[place])
            }
        }
    }

    /// Returns the coarsened value of a `float64`; `None` below the first bucket (counted as out of range).
    pub fn float(&self, value: f64) -> Option<f64> {
        match self {
            Self::Exact | Self::Buckets(_) | Self::Multiple(_) => Some(value),
            Self::FloatMultiple(step) => {
                let rounded = (value / step).floor() * step;
                rounded.is_finite().then_some(rounded + 0.0)
            }
            Self::FloatBuckets(bounds) => {
                let above = bounds.partition_point(|bound| *bound <= value);
                above.checked_sub(1).map(|place| bounds[place])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_down_even_below_zero() {
        let step = Coarsen::Multiple(50);
        assert_eq!(
            [-51, -50, -1, 0, 49, 50, 99].map(|value| step.whole(value)),
            [-100, -50, -50, 0, 0, 50, 50].map(Some)
        );
        let large = i128::from(i64::MAX) + 8;
        assert_eq!(Coarsen::Multiple(10).whole(large), Some(large - 5));
        assert_eq!(Coarsen::FloatMultiple(0.25).float(-0.1), Some(-0.25));
        assert_eq!(Coarsen::FloatMultiple(0.25).float(0.1).map(f64::to_bits), Some(0));
    }

    #[test]
    fn a_bucket_is_its_lower_bound_and_below_the_first_is_none() {
        let buckets = Coarsen::Buckets([0, 10, 100].into());
        assert_eq!(
            [-1, 0, 9, 10, 99, 100, i128::MAX].map(|value| buckets.whole(value)),
            [None, Some(0), Some(0), Some(10), Some(10), Some(100), Some(100),]
        );
        assert_eq!(Coarsen::FloatBuckets([0.5, 1.0].into()).float(0.75), Some(0.5));
        assert_eq!(Coarsen::FloatBuckets([0.5, 1.0].into()).float(0.25), None);
    }
}
