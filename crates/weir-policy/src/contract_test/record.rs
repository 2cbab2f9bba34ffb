//! An event of CloudEvents in structured mode, around the data of a case.

use std::fmt::Write as _;

/// The attributes of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'c> {
    pub(super) id: &'c str,
    pub(super) event_type: &'c str,
    pub(super) tenant: &'c str,
    pub(super) contractversion: Option<&'c str>,
    pub(super) purposes: Option<&'c str>,
    pub(super) secgpc: Option<&'c str>,
    pub(super) time: &'c str,
}

/// Returns the event as JSON text; `data` is put in as it stands.
pub(super) fn cloud_event(envelope: &Envelope<'_>, data: &str) -> String {
    let mut json = String::from("{\"specversion\":\"1.0\",\"source\":\"/contract-test\"");
    for (key, value) in [
        ("id", Some(envelope.id)),
        ("type", Some(envelope.event_type)),
        ("time", Some(envelope.time)),
        ("tenant", Some(envelope.tenant)),
        ("contractversion", envelope.contractversion),
        ("purposes", envelope.purposes),
        ("secgpc", envelope.secgpc),
        ("datacontenttype", Some("application/json")),
    ] {
        if let Some(value) = value {
            write!(json, ",\"{key}\":").expect("a String takes all");
            quote(value, &mut json);
        }
    }
    write!(json, ",\"data\":{data}}}").expect("a String takes all");
    json
}

fn quote(text: &str, json: &mut String) {
    json.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => json.extend(['\\', letter]),
            control if control.is_control() => {
                write!(json, "\\u{:04x}", u32::from(control)).expect("a String takes all");
            }
            letter => json.push(letter),
        }
    }
    json.push('"');
}
