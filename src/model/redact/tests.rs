use std::borrow::Cow;

use proptest::prelude::*;

use super::event::EventRedactor;
use super::keys::SecretKeys;
use super::{text, url};
use crate::model::error_event::{ErrorEvent, EventOrigin};
use crate::model::ids::EventId;

fn clean(text: &str) -> String {
    text::redacted(text, &SecretKeys::default()).into_owned()
}

#[test]
fn secrets_in_text_go_and_the_rest_stays() {
    for (text, expected) in [
        ("password=x1 next", "password=[REDACTED] next"),
        ("bad token: x1, row 7", "bad token: [REDACTED], row 7"),
        (r#"{"token":"x1","id":7}"#, r#"{"token":"[REDACTED]","id":7}"#),
        (r#"{"token":"x\"1","id":7}"#, r#"{"token":"[REDACTED]","id":7}"#),
        (r#"{\"token\":\"x1\",\"id\":7}"#, r#"{\"token\":\"[REDACTED]\",\"id\":7}"#),
        (r#"{\"token\":\"x\\\"1\",\"id\":7}"#, r#"{\"token\":\"[REDACTED]\",\"id\":7}"#),
        (r#"Login { user: "bob", password: "x1" }"#, r#"Login { user: "bob", password: "[REDACTED]" }"#),
        (r#"Login { password: Some("x1"), id: 7 }"#, r#"Login { password: [REDACTED], id: 7 }"#),
        (r#"password: Secret { value: "x}1" }, id: 7"#, "password: [REDACTED], id: 7"),
        (r#"{"secret":{"a":["x]1"]},"id":7}"#, r#"{"secret":[REDACTED],"id":7}"#),
        (r#"[("token", "x1"), ("id", "7")]"#, r#"[("token", "[REDACTED]"), ("id", "7")]"#),
        (r#"[["token","x1"],["id","7"]]"#, r#"[["token","[REDACTED]"],["id","7"]]"#),
        (r#"["id","token","name"]"#, r#"["id","token","name"]"#),
        (r#"["token","name","id"]"#, r#"["token","name","id"]"#),
        (r#"ApiKey("x1") failed"#, "ApiKey[REDACTED] failed"),
        ("TokenError(Expired)", "TokenError(Expired)"),
        ("app::token::Error", "app::token::Error"),
        ("<password>x1</password>", "<password>[REDACTED]</password>"),
        ("run --password x1 --port 7", "run --password [REDACTED] --port 7"),
        ("Authorization: Basic eDpx\nHost: h", "Authorization: [REDACTED]\nHost: h"),
        ("Cookie: a=x1; b=x2\nHost: h", "Cookie: [REDACTED]\nHost: h"),
        ("sent Bearer x1y2z3", "sent Bearer [REDACTED]"),
        ("sent Basic dXNlcjpwYXNz to h", "sent Basic [REDACTED] to h"),
        ("Basic authentication failed", "Basic authentication failed"),
        ("Bearer of bad news", "Bearer of bad news"),
        ("token: Bearer x1 failed", "token: [REDACTED] failed"),
        ("postgres://bob:x1@db/shop", "postgres://[REDACTED]@db/shop"),
        ("eyJhbGciOi.eyJzdWIiOi.x1", "[REDACTED]"),
        ("api key: x1", "api key: [REDACTED]"),
        (":password => \"x1\"", ":password => \"[REDACTED]\""),
        ("'password': 'x1'", "'password': '[REDACTED]'"),
        ("\"password\" :\n  \"x1\"", "\"password\" :\n  \"[REDACTED]\""),
        ("a=1&password%3Dx1%26b", "a=1&[REDACTED]"),
        ("password: b\"x1\"", "password: b\"[REDACTED]\""),
        ("password: [1, 2, 3], id: 7", "password: [REDACTED], id: 7"),
        ("password=\"x1", "password=\"[REDACTED]"),
        ("tokenizer=bpe secretary=Ann authorized_at=1", "tokenizer=bpe secretary=Ann authorized_at=1"),
        ("key not found", "key not found"),
    ] {
        assert_eq!(clean(text), expected, "{text}");
        assert_eq!(clean(expected), expected, "again: {text}");
    }
}

#[test]
fn a_key_without_a_value_does_not_let_the_next_ones_stay() {
    assert_eq!(clean("{\"token\":\n\"secret\": \"x1\"\nend"), "{\"token\":\n\"[REDACTED]\nend");
    assert_eq!(clean("\"token\":\nsecret: Some(\"x1\") end"), "\"token\":\n[REDACTED] end");
}

#[test]
fn a_text_without_secrets_is_not_copied() {
    let text = "connection to 10.0.0.1:5432 refused (os error 111)";
    assert!(matches!(text::redacted(text, &SecretKeys::default()), Cow::Borrowed(same) if same == text));
}

/// What a secret may be surrounded by.
fn noise() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a", "=", ":", "\"", "'", "\\", "{", "}", "[", "]", "(", ")", ",", " ", "\n", "%", "%3D", "&", "?", "#", "://",
        "@", "token", "Bearer ", "<", ">", "--", "ä", "😀", "é́",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_taken_and_a_second_pass_is_never_longer(text in noise()) {
        let keys = SecretKeys::default();
        let once = text::redacted(&text, &keys).into_owned();
        let twice = text::redacted(&once, &keys).into_owned();
        prop_assert!(twice.len() <= once.len() + 10 * 24, "{text:?} {once:?} {twice:?}");
        url::redacted(&text, &keys);
    }

    #[test]
    fn a_quoted_secret_goes_whatever_is_before_it(before in "[a-z0-9 ,.]{0,20}", secret in "[A-Z]{8}") {
        let text = format!("{before} {{\"user_token\": \"{secret}\", \"n\": 1}}");
        prop_assert!(!clean(&text).contains(&secret), "{text}");
    }
}

#[test]
fn an_unbalanced_quote_before_a_secret_does_not_keep_it_in() {
    for planted in ["password=S3CR3T", "\"token\": \"S3CR3T\"", "secret: Some(\"S3CR3T\")"] {
        for between in ["\n", " "] {
            let text = format!("{{\"tokenL:\"x\u{2}x{between}{planted}{between}the end");
            let clean = clean(&text);
            assert!(!clean.contains("S3CR3T"), "{text:?} left {clean:?}");
        }
    }
}

#[test]
fn keys_without_end_inside_of_values_take_the_rest_of_the_text() {
    let text = format!("{} S3CR3T", "token:(".repeat(10_000));
    assert_eq!(clean(&text), "token:[REDACTED]");
}

#[test]
fn an_overlong_key_is_judged_as_it_is_and_as_it_is_shown() {
    let origin = EventOrigin { environment: "".into(), service: "".into(), release: "".into() };
    let (keys, long) = (SecretKeys::default(), "x".repeat(1_000));
    for (key, max) in [
        (format!("cookie {long}"), 2_000),
        (format!("{long} cookie"), 2_000),
        (format!("cookie {long}"), 20),
        (format!("{long} cookie {long}"), 1_007),
    ] {
        let mut event = ErrorEvent::new(EventId::NIL, std::time::SystemTime::UNIX_EPOCH, &origin);
        event.tags.insert(key.clone(), "S3CR3T".into());
        EventRedactor { keys: &keys, max_string_length: max, max_breadcrumbs: 3 }.redact(&mut event);
        assert!(!event.tags.values().any(|value| value == "S3CR3T"), "{key:.20} cut at {max}");
    }
}
