//! The pages: what is collected and why, how it stands, and a button for each decision.
//!
//! Everything that is declared comes from the contracts and purposes in force, the same files that the daemon obeys. WCAG 2.2 AA:
//! one heading of each level in order, a name for every button that says what it does, states in words and not in colour,
//! focus that is seen, and nothing that needs a pointer. The words of the pages are English and say so; what the operator wrote about
//! purposes and events is marked with its own language, so that a screen reader pronounces both.

mod rights;

use maud::{DOCTYPE, Markup, html};
use weir_consent::Status;
use weir_policy::{LawfulBasis, Policy, PurposeId, plain};

use crate::api::{Failure, Standing, permits};
use crate::link::Refusal;
use crate::session::Session;
use crate::sign_in::NotSignedIn;

/// Who answers for the data, as on a receipt.
#[derive(Clone, Debug)]
pub struct Controller {
    /// Their name.
    pub name: String,
    /// How people reach them about their data.
    pub contact: String,
    /// The address of the privacy notice.
    pub privacy_notice: String,
    /// The language of what the operator wrote: the descriptions of purposes and events.
    pub language: String,
}

/// Makes the pages.
#[derive(Debug)]
pub(crate) struct Pages {
    controller: Controller,
    purposes: Vec<Purpose>,
}

/// What a purpose means here.
#[derive(Debug)]
struct Purpose {
    id: PurposeId,
    description: String,
    lawful_basis: LawfulBasis,
    needs_consent: bool,
    retention_days: u32,
    recipients: Vec<String>,
    events: Vec<Event>,
}

/// What an event says for a purpose.
#[derive(Debug)]
struct Event {
    name: String,
    description: String,
    benefit: String,
    fields: Vec<String>,
}

/// What was just decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// `None` for all purposes.
    purpose: Option<PurposeId>,
    is_allowed: bool,
}

impl Notice {
    /// Reads the word of the page's address; other words say nothing.
    pub(crate) fn of(done: &str) -> Option<Self> {
        let (purpose, allow) = done.split_once('-')?;
        let purpose = if purpose == "all" { None } else { Some(PurposeId::parse(purpose)?) };
        Some(Self { purpose, is_allowed: allow == "yes" })
    }

    /// Tells whether it was a no.
    pub(crate) const fn is_denial(self) -> bool {
        !self.is_allowed
    }
}

impl Pages {
    pub(crate) fn new(controller: Controller, policy: &Policy) -> Self {
        let purposes = PurposeId::ALL.map(|id| Purpose::of(id, policy)).into_iter().collect();
        Self { controller, purposes }
    }

    /// Shows what is collected and how it stands with each purpose.
    pub(crate) fn home(&self, session: &Session, standings: &[Standing], notice: Option<Notice>) -> Markup {
        let stands = |id: PurposeId| standings.iter().find(|standing| standing.purpose == id);
        self.page(
            "Your data",
            html! {
                @if let Some(notice) = notice { p .notice role="status" { (said(notice)) } }
                p {
                    "Here you see what " (self.controller.name) " collects about how you use the service, what for, and for how long. "
                    "Each purpose is your decision, at any time. What you write or say, your mail, files and messages are never "
                    "collected, and nothing serves advertising."
                }
                @for purpose in &self.purposes { (purpose.section(session, stands(purpose.id), self.language())) }
                section aria-labelledby="everything" {
                    h2 #everything { "Everything at once" }
                    (button(session, "all", false, "Stop all purposes"))
                }
                (self.rights(session))
            },
        )
    }

    /// Shows the button behind a link.
    pub(crate) fn door(&self, link: &str) -> Markup {
        self.page(
            "Your data",
            html! {
                p { "Your link is valid for one visit. It opens a page where you see what is collected about you and decide about it." }
                form method="post" action="/enter" {
                    input type="hidden" name="link" value=(link);
                    button type="submit" { "Continue" }
                }
            },
        )
    }

    /// Shows how to get in.
    pub(crate) fn stranger(&self, offers_sign_in: bool) -> Markup {
        let sign_in = html! { p { a .action href="/sign-in" { "Sign in" } } };
        self.page(
            "Your visit has not begun, or has ended",
            html! {
                @if offers_sign_in { p { "Sign in to see what is collected about you, and to decide about it." } (sign_in) }
                @else { p { "This page opens with a link from the service, under its privacy settings." } }
                p { "For your protection a visit ends after 15 minutes without a click; what you decided is saved." }
            },
        )
    }

    /// Leads on who was signed in.
    pub(crate) fn signed_in(&self) -> Markup {
        let onward = html! { p { a .action href="/" { "Continue" } } };
        self.page("You are signed in", onward)
    }

    /// Says why nobody was signed in.
    pub(crate) fn not_signed_in(&self, why: NotSignedIn) -> Markup {
        let why = match why {
            NotSignedIn::Away | NotSignedIn::Provider => "What signs people in does not answer as it should.",
            NotSignedIn::Denied => "It was cancelled, or you may not sign in there.",
            NotSignedIn::Stray => "It was not begun in this browser, or it took too long.",
            NotSignedIn::Algorithm
            | NotSignedIn::Audience
            | NotSignedIn::Claim
            | NotSignedIn::Expired
            | NotSignedIn::Issuer
            | NotSignedIn::Nonce
            | NotSignedIn::Signature
            | NotSignedIn::Token => "What came back does not prove who you are.",
        };
        self.page("You are not signed in", html! { p { (why) } p { a .action href="/sign-in" { "Sign in again" } } })
    }

    /// Says why a link is not taken.
    pub(crate) fn refused(&self, refusal: Refusal) -> Markup {
        let why = match refusal {
            Refusal::Expired => "The link is too old.",
            Refusal::Unsigned => "The link is not complete, or not for this page.",
            Refusal::Used => "The link was used before. Each serves for one visit.",
        };
        self.page("This link does not open the page", html! { p { (why) " Take a new one from the service." } })
    }

    /// Says that a form was not of these pages.
    pub(crate) fn elsewhere(&self) -> Markup {
        let back =
            html! { p { "It did not come from this page, so nothing was changed. " a href="/" { "Go back" } "." } };
        self.page("That was not taken", back)
    }

    /// Says that there is no such page.
    pub(crate) fn nowhere(&self) -> Markup {
        self.page("There is no such page", html! { p { a href="/" { "Your data" } } })
    }

    /// Says that something came which no page of these sends.
    pub(crate) fn not_understood(&self) -> Markup {
        let back = html! { p { "It is not what a page of ours sends, so nothing was changed. " a href="/" { "Your data" } "." } };
        self.page("That was not understood", back)
    }

    /// Says that one person asked for too much.
    pub(crate) fn too_often(&self, wait_s: u64) -> Markup {
        self.page(
            "Please wait a moment",
            html! {
                p {
                    "You asked for a lot in a short time, so this was not done; what was done before stands. Wait " (wait_s)
                    " s and go on. Stopping a purpose has a count of its own: nothing else holds it up."
                }
                p { a href="/" { "Open the page again" } }
            },
        )
    }

    /// Says that the daemon did not do what it was asked.
    pub(crate) fn failed(&self, failure: Failure) -> Markup {
        let why = match failure {
            Failure::Absent | Failure::Away | Failure::Refused(_) | Failure::Unreadable => {
                "What keeps your decisions does not answer. Open the page again in a minute to see how things stand."
            }
            Failure::Busy => {
                "Much was asked for in a short time. Wait a minute and open the page again to see how things stand."
            }
            Failure::Unconfirmed => {
                "Your decision was sent, and it is not confirmed yet. Open the page again in a minute to see whether it counts."
            }
        };
        self.page("Please try again", html! { p { (why) } p { a href="/" { "Open the page again" } } })
    }

    /// Returns the language of what the operator wrote, unless it is that of the pages.
    fn language(&self) -> Option<&str> {
        let language = self.controller.language.as_str();
        (language != LANGUAGE).then_some(language)
    }

    fn page(&self, title: &str, content: Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang=(LANGUAGE) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="robots" content="noindex";
                    title { (title) " – " (self.controller.name) }
                    link rel="stylesheet" href="/style.css";
                }
                body {
                    header { p { (self.controller.name) } }
                    main { h1 { (title) } (content) }
                }
            }
        }
    }
}

impl Purpose {
    fn of(id: PurposeId, policy: &Policy) -> Self {
        let rules = policy.purposes().rules(id);
        let about_people =
            policy.contracts().iter().filter(|contract| contract.subject.is_some() && contract.purposes.contains(id));
        // Versions of one event are one thing to a person, with everything that any of them may say.
        let mut events: Vec<Event> = Vec::new();
        for contract in about_people {
            let fields = contract.columns(id).map(|(_, field)| plain::field(field));
            let known = events.iter_mut().find(|event| event.name == contract.event_type);
            if let Some(event) = known {
                let new: Vec<_> = fields.filter(|field| !event.fields.contains(field)).collect();
                event.fields.extend(new);
                continue;
            }
            events.push(Event {
                name: contract.event_type.clone(),
                description: contract.description.clone(),
                benefit: contract.benefit.clone(),
                fields: fields.collect(),
            });
        }
        Self {
            id,
            description: rules.description.clone(),
            lawful_basis: rules.lawful_basis,
            needs_consent: policy.purposes().needs_consent(id),
            retention_days: rules.retention_days,
            recipients: rules.recipients.clone(),
            events,
        }
    }

    fn section(&self, session: &Session, standing: Option<&Standing>, language: Option<&str>) -> Markup {
        let (name, title) = (self.id.name(), title(self.id));
        let is_unasked = standing.is_some_and(|standing| self.collects_unasked(standing));
        let is_allowed = standing.is_some_and(|standing| permits(standing.status));
        let is_open = is_allowed || is_unasked;
        let label = if is_open { format!("Stop {name}") } else { format!("Allow {name}") };
        html! {
            section aria-labelledby=(name) {
                h2 id=(name) { (title) }
                p lang=[language] { (self.description) }
                p .state {
                    @if is_unasked { strong { "Collected" } (unasked(self.lawful_basis)) }
                    @else { strong { @if is_allowed { "Allowed" } @else { "Not allowed" } } (since(standing)) }
                }
                (button(session, name, !is_open, &label))
                details {
                    summary { "What is collected for " (name) }
                    @if self.events.is_empty() { p { "Nothing at present." } }
                    ul {
                        @for event in &self.events {
                            li {
                                span lang=[language] { (event.description) " " (event.benefit) }
                                @if !event.fields.is_empty() { ul { @for field in &event.fields { li { (field) } } } }
                            }
                        }
                    }
                }
                p { "It is kept under a pseudonym that differs from that of the other purposes." }
                dl {
                    dt { "Why it may be kept" }
                    dd { (plain::basis(self.lawful_basis)) }
                    dt { "How long" }
                    dd { (plain::retention(self.retention_days)) }
                    dt { "Who receives it" }
                    dd { (plain::recipients(&self.recipients)) }
                }
            }
        }
    }

    /// Tells whether a purpose takes what a person never decided about: its basis is another than consent, and there is no record.
    /// A record denies whatever it says but yes, even that nothing is known; the API dates those that there are.
    fn collects_unasked(&self, standing: &Standing) -> bool {
        !self.needs_consent && standing.status == Status::Unknown && standing.since.is_none()
    }
}

/// A form with one button; its name says what it does.
fn button(session: &Session, purpose: &str, allow: bool, label: &str) -> Markup {
    html! {
        form method="post" action="/decide" {
            input type="hidden" name="form" value=(session.form);
            input type="hidden" name="purpose" value=(purpose);
            input type="hidden" name="allow" value=(if allow { "yes" } else { "no" });
            button type="submit" { (label) }
        }
    }
}

fn said(notice: Notice) -> String {
    let what = notice.purpose.map_or("All purposes", title);
    if notice.is_allowed {
        format!("{what}: allowed from now on.")
    } else {
        format!("{what}: stopped. Nothing that happens from now on is kept for it under the name with which you came.")
    }
}

/// Says why something is collected about somebody who was not asked, and how they end that.
const fn unasked(basis: LawfulBasis) -> &'static str {
    match basis {
        LawfulBasis::Consent => ".",
        LawfulBasis::Contract => {
            ": the law allows it without asking (a contract with you needs it). You can end it all the same: press Stop."
        }
        LawfulBasis::LegitimateInterests => {
            ": the law allows it without asking (legitimate interests). You can object: press Stop."
        }
    }
}

fn since(standing: Option<&Standing>) -> String {
    let Some(standing) = standing else { return ".".to_owned() };
    let why = match standing.status {
        Status::Unknown => ": you have not been asked",
        Status::Requested | Status::Deferred => ": you have been asked and have not answered",
        Status::Refused => ": you said no",
        Status::Expired => ": what you allowed has come to its end",
        Status::Withdrawn => ": you took it back",
        Status::Revoked | Status::Invalidated => ": it was ended for you",
        Status::Given | Status::Renewed => "",
    };
    let day = |instant: &str| instant.get(..10).unwrap_or(instant).to_owned();
    let since = standing.since.as_deref().map(|since| format!(", since {}", day(since))).unwrap_or_default();
    let until = standing.until.as_deref().map(|until| format!(", until {}", day(until))).unwrap_or_default();
    format!("{why}{since}{until}.")
}

const fn title(id: PurposeId) -> &'static str {
    match id {
        PurposeId::Personalization => "Personalization",
        PurposeId::Reliability => "Reliability",
        PurposeId::Troubleshooting => "Troubleshooting",
    }
}

/// The language of the words in this file.
const LANGUAGE: &str = "en";
