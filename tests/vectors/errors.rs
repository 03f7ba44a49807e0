//! errors.json: error events, the context of a task, and duplicates.
//!
//! The original takes options of any type, ours typed calls. What can be said in them is said, and compared whole, with
//! these differences, each a rule for any case:
//!
//! - A text is UTF-8: one that is not cannot be said. A limit of 0 (texts) or below 0 (breadcrumbs) is refused by the
//!   configuration. Headers are texts: a list or map as a header cannot be said.
//! - `nil` is left out: an option then has its default, a pair is not there.
//! - The value of a secret key is redacted by the words of the key, in URL queries too; the original takes whole keys only.
//! - A nested value is compact JSON in which the same holds; a float is what JSON makes of it.
//! - Breadcrumbs: the latest stay. Tags, contexts and breadcrumbs of a call add to the stored ones.
//! - A type is Rust's, so exceptions are compared by their values.

use std::path::Path;
use std::time::Duration;

use flame_on::testing::TestAgent;
use flame_on::{Breadcrumb, ErrorEvent, Report, RequestContext, Severity, TraceId, User};
use serde_json::{Map, Value, json};

const FILE: &str = "errors.json";

/// One line for each case that fails.
pub(crate) fn run(dir: &Path) -> Vec<String> {
    let vectors = match super::terms::read(dir, FILE) {
        Ok(vectors) => vectors,
        Err(failure) => return vec![failure],
    };
    let list = |name: &str| vectors[name].as_array().cloned().unwrap_or_default();
    let (cases, contexts, dedupe) = (list("cases"), list("context_cases"), list("dedupe_cases"));
    if cases.is_empty() || contexts.is_empty() || dedupe.is_empty() {
        return vec![format!("{FILE}: a list of cases is missing")];
    }
    let all = || cases.iter().chain(&contexts);
    let said = all().filter(|case| can_be_said(case)).count();
    let mut failures: Vec<String> = all().filter(|case| can_be_said(case)).filter_map(check_event).collect();
    failures.extend(dedupe.iter().filter_map(check_duplicates));
    // A rule that excluded most of the file would make this test worth nothing.
    if said * 10 < 8 * all().count() {
        failures.push(format!("{FILE}: only {said} of {} cases can be said", all().count()));
    }
    failures
}

fn option<'a>(case: &'a Value, name: &str) -> Option<&'a Value> {
    let options = case["opts"].as_array()?.iter();
    options.filter(|option| option[0] == name).map(|option| &option[1]).next_back()
}

fn number(case: &Value, name: &str) -> Option<i64> {
    option(case, name)?["v"].as_str()?.parse().ok()
}

fn can_be_said(case: &Value) -> bool {
    let is_text = !case["message"].is_object() || text(&case["message"]).is_some();
    let limits =
        number(case, "max_string_length").unwrap_or(1) >= 1 && number(case, "max_breadcrumbs").unwrap_or(0) >= 0;
    is_text && limits && !case["expected"].is_null()
}

fn is_nil(term: &Value) -> bool {
    term["t"] == "atom" && term["v"] == "nil"
}

/// A scalar as text; `None` for anything else, and for what is not UTF-8.
fn text(term: &Value) -> Option<String> {
    match term["t"].as_str()? {
        "str" | "int" | "float" => Some(term["v"].as_str()?.to_owned()),
        "atom" => Some(if is_nil(term) { String::new() } else { term["v"].as_str()?.to_owned() }),
        "list" => {
            let codes =
                term["v"].as_array()?.iter().map(|code| code["v"].as_str()?.parse().ok().and_then(char::from_u32));
            codes.collect()
        }
        _ => None,
    }
}

fn pairs(term: &Value) -> Vec<(String, &Value)> {
    let entries = term["v"].as_array().filter(|_| term["t"] == "map").into_iter().flatten();
    entries.filter_map(|pair| Some((text(&pair[0])?, &pair[1]))).filter(|(_, value)| !is_nil(value)).collect()
}

fn field(term: &Value, name: &str) -> Option<String> {
    pairs(term).into_iter().find(|(key, _)| key == name).and_then(|(_, value)| text(value))
}

/// A term as the JSON that a Rust service would have given.
fn to_json(term: &Value) -> Value {
    match term["t"].as_str() {
        Some("map") => Value::Object(pairs(term).into_iter().map(|(key, value)| (key, to_json(value))).collect()),
        Some("list") => term["v"].as_array().into_iter().flatten().map(to_json).collect(),
        Some("int") => term["v"].as_str().and_then(|digits| digits.parse::<i64>().ok()).map_or_else(
            // Larger than JSON's numbers in this library.
            || term["v"].clone(),
            Value::from,
        ),
        Some("float") => {
            term["v"].as_str().and_then(|digits| digits.parse::<f64>().ok()).map_or(Value::Null, Value::from)
        }
        Some("atom") if term["v"] == "true" || term["v"] == "false" => Value::from(term["v"] == "true"),
        Some("atom") if is_nil(term) => Value::Null,
        _ => term["v"].clone(),
    }
}

/// What becomes of a value under a key.
fn shown(key: &str, term: &Value, secret: &[String]) -> Value {
    fn nested(value: Value, secret: &[String]) -> Value {
        match value {
            Value::Object(map) => map
                .into_iter()
                .map(|(key, value)| {
                    let value = if is_secret(&key, secret) { "[REDACTED]".into() } else { nested(value, secret) };
                    (key, value)
                })
                .collect::<Map<_, _>>()
                .into(),
            Value::Array(list) => list.into_iter().map(|value| nested(value, secret)).collect(),
            value => value,
        }
    }
    if is_secret(key, secret) {
        return "[REDACTED]".into();
    }
    match nested(to_json(term), secret) {
        Value::String(text) => text.into(),
        // Compared as a number.
        Value::Number(number) if number.is_f64() => number.into(),
        value => value.to_string().into(),
    }
}

/// The rule of semantics.md, written down a second time.
fn is_secret(key: &str, secret: &[String]) -> bool {
    const LISTED: [&str; 9] =
        ["authorization", "cookie", "set-cookie", "password", "passwd", "secret", "token", "api_key", "api-key"];
    let words = words(key);
    LISTED.iter().copied().chain(secret.iter().map(String::as_str)).any(|listed| {
        let listed = self::words(listed);
        words.windows(listed.len().max(1)).any(|row| row == listed) || words.concat() == listed.concat()
    })
}

fn words(key: &str) -> Vec<String> {
    let mut spaced = String::new();
    let mut was_lower = false;
    for c in key.chars() {
        if was_lower && c.is_uppercase() {
            spaced.push(' ');
        }
        was_lower = c.is_lowercase();
        spaced.extend(if "_-. ".contains(c) { ' ' } else { c }.to_lowercase());
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

fn check_event(case: &Value) -> Option<String> {
    let got = comparable(&capture(case));
    let expected = expected(case);
    let differing: Vec<String> = expected
        .as_object()?
        .iter()
        .filter(|(key, value)| got[key.as_str()] != **value)
        .map(|(key, value)| format!("{key}: expected {value} got {}", got[key.as_str()]))
        .collect();
    (!differing.is_empty()).then(|| format!("{FILE} {} {}: {}", case["id"], case["name"], differing.join("; ")))
}

/// Says the case, on a thread of its own: its context is the case's.
fn capture(case: &Value) -> ErrorEvent {
    let agent = TestAgent::with(|config| {
        let mut config = config;
        for (name, value) in [("environment", 0), ("service", 1), ("release", 2)] {
            let Some(text) = option(case, name).and_then(text).filter(|text| !text.is_empty()) else { continue };
            config = match value {
                0 => config.environment(text),
                1 => config.service(text),
                _ => config.release(text),
            };
        }
        if let Some(limit) = number(case, "max_string_length").and_then(|limit| usize::try_from(limit).ok()) {
            config = config.max_string_length(limit);
        }
        if let Some(limit) = number(case, "max_breadcrumbs").and_then(|limit| usize::try_from(limit).ok()) {
            config = config.max_breadcrumbs(limit);
        }
        config.error_flush_interval(Duration::from_secs(60))
    })
    .expect("an agent");
    std::thread::scope(|threads| {
        threads.spawn(|| agent.in_context(|| say(case))).join().expect("no panic");
    });
    let mut events = agent.errors_blocking();
    assert_eq!(events.len(), 1, "case {}: {:?}", case["id"], agent.stats());
    events.remove(0)
}

#[derive(Debug)]
struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

fn say(case: &Value) {
    let mut trace_id = None;
    for op in case["ops"].as_array().into_iter().flatten() {
        match op[0].as_str() {
            Some("set_user") => flame_on::set_user(Some(user(&op[1]))),
            Some("set_tags") => {
                pairs(&op[1]).into_iter().for_each(|(key, value)| flame_on::set_tag(key, text(value).unwrap()))
            }
            Some("set_context") => flame_on::set_context(text(&op[1]).unwrap(), to_json(&op[2])),
            Some("add_breadcrumb") => flame_on::add_breadcrumb(breadcrumb(&op[1])),
            // What runs in a trace has its id; here it is given.
            Some("put_trace_id") => trace_id = text(&op[1]).and_then(|id| id.parse::<TraceId>().ok()),
            Some("clear") => flame_on::clear_context(),
            op => panic!("an unknown operation: {op:?}"),
        }
    }
    let failure = Failure(case["exception"]["message"].as_str().unwrap_or_default().to_owned());
    let mut report = match &case["message"] {
        Value::Null => Report::error(&failure),
        Value::String(message) => Report::message(message.clone()),
        term => Report::message(text(term).unwrap()),
    };
    if let Some(trace_id) = trace_id {
        report = report.trace_id(trace_id);
    }
    for option in case["opts"].as_array().into_iter().flatten() {
        report = said(report, option[0].as_str().unwrap(), &option[1]);
    }
    report.capture();
}

fn said<'e>(report: Report<'e>, name: &str, term: &Value) -> Report<'e> {
    let list = || term["v"].as_array().cloned().unwrap_or_default();
    match name {
        "user" if is_nil(term) => report.user(None),
        _ if is_nil(term) => report,
        "route" => report.route(text(term).unwrap()),
        "severity" => report.severity(severity(&text(term).unwrap())),
        "handled" => report.handled(term["v"] == "true"),
        "span_id" => report.span_id(text(term).unwrap()),
        "trace_id" => report.trace_id(text(term).unwrap().parse().unwrap()),
        "fingerprint" => report.fingerprint(list().iter().map(|part| text(part).unwrap())),
        "redact_fields" => report.redact(list().iter().map(|key| text(key).unwrap())),
        "tags" => pairs(term).into_iter().fold(report, |report, (key, value)| report.tag(key, text(value).unwrap())),
        "contexts" => pairs(term).into_iter().fold(report, |report, (key, value)| report.context(key, Term(value))),
        "breadcrumbs" => list().iter().fold(report, |report, crumb| report.breadcrumb(breadcrumb(crumb))),
        "user" => report.user(user(term)),
        "request" => report.request(request(term)),
        _ => report,
    }
}

/// A term that serializes as a Rust service's value would.
struct Term<'a>(&'a Value);

impl serde::Serialize for Term<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number =
            self.0["v"].as_str().filter(|_| self.0["t"] == "int").and_then(|digits| digits.parse::<i128>().ok());
        match number {
            Some(number) => serializer.serialize_i128(number),
            None => to_json(self.0).serialize(serializer),
        }
    }
}

fn severity(word: &str) -> Severity {
    let all = [Severity::Debug, Severity::Info, Severity::Warning, Severity::Error, Severity::Fatal];
    all.into_iter().find(|severity| severity.as_str() == word).expect("a severity")
}

fn user(term: &Value) -> User {
    let mut user = User::default();
    user.id = field(term, "id");
    user.email = field(term, "email");
    user.username = field(term, "username");
    user.ip_address = field(term, "ip_address");
    user
}

fn breadcrumb(term: &Value) -> Breadcrumb {
    let text_of = |name| field(term, name).unwrap_or_default();
    let data = pairs(term).into_iter().find(|(key, _)| key == "data").map(|(_, data)| pairs(data)).unwrap_or_default();
    let crumb = Breadcrumb::new(text_of("category"), text_of("message"));
    data.into_iter().fold(crumb, |crumb, (key, value)| crumb.data(key, text(value).unwrap()))
}

fn request(term: &Value) -> RequestContext {
    let text_of = |name| field(term, name).unwrap_or_default();
    let request = RequestContext::new(text_of("method"), text_of("url")).route(text_of("route"));
    headers(term).into_iter().fold(request.remote_addr(text_of("remote_addr")), |request, (key, value)| {
        request.header(key, text(value).unwrap())
    })
}

fn headers(request: &Value) -> Vec<(String, &Value)> {
    let headers = pairs(request).into_iter().find(|(key, _)| key == "headers").map(|(_, headers)| headers);
    headers.map(pairs).unwrap_or_default().into_iter().filter(|(_, value)| is_scalar(value)).collect()
}

fn is_scalar(term: &Value) -> bool {
    matches!(term["t"].as_str(), Some("str" | "atom" | "int" | "float"))
}

fn comparable(event: &ErrorEvent) -> Value {
    let crumbs = event.breadcrumbs.iter().map(|crumb| {
        json!({ "category": crumb.category, "message": crumb.message, "type": crumb.kind,
                "level": crumb.level.as_str(), "data": numbers(&json!(crumb.data)) })
    });
    let text_of = |text: &Option<String>| text.clone().unwrap_or_default();
    json!({
        "environment": &*event.environment,
        "service": &*event.service,
        "release": &*event.release,
        "route": event.route,
        "severity": event.severity.as_str(),
        "message": event.message,
        "handled": event.handled,
        "trace_id": event.trace_id.map(|id| id.to_string()).unwrap_or_default(),
        "span_id": event.span_id,
        "fingerprint": event.fingerprint,
        "exceptions": event.exceptions.iter().map(|exception| exception.value.clone()).collect::<Vec<_>>(),
        "request": event.request.as_ref().map(|request| json!({
            "method": request.method, "url": request.url, "route": request.route,
            "remote_addr": request.remote_addr,
            "headers": request.headers.iter().map(|(key, value)| json!([key, value])).collect::<Vec<_>>(),
        })),
        "user": event.user.as_ref().map(|user| json!({
            "id": text_of(&user.id), "email": text_of(&user.email), "username": text_of(&user.username),
            "ip_address": text_of(&user.ip_address),
        })),
        "breadcrumbs": crumbs.collect::<Vec<_>>(),
        "tags": numbers(&json!(event.tags)),
        "contexts": numbers(&json!(event.contexts)),
    })
}

/// Texts that are floats as numbers: they are compared by value.
fn numbers(pairs: &Value) -> Value {
    let number = |value: &Value| {
        let text = value.as_str()?;
        let is_float = text.contains(['.', 'e']) && text.starts_with(|c: char| c.is_ascii_digit());
        text.parse::<f64>().ok().filter(|_| is_float).map(Value::from)
    };
    let pairs = pairs.as_object().into_iter().flatten();
    pairs
        .map(|(key, value)| (key.clone(), number(value).unwrap_or_else(|| value.clone())))
        .collect::<Map<_, _>>()
        .into()
}

fn expected(case: &Value) -> Value {
    let mut expected = case["expected"].clone();
    let secret: Vec<String> = option(case, "redact_fields")
        .and_then(|list| Some(list["v"].as_array()?.iter().filter_map(text).collect()))
        .unwrap_or_default();
    let limit = number(case, "max_string_length");
    expected["platform"].take();
    for (name, default) in
        [("environment", "production"), ("service", "unknown"), ("release", "unknown"), ("severity", "error")]
    {
        if option(case, name).is_some_and(is_nil) {
            expected[name] = default.into();
        }
    }
    for name in ["tags", "contexts"] {
        let mut all = Map::new();
        for op in case["ops"].as_array().into_iter().flatten() {
            match (op[0].as_str(), name) {
                (Some("set_tags"), "tags") => {
                    all.extend(
                        pairs(&op[1]).into_iter().map(|(key, value)| (key.clone(), shown(&key, value, &secret))),
                    );
                }
                (Some("set_context"), "contexts") => {
                    let key = text(&op[1]).unwrap();
                    all.insert(key.clone(), shown(&key, &op[2], &secret));
                }
                _ => {}
            }
        }
        let own = option(case, name).map(pairs).unwrap_or_default();
        all.extend(own.into_iter().map(|(key, value)| (key.clone(), shown(&key, value, &secret))));
        if limit.is_none() {
            expected[name] = all.into();
        } else {
            // Cut by the original.
            let pairs = expected[name].as_array().cloned().unwrap_or_default();
            expected[name] = pairs
                .into_iter()
                .map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].clone()))
                .collect::<Map<_, _>>()
                .into();
        }
        expected[name] = numbers(&expected[name]);
    }
    let stored = case["ops"].as_array().into_iter().flatten().filter(|op| op[0] == "add_breadcrumb").map(|op| &op[1]);
    let own = option(case, "breadcrumbs").and_then(|list| list["v"].as_array()).into_iter().flatten();
    let crumbs: Vec<Value> = stored.chain(own).map(|crumb| crumb_shown(crumb, &secret)).collect();
    let kept = usize::try_from(number(case, "max_breadcrumbs").unwrap_or(50)).unwrap();
    expected["breadcrumbs"] = crumbs.into_iter().rev().take(kept).rev().collect();
    if let Some(term) = option(case, "request").filter(|term| !is_nil(term)) {
        let url = expected["request"]["url"].as_str().unwrap_or_default().to_owned();
        expected["request"]["url"] = url_shown(&url, &secret).into();
        let headers = headers(term).into_iter().map(|(key, value)| json!([key, shown_text(&key, value, &secret)]));
        expected["request"]["headers"] = headers.collect();
    }
    let exceptions =
        expected["exceptions"].as_array().into_iter().flatten().map(|exception| exception["value"].clone());
    expected["exceptions"] = exceptions.collect();
    expected
}

fn shown_text(key: &str, term: &Value, secret: &[String]) -> Value {
    if is_secret(key, secret) { "[REDACTED]".into() } else { text(term).unwrap_or_default().into() }
}

fn crumb_shown(term: &Value, secret: &[String]) -> Value {
    let data = pairs(term).into_iter().find(|(key, _)| key == "data").map(|(_, data)| pairs(data)).unwrap_or_default();
    let data: Map<_, _> = data.into_iter().map(|(key, value)| (key.clone(), shown_text(&key, value, secret))).collect();
    json!({
        "category": field(term, "category").unwrap_or_default(), "message": field(term, "message").unwrap_or_default(),
        "type": "default", "level": "info", "data": data,
    })
}

fn url_shown(url: &str, secret: &[String]) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, _)) if is_secret(key, secret) => format!("{key}=[REDACTED]"),
        _ => pair.to_owned(),
    });
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

fn check_duplicates(case: &Value) -> Option<String> {
    // A window that is no number, or below 0, cannot be said: it is off.
    let window = case["window_ms"].as_i64().and_then(|window| u64::try_from(window).ok()).unwrap_or(0);
    let steps = case["steps"].as_array()?;
    let errors: Vec<(u64, u64)> =
        steps.iter().map(|step| (kind(&step["event"]), step["at_ms"].as_u64().unwrap_or_default())).collect();
    let got = flame_on::__vectors_errors::duplicates(window, &errors);
    let expected: Vec<bool> = steps.iter().map(|step| step["duplicate"] == true).collect();
    (got != expected).then(|| format!("{FILE} {} {}: expected {expected:?} got {got:?}", case["id"], case["name"]))
}

fn kind(event: &Value) -> u64 {
    let text_of = |key: &str| event[key].as_str().unwrap_or_default();
    // The vectors' ids are words.
    let trace_id = text_of("trace_id").bytes().fold(1_u128, |id, byte| id << 8 | u128::from(byte));
    let trace_id = format!("{:08x}-0000-4000-8000-{:012x}", 0, trace_id).parse().expect("an id");
    let value = event["value"].as_str().unwrap_or(text_of("message"));
    let report = match event["type"].as_str() {
        Some(_) => Report::message(value),
        None => Report::message(text_of("message")),
    };
    let report =
        report.severity(severity(text_of("severity"))).handled(event["handled"] == true).route(text_of("route"));
    let report = event["fingerprint"]
        .as_array()
        .into_iter()
        .flatten()
        .fold(report, |report, part| report.fingerprint([part.as_str().unwrap_or_default()]));
    flame_on::__vectors_errors::kind_of(&report, trace_id, event["type"].as_str(), &event["frame"].to_string())
}
