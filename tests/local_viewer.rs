//! What an agent without a server leaves in its directory is shown by a viewer that watches it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::{PATIENCE, UNIT, eventually};
use flame_on::{Config, FlameOn, Report, UnitSettings, User};
use flame_on_viewer::{Data, Options, Viewer};

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn traces_and_errors_of_the_local_adapter_reach_the_page_linked() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::builder()
        .ignore_env()
        .process_default(false)
        .capture(true)
        .capture_errors(true)
        .sample_rate(1.0)
        .service("shop")
        .event(UNIT, UnitSettings::new().threshold(Duration::ZERO))
        .local_dir(dir.path());
    let agent = FlameOn::start(config.build().unwrap()).unwrap();
    let (trace, event) = agent.unit(UNIT, || "order 7").in_scope(|| {
        let error = "x".parse::<u8>().unwrap_err();
        let report = Report::error(&error).user(User::id("u-17")).tag("region", "eu").context("cart", "three");
        (flame_on::current_trace_id().unwrap(), agent.capture(report))
    });
    assert!(agent.shutdown_blocking(PATIENCE).within_deadline);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = Options {
        grpc: free,
        http: free,
        data: Data::Memory,
        watch: Some(dir.path().to_owned()),
        ..Options::default()
    };
    let viewer = runtime.block_on(Viewer::start(options)).unwrap();
    let page = format!("/errors/event/{event}");
    eventually("the event is imported", || get(viewer.http_address(), &page).starts_with("HTTP/1.1 200"));
    let page = get(viewer.http_address(), &page);
    for told in ["invalid digit found in string", "u-17", "region", "cart", "traces_and_errors_of_the_local_adapter"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(page.contains(&format!("/trace/{trace}")), "{page}");
    eventually("the trace is imported", || {
        get(viewer.http_address(), &format!("/trace/{trace}")).starts_with("HTTP/1.1 200")
    });
    assert!(get(viewer.http_address(), &format!("/trace/{trace}")).contains(&format!("/errors/event/{event}")));
}
