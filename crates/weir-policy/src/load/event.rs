//! The table `[event]`: what the event is, and who answers for it.

use crate::diagnostic::{Diagnostic, Faults, Place};
use crate::reader::{Section, Table};
use crate::refused;

/// What `[event]` says. What was missing or faulty is empty; the fault is recorded.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) event_type: String,
    pub(super) version: u32,
    pub(super) description: String,
    pub(super) benefit: String,
    pub(super) owner: String,
    pub(super) review: String,
    pub(super) expires: i32,
    pub(super) subject: Subject,
    /// Where the version stands, or the table if it has none.
    pub(super) place: Place,
}

/// What `subject` says.
#[derive(Debug)]
pub(super) enum Subject {
    /// The path of the field that names the person.
    Field(String, Place),
    /// Nothing that could be read; the fault is recorded.
    Missing,
    /// `"none"`: the event is about nobody.
    Nobody(Place),
}

/// Reads `[event]`.
pub(super) fn read(table: &Table, faults: &Faults) -> Head {
    let mut event = Section::new(table, faults);
    let event_type = event.need_text("type", "the CloudEvents `type`, such as \"com.example.checkout.completed\"");
    let version = event.need("version", "the version of the contract, from 1");
    let description = prose("description", "what the event says, in a sentence", &mut event);
    let benefit = prose("benefit", "what the person gains from it, in a sentence", &mut event);
    let owner = prose("owner", "the team that answers for it", &mut event);
    let review = event.need_text("review", "the URL of the review that let it in");
    let expires = event.need("expires", "the last day on which it is collected, such as 2027-06-30");
    let subject = event.need_text("subject", "the path of the field that names the person, or \"none\"");
    event.finish();
    let sound = |text: Option<(&str, &Place)>, check: fn(&str, &Place, &Faults) -> bool| {
        text.filter(|(text, place)| check(text, place, faults)).map(|(text, _)| text.to_owned()).unwrap_or_default()
    };
    Head {
        event_type: sound(event_type, is_event_type),
        version: version.and_then(|node| node.whole_in(1..=u32::MAX, faults)).unwrap_or_default(),
        description,
        benefit,
        owner,
        review: sound(review, is_url),
        expires: expires.and_then(|node| node.day(faults)).unwrap_or_default(),
        subject: match subject {
            Some(("none", place)) => Subject::Nobody(place.clone()),
            Some((path, place)) => Subject::Field(path.to_owned(), place.clone()),
            None => Subject::Missing,
        },
        place: version.map_or(&table.place, |node| &node.place).clone(),
    }
}

/// Reads a text that people agree to, which may not speak of a use that is refused.
fn prose(key: &'static str, hint: &str, event: &mut Section<'_>) -> String {
    let text = event.need_text(key, hint).filter(|(text, place)| is_permitted(text, place, event.faults()));
    text.map(|(text, _)| text.to_owned()).unwrap_or_default()
}

/// Adds a fault if the text speaks of a use that is refused.
pub(super) fn is_permitted(text: &str, place: &Place, faults: &Faults) -> bool {
    let Some((words, refused)) = refused::words(text) else { return true };
    let fault = Diagnostic::error(
        &place.part(text, words),
        "refused_use",
        format!("this speaks of {refused}, which weir refuses by name"),
    );
    faults.add(fault.hint("collect for troubleshooting, reliability or personalization only, and say what for"));
    false
}

fn is_event_type(text: &str, place: &Place, faults: &Faults) -> bool {
    let allowed = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"._-".contains(&letter);
    let starts_well = text.starts_with(|letter: char| letter.is_ascii_lowercase());
    if !starts_well || text.len() > EVENT_TYPE_MAX || !text.bytes().all(allowed) {
        let fault = Diagnostic::error(place, "event_type", "not an event type that can name a table");
        faults.add(fault.hint("use a-z, 0-9, `.`, `_`, `-`, at most 128, starting with a letter"));
        return false;
    }
    is_permitted(text, place, faults)
}

fn is_url(text: &str, place: &Place, faults: &Faults) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_url = rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace));
    if !is_url {
        let fault = Diagnostic::error(place, "review", "not a URL");
        faults.add(fault.hint("link the review, such as \"https://reviews.example/341\""));
    }
    is_url
}

/// The type is a folder's name and, in `_coverage`, a value: long ones help nobody.
const EVENT_TYPE_MAX: usize = 128;
