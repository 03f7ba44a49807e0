//! Compiles the repository's `proto/` with protox, so that no protoc is needed.
//!
//! The messages are prost's. The services take their requests as bytes ([`Raw`](crate::ingest::codec::Raw)): a request
//! is cut into traces before any of them is decoded, so that what a few bytes can unfold into stays small.

use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=../proto");
    let descriptors = protox::compile(["flame_on.proto", "profile.proto"], ["../proto"])?;
    prost_build::Config::new().compile_fds(descriptors.clone())?;

    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("services");
    fs::create_dir_all(&out)?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .out_dir(out)
        .codec_path("crate::ingest::codec::Codec")
        .extern_path(".flame_on", "crate::proto::flame_on")
        .extern_path(".perftools", "crate::proto::perftools")
        .extern_path(".flame_on.IngestRequest", "crate::ingest::codec::Raw")
        .extern_path(".flame_on.IngestErrorsRequest", "crate::ingest::codec::Raw")
        .compile_fds(descriptors)?;
    Ok(())
}
