//! What the pages say: how it stands, in which language, and that something was not understood.

use axum::http::header::ALLOW;

use super::*;

/// A purpose that rests on another basis than consent collects about people who were never asked: the page says so, and stops it.
#[test]
fn what_is_collected_without_asking_is_said_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let purposes = folder.path().join("purposes.toml");
    let text = "[reliability]\nlawful_basis = \"legitimate_interests\"\nrecipients = [\"Repair Ltd\"]\n[troubleshooting]\nlawful_basis = \"contract\"\n";
    std::fs::write(&purposes, text).unwrap();
    let world = World::of("en", policy_with(purposes), |_| None);
    let (cookie, form) = world.enter("a");
    let home = || world.ask(Method::GET, "/", &[(COOKIE, &cookie)], "").2;
    let page = home();
    for words in [
        "<strong>Collected</strong>: the law allows it without asking (legitimate interests). You can object: press Stop.",
        "<strong>Collected</strong>: the law allows it without asking (a contract with you needs it).",
        "<strong>Not allowed</strong>: you have not been asked.",
        // Who receives it, and what the person has of it.
        "<dd>Repair Ltd</dd>",
        "Lets us see which versions fail to start where, and repair them.",
        "Stop reliability",
        "Stop troubleshooting",
        "Allow personalization",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let stop = format!("form={form}&purpose=reliability&allow=no");
    assert_eq!(world.ask(Method::POST, "/decide", &[(COOKIE, &cookie)], &stop).0, StatusCode::SEE_OTHER);
    assert_eq!(world.told.lock().decisions, [("refuse".to_owned(), vec!["reliability".to_owned()])]);
    let page = home();
    assert!(page.contains("<strong>Not allowed</strong>: you said no, since 2026-11-23."), "{page}");
    assert!(page.contains("Allow reliability") && page.contains("Stop troubleshooting"), "{page}");
    // A record denies, even one that says that nothing is known.
    world.told.lock().states.insert("troubleshooting".to_owned(), "unknown".to_owned());
    let page = home();
    assert!(page.contains("Allow troubleshooting") && !page.contains("<strong>Collected</strong>"), "{page}");
}

#[test]
fn page_says_which_of_its_words_are_in_which_language() {
    let home = |language: &str| {
        let world = World::of(language, policy(), |_| None);
        let (cookie, _) = world.enter("a");
        world.ask(Method::GET, "/", &[(COOKIE, &cookie)], "").2
    };
    let german = home("de");
    assert!(german.contains("<html lang=\"en\">"), "{german}");
    assert!(german.contains("<p lang=\"de\">Improving the features that you use"), "{german}");
    assert!(german.contains("<span lang=\"de\">"), "{german}");
    let english = home("en");
    assert_eq!(english.matches(" lang=").count(), 1, "{english}");
}

#[test]
fn whatever_is_refused_has_a_heading_and_a_way_back() {
    let world = World::new();
    let none: &[(HeaderName, &str)] = &[];
    let text: &[(HeaderName, &str)] = &[(CONTENT_TYPE, "text/plain")];
    let long = "x".repeat(FORM_BYTES_MAX + 1);
    for (method, place, headers, form, refused) in [
        (Method::GET, "/enter", none, "", StatusCode::BAD_REQUEST),
        (Method::POST, "/decide", none, "purpose=all", StatusCode::UNPROCESSABLE_ENTITY),
        (Method::POST, "/decide", text, "form=x", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (Method::POST, "/copy", none, long.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
        (Method::DELETE, "/enter", none, "", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let Page(status, headers, page) = world.ask(method, place, headers, form);
        assert_eq!(status, refused, "{place}");
        assert_eq!(headers.contains_key(ALLOW), refused == StatusCode::METHOD_NOT_ALLOWED, "{place}");
        assert_eq!(headers[CACHE_CONTROL], "no-store", "{place}");
        assert!(page.contains("<h1>That was not understood</h1>") && page.contains("href=\"/\""), "{place}: {page}");
    }
    let Page(status, _, page) = world.ask(Method::POST, "/nowhere", &[], "");
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("<h1>There is no such page</h1>"), "{page}");
}

/// A browser tells no address with a link in it to anybody, not even to the portal's own proxy.
#[test]
fn address_with_a_link_is_told_to_nobody() {
    let world = World::new();
    let policy_of = |place: &str| world.ask(Method::GET, place, &[], "").1[REFERRER_POLICY].clone();
    assert_eq!(policy_of(&format!("/enter?link={}", world.link("a"))), "strict-origin");
    assert_eq!(policy_of("/enter?link=x"), "strict-origin");
    assert_eq!(policy_of("/"), "same-origin");
}
