//! Compiles `proto/` with protox, so that no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["flame_on.proto", "profile.proto"], ["proto"])?;
    let has_grpc = std::env::var_os("CARGO_FEATURE_GRPC").is_some();
    let has_server = std::env::var_os("CARGO_FEATURE___SERVER").is_some();
    if has_grpc {
        tonic_prost_build::configure()
            .build_client(true)
            .build_server(has_server)
            .build_transport(false)
            .compile_fds(descriptors)?;
    } else {
        prost_build::Config::new().compile_fds(descriptors)?;
    }
    Ok(())
}
