//! Compiles `proto/` with protox, so that no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["flame_on.proto", "profile.proto"], ["proto"])?;
    let has_server = std::env::var_os("CARGO_FEATURE___SERVER").is_some();
    if has_server {
        // No client: the adapter sends bytes that are encoded already.
        tonic_prost_build::configure().build_client(false).build_transport(false).compile_fds(descriptors)?;
    } else {
        prost_build::Config::new().compile_fds(descriptors)?;
    }
    Ok(())
}
