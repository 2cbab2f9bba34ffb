//! Sessions: who is signed in, in this process' memory only.

use std::collections::HashMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use parking_lot::Mutex;

use crate::api::Right;
use crate::link::Person;

/// Somebody who is signed in.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) person: Person,
    /// Stands in every form of the pages, so that no other page can send one.
    pub(crate) form: String,
    /// Where what was asked for is looked up: a copy, and erasure.
    asked: [Option<Box<str>>; 2],
    /// The person, as the accounts of paces name them: the same in each of their visits.
    pub(crate) whose: [u8; 32],
    name: [u8; 32],
    opened_ms: i64,
    seen_ms: i64,
}

impl Session {
    /// Tells whether a form was of this session's pages; takes as long whatever it was.
    pub(crate) fn gave(&self, form: &str) -> bool {
        verify_slices_are_equal(self.form.as_bytes(), form.as_bytes()).is_ok()
    }

    /// Returns where what was asked for last is looked up.
    pub(crate) fn asked(&self, right: Right) -> Option<&str> {
        self.asked[place_of(right)].as_deref()
    }

    fn is_over(&self, now_ms: i64) -> bool {
        now_ms - self.seen_ms > IDLE_MAX_MS || now_ms - self.opened_ms > LIFE_MAX_MS
    }
}

/// Everybody who is signed in, by the digest of what their cookie holds.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<[u8; 32], Session>>,
}

impl Sessions {
    /// Opens a session; returns what the cookie holds.
    ///
    /// Whoever has many already ends their own oldest one: nobody's visits push out those of others.
    pub(crate) fn open(&self, person: Person, now_ms: i64) -> String {
        let cookie = random();
        let (name, whose) = (digest_of(&cookie), digest_of_person(&person));
        let mut open = self.open.lock();
        open.retain(|_, session| !session.is_over(now_ms));
        let own = open.values().filter(|session| session.whose == whose);
        let pushed_out = if own.clone().count() >= VISITS_MAX {
            quietest(own)
        } else if open.len() >= SESSIONS_MAX {
            quietest(open.values())
        } else {
            None
        };
        if let Some(name) = pushed_out {
            open.remove(&name);
        }
        let session =
            Session { person, form: random(), asked: [None, None], whose, name, opened_ms: now_ms, seen_ms: now_ms };
        open.insert(name, session);
        cookie
    }

    /// Finds the session of a cookie, and notes that somebody is there.
    pub(crate) fn find(&self, cookie: &str, now_ms: i64) -> Option<Session> {
        let mut open = self.open.lock();
        let session = open.get_mut(&digest_of(cookie))?;
        if session.is_over(now_ms) {
            let name = session.name;
            open.remove(&name);
            return None;
        }
        session.seen_ms = now_ms;
        Some(session.clone())
    }

    /// Notes where what was asked for is looked up.
    pub(crate) fn note(&self, session: &Session, right: Right, place: Box<str>) {
        if let Some(open) = self.open.lock().get_mut(&session.name) {
            open.asked[place_of(right)] = Some(place);
        }
    }

    /// Ends a session.
    pub(crate) fn close(&self, session: &Session) {
        self.open.lock().remove(&session.name);
    }
}

/// Returns the session in which nobody did anything for the longest time.
fn quietest<'s>(sessions: impl Iterator<Item = &'s Session>) -> Option<[u8; 32]> {
    sessions.min_by_key(|session| session.seen_ms).map(|session| session.name)
}

/// Returns the name of what a cookie holds, which does not tell what that is.
pub(crate) fn digest_of(cookie: &str) -> [u8; 32] {
    digest(&SHA256, cookie.as_bytes()).as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

fn digest_of_person(Person { tenant, kind, subject }: &Person) -> [u8; 32] {
    digest_of(&format!("{}:{tenant}{}:{kind}{subject}", tenant.len(), kind.len()))
}

const fn place_of(right: Right) -> usize {
    match right {
        Right::Copy => 0,
        Right::Erasure => 1,
    }
}

/// 256 bits that nobody guesses, as text.
pub(crate) fn random() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the kernel has random bytes once it has started");
    BASE64.encode(bytes)
}

/// A quarter of an hour without a click (WCAG 2.2.1 allows a fixed time where there is nothing to lose: each click is saved).
const IDLE_MAX_MS: i64 = 15 * 60 * 1_000;
const LIFE_MAX_MS: i64 = 2 * 3_600 * 1_000;
/// A telephone, a few browsers, and some that were not left.
const VISITS_MAX: usize = 8;
/// About 50 MB.
const SESSIONS_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ends_with_silence_with_age_and_when_left() {
        let sessions = Sessions::default();
        let person = Person { tenant: "acme".to_owned(), kind: "user".to_owned(), subject: "u-81".to_owned() };
        let open = || sessions.open(person.clone(), 0);
        let cookie = open();
        assert!(sessions.find(&cookie, IDLE_MAX_MS).is_some());
        assert!(sessions.find(&cookie, 2 * IDLE_MAX_MS + 1).is_none());
        let cookie = open();
        let found = (0..=8).map(|quarter| sessions.find(&cookie, quarter * IDLE_MAX_MS).is_some());
        assert_eq!(found.filter(|is_there| *is_there).count(), 9);
        assert!(sessions.find(&cookie, LIFE_MAX_MS + 1).is_none());
        let cookie = open();
        let session = sessions.find(&cookie, 0).unwrap();
        assert!(session.gave(&session.form) && !session.gave("") && !session.gave(&open()));
        sessions.close(&session);
        assert!(sessions.find(&cookie, 0).is_none());
    }

    #[test]
    fn many_visits_of_one_person_push_out_their_own() {
        let sessions = Sessions::default();
        let person =
            |subject: &str| Person { tenant: "acme".to_owned(), kind: "user".to_owned(), subject: subject.to_owned() };
        let other = sessions.open(person("u-82"), 0);
        let cookies: Vec<_> = (1..=20).map(|now_ms| sessions.open(person("u-81"), now_ms)).collect();
        let open: Vec<_> = cookies.iter().map(|cookie| sessions.find(cookie, 20).is_some()).collect();
        assert_eq!(open, [[false; 12].as_slice(), &[true; 8]].concat());
        let of = |cookie: &str| sessions.find(cookie, 20).unwrap().whose;
        assert_eq!(of(&cookies[19]), of(&cookies[18]));
        assert_ne!(of(&cookies[19]), of(&other));
    }
}
