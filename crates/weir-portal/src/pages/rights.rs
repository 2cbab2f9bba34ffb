//! The pages of a copy and of erasure.

use maud::{Markup, html};

use super::Pages;
use crate::api::{Failure, Progress, Right};
use crate::session::Session;

impl Pages {
    /// Shows what else a person may have done, and how.
    pub(super) fn rights(&self, session: &Session) -> Markup {
        html! {
            section aria-labelledby="rights" {
                h2 #rights { "Your other rights" }
                p { "A copy is an archive with a page to read, and files for other programs." }
                form method="post" action="/copy" {
                    input type="hidden" name="form" value=(session.form);
                    button type="submit" { "Get a copy of my data" }
                }
                @if session.asked(Right::Copy).is_some() { p { a href="/copy" { "The copy that you asked for" } } }
                p { "What is kept about you under the name with which you came can be erased, for good. The next page says what that means." }
                p { a .action href="/erase" { "Erase everything about me" } }
                @if session.asked(Right::Erasure).is_some() { p { a href="/erased" { "The erasure that you asked for" } } }
                p {
                    "To have something corrected, or to object, write to " (self.controller.contact) ". You can complain to a data "
                    "protection authority. The whole " a href=(self.controller.privacy_notice) { "privacy notice" } "."
                }
                form method="post" action="/leave" {
                    input type="hidden" name="form" value=(session.form);
                    button type="submit" { "Leave this page" }
                }
            }
        }
    }

    /// Says what erasure means, with the button for it.
    pub(crate) fn confirm(&self, session: &Session) -> Markup {
        self.page(
            "Erase everything about you",
            html! {
                p {
                    "What " (self.controller.name) " keeps in its tables about how you used the service goes, for every purpose: under "
                    "the name with which you came to this page, and in this region. "
                    strong { "It cannot be undone." } " What is sent again from before is not let back in."
                }
                ul {
                    li {
                        "What is kept under another name of yours, such as that of a device, or in another region stays. Write to "
                        (self.controller.contact) " to have that erased too."
                    }
                    li { "To have a copy, " a href="/#rights" { "get it first" } "." }
                    li {
                        "Your decisions stay as they are: what happens from now on is kept for each purpose that is allowed or collected. To "
                        "end that too, " a href="/#everything" { "stop all purposes" } "."
                    }
                    li { "It takes some seconds until nobody who reads the tables finds it. " (OLD_FILES) }
                    li { (QUEUE) }
                    li { "You get a signed receipt that says what was removed, without your name. Your account with the service stays." }
                }
                form method="post" action="/erase" {
                    input type="hidden" name="form" value=(session.form);
                    button type="submit" { "Erase everything, for good" }
                }
                p { a href="/" { "Keep everything and go back" } }
            },
        )
    }

    /// Says how it stands with what was asked for.
    pub(crate) fn progress(&self, right: Right, progress: Progress) -> Markup {
        let place = match right {
            Right::Copy => "/copy",
            Right::Erasure => "/erased",
        };
        let (title, content) = match (right, progress) {
            (Right::Copy, Progress::Done { is_complete }) => (
                "Your copy is ready",
                html! {
                    p role="status" {
                        "It can be fetched for an hour or so."
                        @if !is_complete {
                            " It is not everything: some tables cannot be searched at present. Write to " (self.controller.contact)
                            " to have the rest too."
                        }
                    }
                    p { a .action href="/copy/your-data.zip" download { "Download the copy" } }
                },
            ),
            (Right::Erasure, Progress::Done { is_complete: true }) => (
                "Everything about you is erased under the name with which you came",
                html! {
                    p role="status" { "The tables of this region hold nothing more about you under that name." }
                    p { (OLD_FILES) " " (QUEUE) }
                    (receipt())
                },
            ),
            (Right::Erasure, Progress::Done { is_complete: false }) => (
                "Not everything about you is erased yet",
                html! {
                    p role="status" {
                        "Some tables cannot be searched at present. Write to " (self.controller.contact) " to have them done too. "
                        "The others of this region hold nothing more about you under the name with which you came."
                    }
                    p { (OLD_FILES) " " (QUEUE) }
                    (receipt())
                },
            ),
            (Right::Copy, Progress::UnderWay) => ("Your copy is being made", again(place)),
            (Right::Erasure, Progress::UnderWay) => ("Everything about you is being erased", again(place)),
            (_, Progress::Failed) => {
                ("It was not done", html! { p role="status" { "Something did not answer. " (retry(right)) } })
            }
            (_, Progress::Gone) => (
                "There is nothing here",
                html! { p role="status" { "Its time is over, or the service was started anew before it was done. " (retry(right)) } },
            ),
        };
        self.page(title, html! { (content) p { a href="/" { "Your data" } } })
    }

    /// Says that nothing was begun.
    pub(crate) fn not_begun(&self, failure: Failure) -> Markup {
        let why = match failure {
            Failure::Absent => {
                return self.page(
                    "That is not to be had here",
                    html! { p { "Write to " (self.controller.contact) ", who does it for you." } p { a href="/" { "Your data" } } },
                );
            }
            Failure::Busy => "Too much is asked for at present. Wait a minute.",
            Failure::Away | Failure::Refused(_) | Failure::Unconfirmed | Failure::Unreadable => {
                "What does it does not answer. Try again in a minute."
            }
        };
        self.page("Please try again", html! { p { (why) } p { a href="/" { "Your data" } } })
    }
}

fn receipt() -> Markup {
    html! {
        p { "The receipt is signed. It says what was removed, without your name, and can be fetched for an hour or so." }
        p { a .action href="/erased/receipt.jws" download { "Download the receipt" } }
    }
}

fn again(place: &str) -> Markup {
    html! {
        p role="status" { "It is not done yet. You can leave this page and come back within your visit." }
        p { a .action href=(place) { "Look again" } }
    }
}

fn retry(right: Right) -> Markup {
    match right {
        Right::Copy => html! { "Ask for it again." },
        Right::Erasure => html! { a href="/erase" { "Ask for it again" } ": what was begun is completed." },
    }
}

/// The daemon removes no file by itself: `weir lake vacuum --older-than 7d`, run daily, does.
const OLD_FILES: &str =
    "The older files of the tables are removed by the operator's next clean-up, normally within eight days.";
/// `source.kafka.erasure_deadline`, which bounds it, is 30 days unless the operator says otherwise; the portal does not know it.
const QUEUE: &str = "The queues through which events and decisions come in are not searched: they forget on their own, normally \
    within 30 days.";
