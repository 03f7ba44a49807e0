//! What goes in over gRPC comes out of the pages.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::{Client, get, id, options, trace, viewer};
use flame_on_viewer::proto::flame_on::{Breadcrumb, ErrorEvent, Exception, KeyValue, StackFrame, StackTrace};
use flame_on_viewer::{Bounds, Data, Viewer};
use tonic::Code;

fn error(number: u64, trace_id: &str) -> ErrorEvent {
    let frame = StackFrame {
        function: "shop::pay".into(),
        file: "src/pay.rs".into(),
        line: 42,
        in_app: true,
        context_line: "    charge(card)?;".into(),
        pre_context: vec!["fn pay() {".into()],
        post_context: vec!["}".into()],
        ..Default::default()
    };
    ErrorEvent {
        event_id: id(number),
        severity: "error".into(),
        message: "payment failed".into(),
        trace_id: trace_id.into(),
        exceptions: vec![
            Exception {
                r#type: "PayError".into(),
                value: "declined".into(),
                stack_trace: Some(StackTrace { frames: vec![frame] }),
            },
            Exception { r#type: "io::Error".into(), value: "reset".into(), stack_trace: None },
        ],
        breadcrumbs: vec![Breadcrumb { message: "cart loaded".into(), ..Default::default() }],
        tags: vec![KeyValue { key: "tenant".into(), value: "acme".into() }],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_trace_is_listed_filtered_drawn_and_downloaded() {
    let viewer = viewer().await;
    let (client, http) = (Client::connect(viewer.grpc_address()).await, viewer.http_address());
    assert!(get(http, "/").await.text().contains(&viewer.grpc_address().to_string()), "the empty state says where");
    let paths = [("r;shop::load;SLEEP;CALL db", 30_000), ("r;shop::load", 12_000)];
    let sent = vec![trace(1, "GET /orders", &paths), trace(2, "GET /fast", &[("r", 500)])];
    assert_eq!(client.ingest(sent).await.unwrap().ingested, 2);

    let all = get(http, "/").await.text();
    assert!(all.contains("GET /orders") && all.contains("GET /fast"));
    for (query, has_orders, has_fast) in [
        ("?q=ORDERS", true, false),
        ("?min_ms=1", true, false),
        ("?event=axum.request&last=1h", true, true),
        ("?event=other", false, false),
        ("?to=2001-01-01T00:00", false, false),
    ] {
        let page = get(http, &format!("/{query}")).await.text();
        assert_eq!((page.contains("GET /orders"), page.contains("GET /fast")), (has_orders, has_fast), "{query}");
    }
    let by_id = get(http, &format!("/?q={}", id(1).to_uppercase())).await.text();
    assert!(by_id.contains("GET /orders") && !by_id.contains("GET /fast"), "a trace is found by its id");
    let by_duration = get(http, "/?sort=duration").await.text();
    assert!(by_duration.find("GET /orders").unwrap() < by_duration.find("GET /fast").unwrap());

    let at = format!("/trace/{}", id(1));
    assert!(get(http, &at).await.text().contains("shop::load"));
    let graph = get(http, &format!("{at}/graph.json")).await.json();
    assert_eq!(graph["total"][0], 42_000);
    assert_eq!(
        get(http, &format!("{at}/collapsed.txt")).await.text(),
        "r;shop::load;SLEEP;CALL db 30000\nr;shop::load 12000\n"
    );
    assert!(get(http, &format!("{at}/flame.svg")).await.text().contains("<svg"));
    assert_eq!(get(http, &format!("{at}/profile.pb.gz")).await.body[..2], [0x1f, 0x8b]);
}

#[tokio::test]
async fn an_endpoints_graph_is_the_sum_of_its_traces_and_releases_are_compared() {
    let viewer = viewer().await;
    let (client, http) = (Client::connect(viewer.grpc_address()).await, viewer.http_address());
    let mut sent: Vec<_> = (0..20).map(|n| trace(n, "GET /x", &[("r;a", 1_000 + n as i64), ("r;b", 10)])).collect();
    for (trace, number) in sent.iter_mut().zip(0..) {
        let release = if number < 5 { "release=2.0" } else { "release=1.0" };
        trace.profile = Some(common::profile(&[("r;a", 1_000 + number), ("r;b", 10)], &[release]));
    }
    client.ingest(sent).await.unwrap();
    let of = "/endpoint/graph.json?event=axum.request&identifier=GET%20%2Fx";
    let whole: i64 = (0..20).map(|n| 1_010 + n).sum();
    assert_eq!(get(http, of).await.json()["total"], serde_json::json!([whole, 0]));
    let compared = get(http, &format!("{of}&release=2.0&compare=yes&other_release=1.0")).await.json();
    let new: i64 = (0..5).map(|n| 1_010 + n).sum();
    assert_eq!(compared["total"], serde_json::json!([new, whole - new]));
    assert_eq!(compared["traces"], serde_json::json!([5, 15]));
    let page = get(http, "/endpoint?event=axum.request&identifier=GET%20%2Fx").await.text();
    assert!(page.contains(&format!("data-micros=\"{whole}\"")) && page.contains("p95"));
}

#[tokio::test]
async fn errors_are_grouped_and_lead_to_their_trace_and_back() {
    let viewer = viewer().await;
    let (client, http) = (Client::connect(viewer.grpc_address()).await, viewer.http_address());
    client.ingest(vec![trace(1, "GET /pay", &[("r", 700_000)])]).await.unwrap();
    assert_eq!(client.ingest_errors(vec![error(7, &id(1)), error(8, "")]).await.unwrap().ingested, 2);
    // Sent again after a lost answer: still one.
    client.ingest_errors(vec![error(7, &id(1))]).await.unwrap();

    let list = get(http, "/errors").await.text();
    assert_eq!(list.matches("/errors/group/").count(), 1);
    assert!(list.contains("PayError: declined") && list.contains("shop::pay"));
    let group = list.split("/errors/group/").nth(1).unwrap().split('"').next().unwrap();
    assert!(get(http, &format!("/errors/group/{group}")).await.text().contains(&id(8)));
    let event = get(http, &format!("/errors/event/{}", id(7))).await.text();
    for shown in ["caused by", "io::Error", "charge(card)?;", "src/pay.rs", "cart loaded", "tenant", "acme", &id(1)] {
        assert!(event.contains(shown), "{shown}");
    }
    assert!(event.contains(&format!("href=\"/trace/{}\"", id(1))));
    assert!(get(http, &format!("/trace/{}", id(1))).await.text().contains(&format!("/errors/event/{}", id(7))));
}

#[tokio::test]
async fn a_key_is_asked_for_when_it_is_set() {
    let keyed = flame_on_viewer::Options { api_key: Some("right".into()), ..options(Data::Memory) };
    let viewer = Viewer::start(keyed).await.unwrap();
    let mut client = Client::connect(viewer.grpc_address()).await;
    let sent = || vec![trace(1, "GET /", &[("r", 1)])];
    for wrong in [None, Some(""), Some("wrong"), Some("righ"), Some("right2")] {
        client.key = wrong;
        assert_eq!(client.ingest(sent()).await.unwrap_err().code(), Code::Unauthenticated);
        assert_eq!(client.ingest_errors(vec![error(1, "")]).await.unwrap_err().code(), Code::Unauthenticated);
    }
    client.key = Some("right");
    assert_eq!(client.ingest(sent()).await.unwrap().ingested, 1);
    assert_eq!(viewer.newest(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_stored_stays_within_its_bytes_and_the_newest_stay() {
    let directory = tempfile::tempdir().unwrap();
    let bounds = Bounds { max_bytes: 1 << 20, ..Bounds::default() };
    let data = Data::Directory(directory.path().to_owned());
    let viewer = Viewer::start(flame_on_viewer::Options { bounds, ..options(data) }).await.unwrap();
    let client = Client::connect(viewer.grpc_address()).await;
    for batch in 0..16_u64 {
        let traces = (0..25).map(|n| common::large_trace(batch * 25 + n)).collect();
        assert_eq!(client.ingest(traces).await.unwrap().ingested, 25);
    }
    let kept = viewer.newest(2_000).await.unwrap();
    assert!(kept.len() > 50 && kept.len() < 400, "{}", kept.len());
    assert!(kept.iter().any(|trace| trace.trace_id == id(399)) && !kept.iter().any(|trace| trace.trace_id == id(0)));
    let file = std::fs::metadata(directory.path().join("flame-on-viewer.sqlite3")).unwrap();
    assert!(file.len() < 2 << 20, "{}", file.len());
}

#[tokio::test]
async fn files_are_imported_and_a_directory_is_watched() {
    let (data, watched) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let of = |name: &str| watched.path().join(name);
    let bytes = prost::Message::encode_to_vec(&common::profile(&[("axum.request GET /f;a", 9)], &["release=3"]));
    std::fs::write(of(&format!("20260101T000000Z-{}.pb.gz", id(5))), gzip(&bytes)).unwrap();
    std::fs::write(of("broken.pb.gz"), &gzip(&bytes)[..20]).unwrap();
    let data = Data::Directory(data.path().to_owned());
    let failed = flame_on_viewer::import(&data, Bounds::default(), &[of("broken.pb.gz"), of("missing")]).unwrap();
    assert_eq!(failed.len(), 2);

    let options = flame_on_viewer::Options { watch: Some(watched.path().to_owned()), ..options(data) };
    let viewer = Viewer::start(options).await.unwrap();
    let mut kept = Vec::new();
    while kept.is_empty() {
        tokio::task::yield_now().await;
        kept = viewer.newest(9).await.unwrap();
    }
    assert_eq!((kept[0].trace_id.as_str(), kept[0].identifier.as_str()), (id(5).as_str(), "GET /f"));
}

#[tokio::test]
async fn error_events_of_files_are_imported_and_watched_and_a_bad_line_takes_no_other_with_it() {
    let (data, watched) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let of = |name: &str| watched.path().join(name);
    let line = |number: u64| {
        format!("{{\"event_id\":\"{}\",\"message\":\"broke {number}\",\"occurred_at_ms\":1}}\n", id(number))
    };
    std::fs::write(of("one.errors.jsonl"), format!("{}{{not json\n{}", line(1), line(2))).unwrap();
    std::fs::write(of("two.errors.jsonl"), line(3)).unwrap();
    let data = Data::Directory(data.path().to_owned());
    let files = [of("one.errors.jsonl"), of("two.errors.jsonl")];
    let failed = flame_on_viewer::import(&data, Bounds::default(), &files).unwrap();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].to_string().contains("one.errors.jsonl: line 2"), "{}", failed[0]);

    std::fs::write(of("three.errors.jsonl"), line(4)).unwrap();
    let options = flame_on_viewer::Options { watch: Some(watched.path().to_owned()), ..options(data) };
    let viewer = Viewer::start(options).await.unwrap();
    while get(viewer.http_address(), &format!("/errors/event/{}", id(4))).await.status != 200 {
        tokio::task::yield_now().await;
    }
    let page = get(viewer.http_address(), "/errors").await.text();
    assert!((1..=4).all(|number| page.contains(&format!("broke {number}"))), "{page}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}
