//! Errors of which every field is known.

use flame_on::{Breadcrumb, ErrorContextExt, FlameOn, Report, RequestContext, Severity, User};

#[derive(Debug, thiserror::Error)]
#[error("the order is not paid")]
struct NotPaid(#[source] std::io::Error);

/// Captures three; gives the ids of the first two, in order.
#[expect(clippy::panic, reason = "what the receiver is to see")]
pub(crate) async fn capture_all(agent: &FlameOn) -> Vec<String> {
    let work = agent.unit(crate::work::ORDER, || "checkout").run(checkout().with_new_error_context());
    let ids = vec![work.await, agent.capture(Report::message("just a message").severity(Severity::Info))];
    let panicking = agent.in_context(|| async { panic!("a panic of size {}", "größe") }.with_new_error_context());
    // `Err`: that it has panicked.
    tokio::spawn(panicking).await.ok();
    ids.into_iter().map(|id| id.to_string()).collect()
}

async fn checkout() -> flame_on::EventId {
    flame_on::set_user(User::id("7").email("ann@example.com").username("Ann ☃").ip_address("2001:db8::1"));
    flame_on::set_tag("shop", "eu");
    flame_on::set_context("order", serde_json::json!({ "id": 17, "card": { "token": "secret" } }));
    let crumb = Breadcrumb::new("cart", "added").data("sku", 4711).data("password", "secret");
    flame_on::add_breadcrumb(crumb.kind("user").level(Severity::Warning));
    let request = RequestContext::new("POST", "https://shop.example/orders/17?coupon=x&access_token=secret")
        .route("/orders/{id}")
        .header("accept", "*/*")
        .header("authorization", "Bearer secret")
        .remote_addr("203.0.113.9:4711");
    let error = NotPaid(std::io::Error::other("no connection, password=secret"));
    Report::error(&error)
        .severity(Severity::Fatal)
        .handled(false)
        .route("POST /orders/{id}")
        .span_id("b7ad6b7169203331")
        .fingerprint(["payment", "bank"])
        .tag("retry", 2)
        .request(request)
        .capture()
}
