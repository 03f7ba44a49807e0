use std::error::Error;
use std::fmt;

use flame_on::testing::TestAgent;
use flame_on::{Breadcrumb, EventId, FlameOn, Report, RequestContext, Severity, User};

#[derive(Debug, thiserror::Error)]
#[error("the order is not paid")]
struct NotPaid(#[source] NoConnection);

#[derive(Debug, thiserror::Error)]
#[error("no connection to the bank")]
struct NoConnection(#[source] std::io::Error);

fn not_paid() -> NotPaid {
    NotPaid(NoConnection(std::io::Error::other("timed out")))
}

fn captured(capture: impl FnOnce()) -> flame_on::ErrorEvent {
    let agent = TestAgent::start().unwrap();
    agent.in_context(capture);
    let mut events = agent.errors_blocking();
    assert_eq!(events.len(), 1, "{:?}", agent.stats());
    events.remove(0)
}

#[test]
fn the_whole_chain_is_told_from_the_captured_error_to_its_root_cause() {
    let event = captured(|| {
        flame_on::capture_error(&not_paid());
    });
    let told: Vec<_> = event.exceptions.iter().map(|e| (e.type_name.as_str(), e.value.as_str())).collect();
    assert_eq!(
        told,
        [
            ("errors::api::NotPaid", "the order is not paid"),
            ("", "no connection to the bank"),
            ("std::io::error::Error", "timed out"),
        ]
    );
    assert_eq!(
        (event.message.as_str(), event.handled, event.severity),
        ("the order is not paid", true, Severity::Error)
    );
    assert!(event.exceptions[1..].iter().all(|exception| exception.frames.is_empty()));
}

#[test]
fn a_report_says_everything() {
    let event = captured(|| {
        Report::error(&not_paid())
            .severity(Severity::Fatal)
            .handled(false)
            .route("checkout")
            .span_id("b7ad6b7169203331")
            .trace_id("0af76519-16cd-43dd-8448-eb211c80319c".parse().unwrap())
            .tag("shop", "eu")
            .context("order", serde_json::json!({"id": 7, "card": {"iban": "DE01"}}))
            .fingerprint(["payment", "bank"])
            .user(User::id("7").email("a@b").username("ann").ip_address("::1"))
            .request(RequestContext::new("GET", "/orders/7?token=x").route("/orders/{id}").header("iban", "DE01"))
            .breadcrumb(Breadcrumb::new("cart", "added").data("sku", 7).level(Severity::Warning))
            .redact(["IBAN"])
            .capture();
    });
    assert_eq!((event.severity, event.handled, event.route.as_str()), (Severity::Fatal, false, "checkout"));
    assert_eq!(event.trace_id.unwrap().to_string(), "0af76519-16cd-43dd-8448-eb211c80319c");
    assert_eq!(event.span_id, "b7ad6b7169203331");
    assert_eq!(event.tags["shop"], "eu");
    assert_eq!(event.contexts["order"], r#"{"card":{"iban":"[REDACTED]"},"id":7}"#);
    assert_eq!(event.fingerprint, ["payment", "bank"]);
    assert_eq!(event.user.unwrap().email.as_deref(), Some("a@b"));
    let request = event.request.unwrap();
    assert_eq!((request.url.as_str(), request.route.as_str()), ("/orders/7?token=[REDACTED]", "/orders/{id}"));
    assert_eq!(request.headers, [("iban".to_owned(), "[REDACTED]".to_owned())]);
    assert_eq!((event.breadcrumbs[0].level, event.breadcrumbs[0].data["sku"].as_str()), (Severity::Warning, "7"));
}

#[test]
fn anyhow_errors_keep_their_contexts() {
    use anyhow::Context as _;
    let error = std::fs::read_to_string("/none").context("cannot read the price list").unwrap_err();
    let event = captured(|| {
        flame_on::capture_anyhow(&error);
    });
    let values: Vec<_> = event.exceptions.iter().map(|exception| exception.value.as_str()).collect();
    assert_eq!(values[0], "cannot read the price list");
    // In the words of the operating system.
    assert_eq!(values[1], std::io::Error::from_raw_os_error(2).to_string());
    assert_eq!(event.exceptions[1].type_name, "std::io::error::Error");
}

#[test]
fn boxed_errors_and_messages_are_told_too() {
    let boxed: Box<dyn Error + Send + Sync> = "boxed".into();
    let event = captured(|| {
        Report::dyn_error(&*boxed).capture();
    });
    assert_eq!((event.message.as_str(), event.exceptions.len()), ("boxed", 1));
    let event = captured(|| {
        flame_on::capture_message("odd", Severity::Info);
    });
    assert_eq!((event.message.as_str(), event.severity, event.exceptions.len()), ("odd", Severity::Info, 0));
}

#[test]
fn without_an_agent_that_captures_errors_nothing_happens() {
    assert_eq!(FlameOn::disabled().capture(Report::message("x")), EventId::NIL);
    let agent = TestAgent::with(|config| config.capture_errors(false)).unwrap();
    agent.in_context(|| assert!(flame_on::capture_message("x", Severity::Error).is_nil()));
    assert!(agent.errors_blocking().is_empty());
}

#[test]
fn after_the_end_of_the_agent_errors_are_counted_and_dropped() {
    let agent = TestAgent::start().unwrap();
    let handle = agent.handle();
    tokio::runtime::Runtime::new().unwrap().block_on(agent.shutdown());
    assert!(handle.capture(Report::message("late")).is_nil());
    assert_eq!((handle.stats().errors_captured, handle.stats().errors_not_running), (0, 1));
}

/// An error whose own code is as bad as it can be.
#[derive(Debug)]
enum Hostile {
    Panics,
    Fails,
    Captures,
    Endless,
}

impl fmt::Display for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panics => panic!("in a Display"),
            Self::Fails => write!(f, "half of").and(Err(fmt::Error)),
            Self::Captures => {
                let id = flame_on::capture_message("inside", Severity::Error);
                write!(f, "captured {}", id.is_nil())
            }
            // Ends when the text is as long as it can get.
            Self::Endless => loop {
                f.write_str("for ever ")?;
            },
        }
    }
}

impl Error for Hostile {}

/// A chain that is a circle.
#[derive(Debug)]
struct Circle;

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("round")
    }
}

impl Error for Circle {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Circle)
    }
}

#[test]
fn hostile_errors_do_no_harm() {
    let agent = TestAgent::start().unwrap();
    agent.in_context(|| {
        assert!(flame_on::capture_error(&Hostile::Panics).is_nil());
        flame_on::capture_error(&Hostile::Fails);
        flame_on::capture_error(&Hostile::Captures);
        flame_on::capture_error(&Circle);
    });
    let events = agent.errors_blocking();
    let messages: Vec<_> = events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(messages, ["half of", "captured true", "round"]);
    assert_eq!(events[2].exceptions.len(), 32);
    assert_eq!(agent.stats().error_capture_panics, 1);
    assert!(agent.stats().errors_within_capture >= 1);
}

#[test]
fn an_endless_text_is_cut() {
    // Its kind is hashed without a bound unless something stops it: so must be the capture.
    let event = captured(|| {
        flame_on::capture_error(&Hostile::Endless);
    });
    assert_eq!(event.message.chars().count(), 2_000);
}
