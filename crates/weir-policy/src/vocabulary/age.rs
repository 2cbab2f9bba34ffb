//! Ages, stored as bands.

use super::Token;

/// Bands of age: each from its lower bound to the next one less a year, the last without end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeBands {
    bounds: Vec<u8>,
    texts: Vec<String>,
}

impl AgeBands {
    /// Returns the bands with these lower bounds, ascending; `None` if they are not, or empty, or above 130.
    pub fn new(bounds: Vec<u8>) -> Option<Self> {
        let ascending = bounds.is_sorted_by(|one, other| one < other);
        if !ascending || bounds.last().is_none_or(|last| *last > OLDEST) {
            return None;
        }
        let texts = (0..bounds.len())
            .map(|place| match bounds.get(place + 1) {
                Some(next) => format!("{}-{}", bounds[place], next - 1),
                None => format!("{}+", bounds[place]),
            })
            .collect();
        Some(Self { bounds, texts })
    }

    /// Returns the token of the band; `None` below the first band and above 130 years.
    pub fn token(&self, years: i64) -> Option<Token> {
        let years = u8::try_from(years).ok().filter(|years| *years <= OLDEST)?;
        let above = self.bounds.partition_point(|bound| *bound <= years);
        above.checked_sub(1).map(Token::at)
    }

    /// Returns the band as text: `18-24`, `65+`.
    pub fn render(&self, token: Token) -> &str {
        token.place().and_then(|place| self.texts.get(place)).map_or(Token::OTHER_TEXT, String::as_str)
    }

    /// Returns the lower bounds.
    pub fn bounds(&self) -> &[u8] {
        &self.bounds
    }
}

/// The bands that hold where a contract names none.
impl Default for AgeBands {
    fn default() -> Self {
        Self::new(vec![0, 13, 18, 25, 35, 45, 55, 65]).expect("the bounds ascend")
    }
}

/// Nobody is older; a number above is no age.
const OLDEST: u8 = 130;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_becomes_its_band() {
        let bands = AgeBands::new(vec![13, 18, 65]).expect("ascending");
        let read = |years| bands.token(years).map(|token| bands.render(token).to_owned());
        assert_eq!(
            [12, 13, 17, 18, 64, 65, 130, 131, -1].map(read),
            [
                None,
                Some("13-17".into()),
                Some("13-17".into()),
                Some("18-64".into()),
                Some("18-64".into()),
                Some("65+".into()),
                Some("65+".into()),
                None,
                None,
            ]
        );
        assert!(
            [vec![], vec![18, 18], vec![18, 13], vec![131]].into_iter().all(|bounds| AgeBands::new(bounds).is_none())
        );
    }
}
