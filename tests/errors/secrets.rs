//! A corpus of secrets in the shapes that services have them in, none of which may leave; and what must stay.

use std::collections::BTreeMap;

use flame_on::testing::TestAgent;
use flame_on::{Breadcrumb, ErrorEvent, Report, RequestContext, User};
use serde_json::json;

/// Stands for the secret in every shape; what it is depends on the shape.
const SECRET: &str = "hunter2x9Z";
/// `user:hunter2x9Z` in base64.
const BASIC: &str = "dXNlcjpodW50ZXIyeDla";
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.aHVudGVyMng5Wg";

/// Texts as they stand in messages, `Debug` output, bodies and logs.
fn texts() -> Vec<String> {
    #[derive(Debug)]
    #[allow(dead_code, reason = "shown by Debug")]
    struct Login {
        user: &'static str,
        password: Option<&'static str>,
        attempt: u32,
    }
    #[derive(Debug)]
    #[allow(dead_code, reason = "shown by Debug")]
    struct ApiKey(&'static str);
    let s = SECRET;
    let headers: BTreeMap<_, _> = [("authorization", s), ("accept", "*/*")].into();
    vec![
        // JSON
        format!(r#"{{"password":"{s}"}}"#),
        format!(r#"{{"user":{{"accessToken":"{s}","id":7}}}}"#),
        format!(r#"{{ "client_secret" : "{s}" , "a": 1 }}"#),
        format!("{{\n  \"api_key\":\n    \"{s}\"\n}}"),
        format!(r#"{{"token":["a","{s}"],"id":7}}"#),
        format!(r#"{{"secret":{{"value":"{s}","n":1}}}}"#),
        format!(r#"[["set-cookie","{s}"],["a","b"]]"#),
        serde_json::to_string(&format!(r#"{{"password":"{s}"}}"#)).unwrap(),
        serde_json::to_string(&serde_json::to_string(&format!(r#"{{"password":"{s}"}}"#)).unwrap()).unwrap(),
        // Queries and URLs
        format!("GET /login?user=bob&password={s}&x=1 failed"),
        format!("https://h/cb#access_token={s}"),
        format!("postgres://bob:{s}@db.internal:5432/shop"),
        format!("redis://:{s}@cache"),
        format!("user[password]={s}"),
        format!("next=%2Flogin%3Ftoken%3D{s}"),
        format!("next=%252Flogin%253Ftoken%253D{s}"),
        // Headers
        format!("Authorization: Bearer {s}"),
        format!("authorization: Basic {BASIC}"),
        format!("Proxy-Authorization: Digest username=\"bob\", response=\"{s}\""),
        format!("Cookie: theme=dark; session={s}; lang=en"),
        format!("Set-Cookie: id={s}; HttpOnly"),
        format!("X-Api-Key: {s}"),
        format!("curl -H 'X-Auth-Token: {s}' https://h"),
        format!("{headers:?}"),
        format!("{:?}", [("x-api-key", s)]),
        // Debug
        format!("{:?}", Login { user: "bob", password: Some(s), attempt: 1 }),
        format!("{:#?}", Login { user: "bob", password: Some(s), attempt: 1 }),
        format!("{:?}", ApiKey(s)),
        format!("{:?}", format!("{:?}", Login { user: "bob", password: Some(s), attempt: 1 })),
        format!("Config {{ api_key: Secret {{ inner: \"{s}\" }}, port: 1 }}"),
        format!("Config {{ token: b\"{s}\" }}"),
        // Other notations
        format!("password={s}"),
        format!("PASSWORD = {s}"),
        format!("export DB_PASSWORD='{s}'"),
        format!(":password => \"{s}\""),
        format!("userPassword: {s}"),
        format!("--api-key {s} --port 80"),
        format!("--token={s}"),
        format!("<password>{s}</password>"),
        format!("password: `{s}`"),
        // By their looks
        format!("sent Bearer {s}{s}"),
        format!("sent Basic {BASIC} to h"),
        format!("the token {JWT} is expired"),
    ]
}

/// Keys whose values are secrets, in the notations of several languages.
const KEYS: [&str; 14] = [
    "password",
    "PASSWORD",
    "userPassword",
    "user_password_hash",
    "access_token",
    "refreshToken",
    "apikey",
    "x-api-key",
    "client.secret",
    "Set-Cookie",
    "cookie",
    "proxy-authorization",
    "csrf token",
    "passwd",
];

const INNOCENT: [&str; 8] =
    ["tokenizer", "secretary", "authorized_at", "cookies_accepted", "passwordless", "monkey", "key", "tokens"];

fn leaks(event: &ErrorEvent) -> bool {
    let shown = format!("{event:?}");
    [SECRET, BASIC, JWT].iter().any(|secret| shown.contains(secret))
}

fn captured(agent: &TestAgent, report: Report<'_>) -> ErrorEvent {
    agent.capture(report);
    agent.errors_blocking().remove(0)
}

#[test]
fn no_text_with_a_secret_leaves_from_any_place_of_an_event() {
    let agent = TestAgent::start().unwrap();
    let texts = texts();
    assert!(texts.len() >= 40, "{}", texts.len());
    for text in texts {
        let error = std::io::Error::other(text.clone());
        let places: [Report<'_>; 9] = [
            Report::message(text.clone()),
            Report::error(&error),
            Report::message("x").tag("note", &text),
            Report::message("x").context("note", &text),
            Report::message("x").context("nested", json!({ "body": [text] })),
            Report::message("x").breadcrumb(Breadcrumb::new("log", text.clone()).data("line", &text)),
            Report::message("x").request(RequestContext::new("GET", text.clone()).header("referer", text.clone())),
            Report::message("x").user(User::id(text.clone())),
            Report::message("x").fingerprint([text.clone()]).route(text.clone()),
        ];
        for (place, report) in places.into_iter().enumerate() {
            let event = captured(&agent, report);
            assert!(!leaks(&event), "place {place}: {text}\n{event:#?}");
        }
    }
}

#[test]
fn no_value_of_a_secret_key_leaves_from_any_place_of_an_event() {
    let agent = TestAgent::start().unwrap();
    for key in KEYS {
        let places: [Report<'_>; 7] = [
            Report::message("x").tag(key, SECRET),
            Report::message("x").context(key, SECRET),
            Report::message("x").context(key, json!({ "a": [SECRET] })),
            Report::message("x").context("a", json!({ "b": [{ key: { "c": SECRET } }] })),
            Report::message("x").context("a", [(key, SECRET)]),
            Report::message("x").breadcrumb(Breadcrumb::new("a", "b").data(key, SECRET)),
            Report::message("x").request(RequestContext::new("GET", "/").header(key, SECRET)),
        ];
        for (place, report) in places.into_iter().enumerate() {
            let event = captured(&agent, report);
            assert!(!leaks(&event), "place {place}: {key}\n{event:#?}");
        }
    }
}

#[test]
fn innocent_keys_and_texts_stay() {
    let agent = TestAgent::start().unwrap();
    for key in INNOCENT {
        let text = format!("{key}=kept {key}: kept {{\"{key}\": \"kept\"}} ?{key}=kept&a=1");
        let report = Report::message(text.clone()).tag(key, "kept").context("a", json!({ key: "kept" }));
        let event = captured(&agent, report.request(RequestContext::new("GET", "/").header(key, "kept")));
        assert_eq!((event.message.as_str(), event.tags[key].as_str()), (text.as_str(), "kept"));
        assert_eq!(event.contexts["a"], format!("{{\"{key}\":\"kept\"}}"));
        assert_eq!(event.request.unwrap().headers[0].1, "kept");
    }
    for text in [
        "connection to 10.0.0.1:5432 refused (os error 111)",
        "no rows in `orders` where id = 7",
        "Basic authentication is not allowed here",
        "thread 'main' panicked at src/main.rs:7:5",
        "GET https://shop.example/users/7?page=2 took 7 ms",
    ] {
        assert_eq!(captured(&agent, Report::message(text)).message, text);
    }
}

#[test]
fn further_keys_of_a_report_hold_for_what_the_context_has_too() {
    let agent = TestAgent::start().unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            agent.in_context(|| {
                flame_on::set_tag("iban", SECRET);
                flame_on::set_context("order", json!({ "cardNumber": SECRET, "id": 7 }));
                flame_on::add_breadcrumb(Breadcrumb::new("a", format!("iban={SECRET}")).data("IBAN", SECRET));
                Report::message("x").redact(["iban", "card_number"]).capture();
            });
        });
    });
    let event = agent.errors_blocking().remove(0);
    assert!(!leaks(&event), "{event:#?}");
    assert_eq!(event.contexts["order"], r#"{"cardNumber":"[REDACTED]","id":7}"#);
}
