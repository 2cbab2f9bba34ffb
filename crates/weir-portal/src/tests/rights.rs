//! A copy and erasure, with an API that remembers what it was asked for.

use super::*;

/// Answers as the API does for copies and erasures; `None` for everything else.
pub(super) fn stand_in(told: &mut Told, method: &Method, path: &str, body: &str) -> Option<Response> {
    let right = ["/v1/access-requests", "/v1/erasures"].into_iter().find(|right| path.starts_with(right))?;
    if told.is_away {
        return Some((StatusCode::NOT_FOUND, r#"{"code":"not_found"}"#).into_response());
    }
    let place = format!("{right}/{}", "5".repeat(32));
    if *method == Method::POST {
        told.asked.push((path.to_owned(), serde_json::from_str(body).unwrap()));
        return Some((StatusCode::ACCEPTED, [(LOCATION, place)], r#"{"state":"waiting"}"#).into_response());
    }
    if told.state.is_null() {
        return Some((StatusCode::NOT_FOUND, r#"{"code":"request_unknown"}"#).into_response());
    }
    let product = path.strip_prefix(&place)?;
    Some(if product.is_empty() { told.state.to_string() } else { format!("what came of it{product}") }.into_response())
}

#[test]
fn person_takes_a_copy_and_is_erased() {
    let world = World::new();
    let (cookie, form) = world.enter("a");
    let get = |place: &str| world.ask(Method::GET, place, &[(COOKIE, &cookie)], "");
    let press = |place: &str| {
        let headers = [(COOKIE, &*cookie), (ORIGIN, ADDRESS)];
        let Page(status, headers, _) = world.ask(Method::POST, place, &headers, &format!("form={form}"));
        assert_eq!(status, StatusCode::SEE_OTHER);
        headers[LOCATION].to_str().unwrap().to_owned()
    };
    for (complete, says) in [(false, true), (true, false)] {
        world.told.lock().state = json!({ "state": "done", "complete": complete });
        let ready = get(&press("/copy")).2;
        assert!(ready.contains("Your copy is ready") && ready.contains("href=\"/copy/your-data.zip\""), "{ready}");
        assert_eq!(ready.contains("It is not everything"), says, "{ready}");
        world.told.lock().asked.truncate(1);
    }
    let Page(status, headers, copy) = get("/copy/your-data.zip");
    assert_eq!((status, &*copy), (StatusCode::OK, "what came of it/answer"));
    assert_eq!(headers[CONTENT_TYPE], "application/zip");
    assert_eq!(headers["content-disposition"], "attachment; filename=\"your-data.zip\"");

    let confirm = get("/erase").2;
    assert!(confirm.contains("It cannot be undone.") && confirm.contains("Keep everything and go back"), "{confirm}");
    for words in ["under the name with which you came", "another name of yours", "clean-up", "queues"] {
        assert!(confirm.contains(words), "{words}: {confirm}");
    }
    assert_eq!(world.told.lock().asked.len(), 1, "asking whether it is meant erases nothing");
    for (complete, title, words) in [
        (true, "Everything about you is erased under the name", "hold nothing more about you under that name"),
        (false, "Not everything about you is erased yet", "cannot be searched"),
    ] {
        world.told.lock().state = json!({ "state": "done", "complete": complete });
        let erased = get(&press("/erase")).2;
        for words in [title, words, "clean-up", "queues", "href=\"/erased/receipt.jws\""] {
            assert!(erased.contains(words), "{words}: {erased}");
        }
    }
    assert_eq!(get("/erased/receipt.jws").2, "what came of it/receipt");
    let asked = std::mem::take(&mut world.told.lock().asked);
    let names = json!({ "tenant": "acme", "ids": [{ "kind": "user", "id": "u-81" }] });
    let expected = ["/v1/access-requests", "/v1/erasures", "/v1/erasures"].map(|path| (path.to_owned(), names.clone()));
    assert_eq!(asked, expected);
    let home = get("/").2;
    assert!(home.contains("The erasure that you asked for") && home.contains("The copy that you asked for"), "{home}");

    // What is not there any more, and what went wrong, is said.
    world.told.lock().state = json!({ "state": "failed", "reason": "unavailable" });
    assert!(get("/erased").2.contains("It was not done"));
    world.told.lock().state = Value::Null;
    assert!(get("/erased").2.contains("Its time is over, or the service was started anew"));
    assert_eq!(get("/copy/your-data.zip").0, StatusCode::NOT_FOUND);
}

/// Nothing begins without a session, with another page's form or from elsewhere, and nothing of anybody else's is handed out.
#[test]
fn copy_and_erasure_are_the_sessions_own() {
    let world = World::new();
    let (cookie, form) = world.enter("a");
    let (_, others) = world.enter("b");
    world.told.lock().state = json!({ "state": "done" });
    for place in ["/copy", "/erase"] {
        for (headers, form, status) in [
            (&[(COOKIE, &*cookie)][..], &*others, StatusCode::FORBIDDEN),
            (&[(COOKIE, &cookie), (ORIGIN, "https://example.org")], &form, StatusCode::FORBIDDEN),
            (&[], &form, StatusCode::UNAUTHORIZED),
        ] {
            assert_eq!(world.ask(Method::POST, place, headers, &format!("form={form}")).0, status, "{place}");
        }
    }
    for place in ["/copy", "/copy/your-data.zip", "/erase", "/erased", "/erased/receipt.jws"] {
        assert_eq!(world.ask(Method::GET, place, &[], "").0, StatusCode::UNAUTHORIZED, "{place}");
    }
    let Page(status, _, page) = world.ask(Method::GET, "/erased/receipt.jws", &[(COOKIE, &cookie)], "");
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("There is nothing here"), "{page}");
    assert!(world.told.lock().asked.is_empty());
    world.told.lock().is_away = true;
    let Page(status, _, page) = world.ask(Method::POST, "/copy", &[(COOKIE, &cookie)], &format!("form={form}"));
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.contains("That is not to be had here") && page.contains("privacy@example.com"), "{page}");
}
