//! What is sent to do harm is refused, or shown as text.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Client, get, id, send_raw, trace, viewer};
use flame_on_viewer::proto::flame_on::{
    Breadcrumb, ErrorEvent, Exception, IngestRequest, IngestResponse, KeyValue, RequestContext, StackFrame, StackTrace,
    UserContext,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use prost::Message as _;
use tonic::Code;

const MARKUP: &str = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u{202e}\u{0}\u{1b}[31m";

fn hostile_error(text: &str) -> ErrorEvent {
    let s = || text.to_owned();
    let pair = || vec![KeyValue { key: s(), value: s() }];
    let frame = StackFrame {
        function: s(),
        module: s(),
        file: s(),
        line: u32::MAX,
        column: 1,
        in_app: true,
        abs_path: s(),
        context_line: s(),
        pre_context: vec![s(); 20],
        post_context: vec![s(); 20],
    };
    ErrorEvent {
        event_id: id(1),
        platform: s(),
        environment: s(),
        service: s(),
        route: s(),
        release: s(),
        severity: s(),
        message: s(),
        span_id: s(),
        fingerprint: vec![s()],
        exceptions: vec![Exception {
            r#type: s(),
            value: s(),
            stack_trace: Some(StackTrace { frames: vec![frame; 3] }),
        }],
        request: Some(RequestContext {
            method: s(),
            url: format!("javascript:{text}"),
            route: s(),
            headers: pair(),
            remote_addr: s(),
        }),
        user: Some(UserContext { id: s(), email: s(), username: s(), ip_address: s() }),
        breadcrumbs: vec![Breadcrumb {
            category: s(),
            message: s(),
            r#type: s(),
            level: s(),
            data: pair(),
            timestamp: None,
        }],
        tags: pair(),
        contexts: pair(),
        ..Default::default()
    }
}

/// The page without the values of its fields: they are sent back as they are, and a field of text shows what its user
/// has put into it.
fn without_values(page: &str) -> String {
    let mut parts = page.split(" value=\"");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |page, part| page + part.split_once('"').unwrap().1)
}

fn assert_is_text(page: &str, path: &str) {
    let (page, whole) = (without_values(page), page);
    assert!(!whole.contains("<script>") && !whole.contains("<img src=x"), "{path}");
    assert!(page.contains("<!DOCTYPE html>"), "{path}");
    for forbidden in ["<script>", "<img src=x", "href=\"javascript", "\u{202e}", "\u{0}", "\u{1b}"] {
        assert!(!page.contains(forbidden), "{path}: {forbidden:?}");
    }
    assert!(page.len() < 200 << 10, "{path}: {}", page.len());
}

async fn pages(http: std::net::SocketAddr) {
    let endpoints = get(http, "/endpoints").await.text();
    let mut paths: Vec<String> = ["/", "/endpoints", "/errors"].map(String::from).into();
    paths.push(format!("/trace/{}", id(1)));
    paths.push(format!("/errors/event/{}", id(1)));
    for list in [endpoints, get(http, "/errors").await.text()] {
        let link =
            |start: &str| list.split(start).nth(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"));
        paths.extend(link("href=\"/endpoint?").map(|rest| format!("/endpoint?{rest}")));
        paths.extend(link("href=\"/errors/group/").map(|rest| format!("/errors/group/{rest}")));
    }
    assert_eq!(paths.len(), 7, "{paths:?}");
    for path in &paths {
        let answer = get(http, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_is_text(&answer.text(), path);
    }
}

#[tokio::test]
async fn markup_bidi_and_control_characters_are_only_ever_text() {
    let viewer = viewer().await;
    let client = Client::connect(viewer.grpc_address()).await;
    let mut sent = trace(1, MARKUP, &[(&format!("{MARKUP};{MARKUP}x"), 5)]);
    sent.event_name = MARKUP.into();
    sent.profile.as_mut().unwrap().string_table.iter_mut().for_each(|s| *s = s.replace("1.0", MARKUP));
    client.ingest(vec![sent]).await.unwrap();
    client.ingest_errors(vec![hostile_error(MARKUP)]).await.unwrap();
    pages(viewer.http_address()).await;
    let svg = get(viewer.http_address(), &format!("/trace/{}/flame.svg", id(1))).await.text();
    assert!(!svg.contains("<script>alert") && !svg.contains("<img"));
}

#[tokio::test]
async fn strings_of_a_megabyte_are_cut() {
    let viewer = viewer().await;
    let client = Client::connect(viewer.grpc_address()).await;
    let long = "<é\u{202e}".repeat(175_000);
    let mut sent = trace(1, &long, &[(&format!("{long};{long}x"), 5)]);
    sent.event_name = long.clone();
    client.ingest(vec![sent]).await.unwrap();
    let event = ErrorEvent { message: long.clone(), event_id: id(1), ..Default::default() };
    client.ingest_errors(vec![event]).await.unwrap();
    pages(viewer.http_address()).await;
    assert!(get(viewer.http_address(), &format!("/trace/{}/graph.json", id(1))).await.body.len() < 10_000);
}

#[tokio::test]
async fn every_answer_carries_the_policy_and_no_page_has_a_script_of_its_own() {
    let viewer = viewer().await;
    let http = viewer.http_address();
    for path in ["/", "/errors", "/nowhere", "/assets/app.js", "/?min_ms=x", "/trace/x/graph.json"] {
        let answer = get(http, path).await;
        assert!(
            answer.head.contains("content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'"),
            "{path}"
        );
        assert!(!answer.head.contains("unsafe") && answer.head.contains("nosniff"), "{path}");
        let text = answer.text();
        if text.contains("<html") {
            assert!(!text.contains(" style=") && !text.contains("<style") && !text.contains(" onload="), "{path}");
            assert_eq!(text.matches("<script").count(), text.matches("<script type=\"module\" src=\"/assets/").count());
        }
    }
}

#[tokio::test]
async fn paths_lead_nowhere_else_and_strange_requests_are_answered_with_errors() {
    let viewer = viewer().await;
    let http = viewer.http_address();
    for path in [
        "/assets/../Cargo.toml",
        "/assets/..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e/app.css",
        "/trace/..%2f..",
        "/trace/%00",
        "/errors/group/'%20OR%201=1",
        "/errors/event/x",
        "//etc/passwd",
    ] {
        assert_eq!(get(http, path).await.status, 404, "{path}");
    }
    let long = "x".repeat(30_000);
    for path in ["/?min_ms=NaN", "/?from=x", "/?last=x", "/?page=-1", &format!("/?q={long}"), "/?q=%ff%fe&page=x"] {
        assert_eq!(get(http, path).await.status, 400, "{path:.40}");
    }
    for raw in [
        &b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 nonsense\r\n\r\n",
    ] {
        let status = send_raw(http, raw).await.status;
        assert!((400..500).contains(&status), "{status}: {:?}", String::from_utf8_lossy(raw));
    }
    assert_eq!(get(http, "/").await.status, 200);
}

async fn ingest_bytes(client: &Client, bytes: Vec<u8>) -> Result<IngestResponse, tonic::Status> {
    client.call("/flame_on.FlameOnIngest/Ingest", Exactly(bytes.into())).await
}

/// A message that is exactly these bytes.
#[derive(Debug, Default, Clone)]
struct Exactly(Bytes);

impl prost::Message for Exactly {
    fn encode_raw(&self, buffer: &mut impl bytes::BufMut) {
        buffer.put_slice(&self.0);
    }
    fn merge_field(
        &mut self,
        _: u32,
        _: prost::encoding::WireType,
        _: &mut impl bytes::Buf,
        _: prost::encoding::DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        Ok(())
    }
    fn encoded_len(&self) -> usize {
        self.0.len()
    }
    fn clear(&mut self) {}
}

#[tokio::test]
async fn a_truncated_request_leaves_nothing_and_a_bad_trace_takes_no_other_with_it() {
    let viewer = viewer().await;
    let client = Client::connect(viewer.grpc_address()).await;
    let good = IngestRequest { traces: vec![trace(1, "GET /", &[("r;a", 5)]), trace(2, "GET /", &[("r;a", 5)])] };
    let bytes = good.encode_to_vec();
    for cut in [1, 2, 40, bytes.len() / 2 + 1, bytes.len() - 1] {
        let refused = ingest_bytes(&client, bytes[..cut].to_vec()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{cut}: {refused:?}");
    }
    assert!(viewer.newest(9).await.unwrap().is_empty());

    let mut mixed = good.traces.clone();
    mixed[0].trace_id = "../../etc".into();
    mixed.push(common::trace(3, "GET /", &[("r", -5)]));
    let answer = client.ingest(mixed).await.unwrap();
    assert_eq!((answer.success, answer.ingested), (true, 1));
    assert!(answer.message.contains("trace 0: trace_id") && answer.message.contains("trace 2"), "{}", answer.message);
    let mut headless = trace(4, "GET /", &[("r", 5)]);
    headless.profile = None;
    let refused = client.ingest(vec![headless]).await.unwrap_err();
    assert_eq!((refused.code(), refused.message().contains("no profile")), (Code::InvalidArgument, true));
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_so_is_what_expands_to_it() {
    let viewer = viewer().await;
    let client = Client::connect(viewer.grpc_address()).await;
    let too_large = ingest_bytes(&client, vec![0; (16 << 20) + 1]).await.unwrap_err();
    assert!(matches!(too_large.code(), Code::OutOfRange | Code::ResourceExhausted), "{too_large:?}");
    let packing = client.clone().compressing();
    let bomb = ingest_bytes(&packing, vec![0; 48 << 20]).await.unwrap_err();
    assert!(matches!(bomb.code(), Code::OutOfRange | Code::ResourceExhausted), "{bomb:?}");
    // Two bytes that stand for a sample of seventy.
    let mut profile = Vec::new();
    for _ in 0..1_200_000 {
        profile.extend_from_slice(b"\x12\x00");
    }
    let mut unfolding = trace(1, "GET /", &[("r", 5)]).encode_to_vec();
    prost::encoding::bytes::encode(5, &Bytes::from(profile), &mut unfolding);
    let mut request = Vec::new();
    prost::encoding::bytes::encode(1, &Bytes::from(unfolding), &mut request);
    let refused = ingest_bytes(&client, request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    // Compressed and honest.
    let honest = packing.ingest(vec![trace(2, "GET /", &[("r", 5)])]).await.unwrap();
    assert_eq!(honest.ingested, 1);
    assert_eq!(get(viewer.http_address(), "/").await.status, 200);
}

/// Requests that begin as good ones: a few bytes are changed, taken out or put in.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let trace = trace(1, MARKUP, &[("r;a;SLEEP", 5), ("r;b", 7)]);
    let good = IngestRequest { traces: vec![trace] }.encode_to_vec();
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..12).prop_map(move |changes| {
        let mut bytes = good.clone();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len().max(1));
            match how {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at.min(bytes.len()), byte),
            }
        }
        bytes
    })
}

/// Whatever is sent, it is answered, and the pages still work: while `goes_on` says so of the rounds done.
fn fuzz(goes_on: impl Fn(u64) -> bool) -> u64 {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (viewer, client) = runtime.block_on(async {
        let viewer = viewer().await;
        let client = Client::connect(viewer.grpc_address()).await;
        (viewer, client)
    });
    let mut runner = proptest::test_runner::TestRunner::default();
    let requests = prop_oneof![6 => mutated(), 1 => prop::collection::vec(any::<u8>(), 0..400)];
    let path = prop_oneof!["/[ -~]{0,60}", "/(trace|errors/event|endpoint|assets)[/?][ -~]{0,60}"];
    let mut rounds = 0;
    while goes_on(rounds) {
        let request = requests.new_tree(&mut runner).unwrap().current();
        let path = path.new_tree(&mut runner).unwrap().current().replace(' ', "%20");
        runtime.block_on(async {
            let answer = ingest_bytes(&client, request.clone()).await;
            if let Err(status) = &answer {
                assert_eq!(status.code(), Code::InvalidArgument, "{status:?} for {request:?}");
            } else if rounds % 8 == 0 {
                assert_is_text(&get(viewer.http_address(), "/").await.text(), "/");
                for trace in viewer.newest(2).await.unwrap() {
                    let page = get(viewer.http_address(), &format!("/trace/{}", trace.trace_id)).await;
                    assert_eq!(page.status, 200);
                    assert_is_text(&page.text(), "a trace");
                }
            }
            let answer = get(viewer.http_address(), &path).await;
            assert!(answer.status < 500, "{}: {path:?}", answer.status);
        });
        rounds += 1;
    }
    rounds
}

#[test]
fn whatever_is_sent_is_answered() {
    assert_eq!(fuzz(|rounds| rounds < 300), 300);
}

/// How long the long form takes; ten minutes unless this says otherwise.
const SECONDS: &str = "FLAME_ON_FUZZ_SECONDS";

#[test]
#[ignore = "runs for a given time: `.ci/run` gives 20 s, `.ci/run --long` ten minutes"]
fn whatever_is_sent_for_long_is_answered() {
    let limit = Duration::from_secs(std::env::var(SECONDS).map_or(600, |seconds| seconds.parse().unwrap()));
    let start = Instant::now();
    let rounds = fuzz(|_| start.elapsed() < limit);
    eprintln!("{rounds} requests in {limit:?}");
    assert!(rounds > 0);
}
