//! Idempotency keys: the same request is decided once, however often it is sent.
//!
//! A key belongs to a token. With it are remembered what was asked (as a digest), what was decided (before it is sent, so that a
//! retry of a request whose answer was never given sends the same records and not a second decision), and the answer. An
//! answer is kept for a day, or until so many later ones need the room; another daemon does not know it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

/// A key: the name of the token, and what the client chose.
pub(crate) type Key = (Arc<str>, Box<str>);

/// What is remembered. `P` is a decision, `R` an answer.
#[derive(Debug)]
pub(crate) struct Replies<P, R> {
    known: Mutex<Known<P, R>>,
}

#[derive(Debug)]
struct Known<P, R> {
    entries: HashMap<Key, Entry<P, R>>,
    /// In the order of their first request, with the instant at which they are forgotten.
    ages: VecDeque<(i64, Key)>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<P, R> {
    asked: [u8; 32],
    state: State<P, R>,
}

#[derive(Debug)]
enum State<P, R> {
    /// Answered.
    Answered(R),
    /// A request is at work.
    Running,
    /// A request decided and went away without an answer.
    Unanswered(P),
}

/// What to do with a request.
pub(crate) enum Begun<'r, P: Clone, R: AsRef<[u8]>> {
    /// Answer as before.
    Answered(R),
    /// Decide, or take the decision that an earlier request left.
    Decide(Ticket<'r, P, R>),
    /// The same request is at work.
    Running,
    /// The key came with another request before.
    Reused,
}

/// The right to decide; without an answer at its end the decision is left for a retry.
pub(crate) struct Ticket<'r, P: Clone, R: AsRef<[u8]>> {
    replies: &'r Replies<P, R>,
    key: Key,
    /// What was decided, now or by an earlier request.
    pub(crate) plan: Option<P>,
    is_answered: bool,
}

impl<P: Clone, R: AsRef<[u8]> + Clone> Replies<P, R> {
    /// Remembers nothing yet.
    pub(crate) fn new() -> Self {
        Self { known: Mutex::new(Known { entries: HashMap::new(), ages: VecDeque::new(), bytes: 0 }) }
    }

    /// Begins a request; `asked` is the digest of all that it asks for.
    pub(crate) fn begin(&self, key: Key, asked: [u8; 32], now_ms: i64) -> Begun<'_, P, R> {
        let mut known = self.known.lock();
        known.forget(now_ms);
        let Some(entry) = known.entries.get_mut(&key) else {
            known.bytes += ENTRY_BYTES;
            known.ages.push_back((now_ms.saturating_add(KEPT_MS), key.clone()));
            known.entries.insert(key.clone(), Entry { asked, state: State::Running });
            return Begun::Decide(Ticket { replies: self, key, plan: None, is_answered: false });
        };
        if entry.asked != asked {
            return Begun::Reused;
        }
        match &entry.state {
            State::Answered(reply) => Begun::Answered(reply.clone()),
            State::Running => Begun::Running,
            State::Unanswered(plan) => {
                let plan = Some(plan.clone());
                entry.state = State::Running;
                Begun::Decide(Ticket { replies: self, key, plan, is_answered: false })
            }
        }
    }
}

impl<P, R: AsRef<[u8]>> Known<P, R> {
    /// Forgets what is old, and the oldest while there is too much.
    fn forget(&mut self, now_ms: i64) {
        while let Some((until_ms, _)) = self.ages.front()
            && (*until_ms <= now_ms || self.bytes > BYTES_MAX)
        {
            let Some((_, key)) = self.ages.pop_front() else { break };
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            let reply = if let State::Answered(reply) = &entry.state { reply.as_ref().len() } else { 0 };
            self.bytes -= ENTRY_BYTES + reply;
        }
    }
}

impl<P: Clone, R: AsRef<[u8]>> Ticket<'_, P, R> {
    /// Remembers the answer.
    pub(crate) fn answer(mut self, reply: R) {
        self.is_answered = true;
        let mut known = self.replies.known.lock();
        if let Some(entry) = known.entries.get_mut(&self.key) {
            let bytes = reply.as_ref().len();
            entry.state = State::Answered(reply);
            known.bytes += bytes;
        }
    }
}

impl<P: Clone, R: AsRef<[u8]>> Drop for Ticket<'_, P, R> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let mut known = self.replies.known.lock();
        match (self.plan.take(), known.entries.get_mut(&self.key)) {
            (Some(plan), Some(entry)) => entry.state = State::Unanswered(plan),
            // Nothing was decided, so the next request with this key is the first one.
            (None, Some(_)) => {
                known.remove(&self.key);
                // It is among the youngest.
                if let Some(place) = known.ages.iter().rposition(|(_, key)| *key == self.key) {
                    known.ages.remove(place);
                }
            }
            (_, None) => {}
        }
    }
}

/// What the API promises.
const KEPT_MS: i64 = 24 * 60 * 60 * 1_000;
/// Both keys, a digest, a decision about three purposes.
const ENTRY_BYTES: usize = 1_024;
/// About 40,000 answers, or 15,000 with receipts.
const BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        ("agent".into(), name.into())
    }

    fn begin<'r>(replies: &'r Replies<u8, Vec<u8>>, name: &str, asked: u8, now_ms: i64) -> Begun<'r, u8, Vec<u8>> {
        replies.begin(key(name), [asked; 32], now_ms)
    }

    #[track_caller]
    fn ticket(begun: Begun<'_, u8, Vec<u8>>) -> Ticket<'_, u8, Vec<u8>> {
        let Begun::Decide(ticket) = begun else { panic!("it is not to be decided") };
        ticket
    }

    #[test]
    fn same_request_is_answered_as_before_for_a_day() {
        let replies = Replies::new();
        let first = ticket(begin(&replies, "a", 1, 0));
        assert!(matches!(begin(&replies, "a", 1, 0), Begun::Running));
        first.answer(vec![7; 100]);
        assert!(matches!(begin(&replies, "a", 1, KEPT_MS - 1), Begun::Answered(reply) if reply == [7; 100]));
        assert!(matches!(begin(&replies, "a", 2, KEPT_MS - 1), Begun::Reused));
        assert!(ticket(begin(&replies, "a", 2, KEPT_MS)).plan.is_none());
        assert_eq!(replies.known.lock().bytes, 0);
    }

    #[test]
    fn decision_without_an_answer_is_left_for_the_retry() {
        let replies = Replies::new();
        drop(ticket(begin(&replies, "a", 1, 0)));
        let mut second = ticket(begin(&replies, "a", 2, 0));
        second.plan = Some(9);
        drop(second);
        assert!(matches!(begin(&replies, "a", 1, 0), Begun::Reused));
        assert_eq!(ticket(begin(&replies, "a", 2, 0)).plan, Some(9));
    }

    #[test]
    fn oldest_is_forgotten_when_there_is_too_much() {
        let replies = Replies::new();
        ticket(begin(&replies, "a", 1, 0)).answer(vec![0; BYTES_MAX]);
        drop(ticket(begin(&replies, "b", 1, 0)));
        assert!(ticket(begin(&replies, "a", 2, 0)).plan.is_none());
    }
}
