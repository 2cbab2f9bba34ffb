//! One person who asks for much: the API stays there for everybody else, and a no is taken.

use super::*;

#[test]
fn one_person_leaves_the_api_to_others_and_can_always_stop() {
    let world = World::new();
    let (cookie, form) = world.enter("a");
    let home = |cookie: &str| world.ask(Method::GET, "/", &[(COOKIE, cookie)], "");
    let passed = (0..100).filter(|_| home(&cookie).0 == StatusCode::OK).count();
    assert_eq!(passed, 19, "the first was the one of entering");
    let Page(status, headers, page) = home(&cookie);
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers[RETRY_AFTER], "1");
    assert!(page.contains("Please wait a moment") && page.contains("href=\"/\""), "{page}");
    let again = world.follow(&world.link("b"));
    assert_eq!(home(&again).0, StatusCode::TOO_MANY_REQUESTS, "a second visit is no second account");
    let other = world.follow(&world.link_of("c", "u-82"));
    assert_eq!(home(&other).0, StatusCode::OK);

    for place in ["/copy", "/copy/your-data.zip", "/erased", "/erased/receipt.jws"] {
        let Page(status, _, _) = world.ask(Method::GET, place, &[(COOKIE, &cookie)], "");
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{place}");
    }
    let press =
        |place: &str, rest: &str| world.ask(Method::POST, place, &[(COOKIE, &cookie)], &format!("form={form}{rest}")).0;
    assert_eq!(press("/copy", ""), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(press("/erase", ""), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(press("/decide", "&purpose=all&allow=yes"), StatusCode::TOO_MANY_REQUESTS);
    assert!(world.told.lock().asked.is_empty());
    assert!(world.told.lock().decisions.is_empty());

    assert_eq!(press("/decide", "&purpose=all&allow=no"), StatusCode::SEE_OTHER);
    let told: Vec<_> = world.told.lock().decisions.iter().map(|(decision, _)| decision.clone()).collect();
    assert_eq!(told, ["refuse"]);
    let Page(status, _, page) = world.ask(Method::GET, "/?done=all-no", &[(COOKIE, &cookie)], "");
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("All purposes: stopped."), "{page}");
    // Nor does a loop of nos use up what others need.
    let passed = (0..100).filter(|_| press("/decide", "&purpose=all&allow=no") == StatusCode::SEE_OTHER).count();
    assert_eq!(passed, 18);
}

#[test]
fn no_is_said_again_where_the_api_has_no_room() {
    let world = World::new();
    let (cookie, form) = world.enter("a");
    let decide = |allow: &str| {
        world.told.lock().busy = 1;
        let form = format!("form={form}&purpose=reliability&allow={allow}");
        world.ask(Method::POST, "/decide", &[(COOKIE, &cookie)], &form).0
    };
    assert_eq!(decide("yes"), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(decide("no"), StatusCode::SEE_OTHER);
    assert_eq!(world.told.lock().decisions, [("refuse".to_owned(), vec!["reliability".to_owned()])]);
}
