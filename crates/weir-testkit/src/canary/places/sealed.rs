//! Markers in sealed events: in data that opens, in data that is broken inside, and in seals that do not open.

use serde_json::{Value, json};

use super::{BREAKS, Garden, plausible};
use crate::canary::seal::SealingKey;
use crate::corpus::shape::Shape;

impl Garden {
    /// All of it, for one contract.
    pub(super) fn plant_sealed(&mut self, shape: &Shape) {
        self.plant_opened(shape);
        self.plant_broken_inside(shape);
        self.plant_headers(shape);
        self.plant_other_keys(shape);
    }

    /// Every field and what stands beside the fields is a marker; the event has a row.
    fn plant_opened(&mut self, shape: &Shape) {
        for in_binary_mode in [false, true] {
            let subject = self.subject(shape);
            let mut data = self.filled(shape, &subject, |canaries, field| {
                json!(canaries.marker(format!("sealed {} {}", shape.event_type, field.path)))
            });
            let place = format!("sealed {} undeclared", shape.event_type);
            let key = self.canaries.marker(format!("{place}, key"));
            data[key] = json!({ "deep": [self.canaries.marker(format!("{place}, text"))] });
            self.sealed_event(shape, in_binary_mode, data.to_string().as_bytes(), &[]);
            self.opens.push(self.records.len() - 1);
        }
    }

    /// The seal is sound, and what comes out of it cannot be read.
    fn plant_broken_inside(&mut self, shape: &Shape) {
        for (number, damage) in BREAKS.into_iter().enumerate() {
            let data = self.closed_data(shape, &format!("broken inside {number}"));
            let mut data = data.to_string().into_bytes();
            damage(&mut data);
            self.sealed_event(shape, number % 2 == 0, &data, &[]);
        }
    }

    /// Headers of another form, for another event, for a key that nobody has: whoever holds the record can read them.
    fn plant_headers(&mut self, shape: &Shape) {
        for member in ["alg", "apu", "enc", "kid", "zip", "ce.id", "ce.tenant", "ce.extension"] {
            let marker = self.canaries.marker(format!("{} header of a seal, {member}", shape.event_type));
            let data = self.closed_data(shape, &format!("under a header with another {member}"));
            self.sealed_event(shape, member.len() > 4, data.to_string().as_bytes(), &[(member, &marker)]);
        }
    }

    /// Sealed to a key that is not weir's, under the name of weir's; and text where sealed data belongs.
    fn plant_other_keys(&mut self, shape: &Shape) {
        let known = self.key.clone();
        self.key = SealingKey::of_nobody(&known.kid);
        let data = self.closed_data(shape, "to another key");
        self.sealed_event(shape, true, data.to_string().as_bytes(), &[]);
        self.key = known;
        let attributes = self.attributes(shape, &[("datacontenttype", JOSE)]);
        for template in ["{}", "{}..{}.{}.{}", "{}.{}.{}.{}.{}"] {
            let place = format!("{} in place of sealed data, {template}", shape.event_type);
            let text = self.canaries.text(place, template);
            self.structured(&attributes, &json!(text));
        }
    }

    /// Data with a marker, for an event that gives no row.
    fn closed_data(&mut self, shape: &Shape, what: &str) -> Value {
        let subject = self.subject(shape);
        let mut data = self.filled(shape, &subject, |_, field| plausible(field));
        data["closed"] = json!(self.canaries.marker(format!("sealed {} {what}", shape.event_type)));
        data
    }

    /// Adds an event with sealed data, with `changes` to the header; those to `ce` are named so.
    fn sealed_event(&mut self, shape: &Shape, in_binary_mode: bool, data: &[u8], changes: &[(&str, &str)]) {
        let attributes = self.attributes(shape, &[]);
        let mut header = self.key.header(&attributes);
        for (member, text) in changes {
            match member.strip_prefix("ce.") {
                Some(attribute) => header["ce"][attribute] = json!(text),
                None => header[*member] = json!(text),
            }
        }
        let jwe = self.key.seal(header, data);
        self.inside.push(data.to_vec());
        if in_binary_mode {
            self.binary(&attributes, JOSE, jwe.into_bytes());
        } else {
            self.structured(&[attributes, vec![media_type()]].concat(), &json!(jwe));
        }
    }
}

fn media_type() -> (String, String) {
    ("datacontenttype".to_owned(), JOSE.to_owned())
}

const JOSE: &str = "application/jose";
