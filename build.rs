//! Compiles `proto/` with protox, so that no protoc is needed.

/// The one message from elsewhere, and what stands for it here.
const TIMESTAMP: &str = ".google.protobuf.Timestamp";
const OURS: &str = "crate::encode::well_known::Timestamp";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    announce_targets();
    let descriptors = protox::compile(["flame_on.proto", "profile.proto"], ["proto"])?;
    let has_server = std::env::var_os("CARGO_FEATURE___SERVER").is_some();
    if has_server {
        // No client: the adapter sends bytes that are encoded already.
        let services = tonic_prost_build::configure().build_client(false).build_transport(false);
        services.extern_path(TIMESTAMP, OURS).compile_fds(descriptors)?;
    } else {
        prost_build::Config::new().extern_path(TIMESTAMP, OURS).compile_fds(descriptors)?;
    }
    Ok(())
}

/// Names two conditions once for all sources: `own_clock`, for the targets whose counter the agent reads itself (as the
/// dependency on quanta in `Cargo.toml` has it), and `native_capture`, for those that have it when its feature is on. Miri
/// runs no assembly and has no signals.
fn announce_targets() {
    println!("cargo::rustc-check-cfg=cfg(native_capture, own_clock)");
    let target = |key: &str| std::env::var(format!("CARGO_CFG_{key}")).unwrap_or_default();
    if target("TARGET_OS") != "linux" || !["x86_64", "aarch64"].contains(&target("TARGET_ARCH").as_str()) {
        return;
    }
    println!("cargo::rustc-cfg=own_clock");
    // Not the 32-bit ABIs of the two: registers, addresses and words of the stack have one size here.
    let has_it = target("TARGET_POINTER_WIDTH") == "64";
    let is_asked_for = std::env::var_os("CARGO_FEATURE_NATIVE").is_some();
    if has_it && is_asked_for && std::env::var_os("CARGO_CFG_MIRI").is_none() {
        println!("cargo::rustc-cfg=native_capture");
    }
}
