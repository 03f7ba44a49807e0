//! `flame-on-viewer`: the viewer with a command line.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its user")]

mod arguments;

use std::io::Write as _;
use std::process::ExitCode;

use arguments::{Command, HELP};
use flame_on_viewer::{Options, Viewer};

fn main() -> ExitCode {
    let command = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("flame-on-viewer: {error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("flame-on-viewer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Box<dyn std::error::Error>> {
    match command {
        Command::Help => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        Command::Import(options, paths) => {
            let failed = flame_on_viewer::import(&options.data, options.bounds, &paths)?;
            for error in &failed {
                eprintln!("not imported: {error}");
            }
            println!("{} of {} imported", paths.len() - failed.len(), paths.len());
            Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Serve(options) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(serve(options))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let has_key = options.api_key.is_some();
    let viewer = Viewer::start(options).await?;
    let grpc = viewer.grpc_address();
    let lines = [
        format!("traces and errors: {grpc} (gRPC, server_url of your agent, use_ssl = false)"),
        format!("look at them:      http://{}", viewer.http_address()),
    ];
    // `Err`: nobody reads it, which is no reason to serve nobody.
    writeln!(std::io::stdout(), "{}", lines.join("\n")).ok();
    if !viewer.grpc_address().ip().is_loopback() && !has_key {
        eprintln!("flame-on-viewer: everybody who reaches {} can send: set --api-key", viewer.grpc_address());
    }
    if !viewer.http_address().ip().is_loopback() {
        eprintln!("flame-on-viewer: everybody who reaches {} can look", viewer.http_address());
    }
    tokio::signal::ctrl_c().await?;
    viewer.stop().await;
    Ok(())
}
