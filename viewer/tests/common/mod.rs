//! A viewer with real gRPC and HTTP clients, and profiles to send to it.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, reason = "tests; not each uses all of it")]

use std::collections::HashMap;
use std::net::SocketAddr;

use flame_on_viewer::proto::flame_on::{
    ErrorEvent, IngestErrorsRequest, IngestErrorsResponse, IngestRequest, IngestResponse, TraceProfile,
};
use flame_on_viewer::proto::perftools::profiles::{Function, Line, Location, Profile, Sample, ValueType};
use flame_on_viewer::{Bounds, Data, Options, Viewer};
use prost::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

pub fn options(data: Data) -> Options {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    Options { grpc: free, http: free, data, bounds: Bounds::default(), api_key: None, watch: None }
}

pub async fn viewer() -> Viewer {
    Viewer::start(options(Data::Memory)).await.unwrap()
}

/// A gRPC client of both services.
#[derive(Clone)]
pub struct Client {
    grpc: Grpc<Channel>,
    pub key: Option<&'static str>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let grpc = Grpc::new(channel).max_encoding_message_size(usize::MAX);
        Self { grpc, key: None }
    }

    pub fn compressing(mut self) -> Self {
        self.grpc = self.grpc.send_compressed(CompressionEncoding::Gzip);
        self
    }

    pub async fn call<I, O>(&self, path: &'static str, message: I) -> Result<O, Status>
    where
        I: Message + 'static,
        O: Message + Default + 'static,
    {
        let mut grpc = self.grpc.clone();
        let mut request = Request::new(message);
        if let Some(key) = self.key {
            request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        }
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let codec = ProstCodec::<I, O>::default();
        Ok(grpc.unary(request, http::uri::PathAndQuery::from_static(path), codec).await?.into_inner())
    }

    pub async fn ingest(&self, traces: Vec<TraceProfile>) -> Result<IngestResponse, Status> {
        self.call("/flame_on.FlameOnIngest/Ingest", IngestRequest { traces }).await
    }

    pub async fn ingest_errors(&self, events: Vec<ErrorEvent>) -> Result<IngestErrorsResponse, Status> {
        self.call("/flame_on.FlameOnErrorIngest/IngestErrors", IngestErrorsRequest { events }).await
    }
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What is answered to any bytes.
pub async fn send_raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    // The server may close in the middle of a request that it refuses.
    stream.write_all(request).await.ok();
    stream.read_to_end(&mut answer).await.ok();
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..split]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    let body = answer.get(split + 4..).unwrap_or_default().to_vec();
    let body = if head.contains("transfer-encoding: chunked") { unchunked(&body) } else { body };
    Answer { status, head, body }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    whole
}

pub async fn get(address: SocketAddr, path: &str) -> Answer {
    send_raw(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await
}

/// A profile of collapsed paths, as the agent lays it out.
pub fn profile(paths: &[(&str, i64)], comments: &[&str]) -> Profile {
    let mut strings: Vec<String> = ["", "self_us", "total_us", "microseconds"].map(String::from).into();
    let column = |r#type| ValueType { r#type, unit: 3 };
    let mut made = Profile { sample_type: vec![column(1), column(2)], ..Profile::default() };
    let mut ids: HashMap<&str, u64> = HashMap::new();
    for (path, micros) in paths {
        let mut location_id = Vec::new();
        for frame in path.split(';') {
            let fresh = ids.len() as u64 + 1;
            let id = *ids.entry(frame).or_insert(fresh);
            if id == fresh {
                let name = strings.len() as i64;
                strings.push(frame.to_owned());
                made.function.push(Function { id, name, system_name: name, filename: 0, start_line: 0 });
                let line = vec![Line { function_id: id, line: 0 }];
                made.location.push(Location { id, line, ..Location::default() });
            }
            location_id.insert(0, id);
        }
        made.sample.push(Sample { location_id, value: vec![*micros, *micros], label: vec![] });
    }
    for comment in comments {
        made.comment.push(strings.len() as i64);
        strings.push((*comment).to_owned());
    }
    made.string_table = strings;
    made.duration_nanos = paths.iter().map(|(_, micros)| micros * 1_000).sum();
    made
}

pub fn id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

pub fn trace(number: u64, identifier: &str, paths: &[(&str, i64)]) -> TraceProfile {
    TraceProfile {
        trace_id: id(number),
        event_name: "axum.request".into(),
        event_identifier: identifier.into(),
        profile: Some(profile(paths, &["service=shop", "release=1.0"])),
    }
}

/// A trace of 200 paths, 12 frames deep, of some hundred functions.
pub fn large_trace(number: u64) -> TraceProfile {
    let frame = |path: u64, depth: u64| format!("shop::module_{depth}::f{}", (path >> (5 - depth / 2)) % 12);
    let paths: Vec<(String, i64)> = (0..200_u64)
        .map(|path| {
            let frames: Vec<String> = (0..11).map(|depth| frame(path, depth)).collect();
            let micros = 100 + i64::try_from(path).unwrap();
            (format!("axum.request GET /{};{}", number % 50, frames.join(";")), micros)
        })
        .collect();
    let paths: Vec<_> = paths.iter().map(|(path, micros)| (path.as_str(), *micros)).collect();
    trace(number, &format!("GET /{}", number % 50), &paths)
}

/// The process's resident memory in bytes; `None` where there is no /proc.
pub fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().trim_end_matches(" kB");
    Some(kib.parse::<u64>().ok()? << 10)
}
