//! An axum service: one layer, streaming, graceful shutdown.
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, serve};
use flame_on::{Config, FlameOn, FlameOnGuard, FrameExt as _, frame};

#[derive(Clone)]
struct App {
    flame_on: FlameOn,
}

#[derive(Debug, thiserror::Error)]
#[error("user {0} not found")]
struct NotFound(u64);

struct AppError(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for AppError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, format!("something broke: {}", self.0)).into_response()
    }
}

fn load(id: u64) -> Result<String, NotFound> {
    frame!("load");
    if id == 0 { Err(NotFound(id)) } else { Ok(format!("user {id}")) }
}

async fn show_user(State(app): State<App>, Path(id): Path<u64>) -> Result<String, AppError> {
    tokio::time::sleep(Duration::from_millis(1)).in_frame("warm_up").await;
    let user = load(id)?;
    Ok(format!("{user}, one of {} requests is traced", (1.0 / app.flame_on.sample_rate()).round()))
}

async fn export() -> Response {
    let rows = futures::stream::iter((0..10).map(|row| Ok::<_, std::io::Error>(format!("{row}\n"))));
    Body::from_stream(rows).into_response()
}

fn app(flame_on: &FlameOn) -> Router {
    Router::new()
        .route("/users/{id}", get(show_user))
        .nest("/admin", Router::new().route("/export", get(export)))
        .route("/health", get(|| async { "ok" }))
        .layer(
            flame_on
                .layer()
                .skip(|r| r.uri.path() == "/health")
                .force(|r| r.headers.get("x-flame-on").is_some_and(|v| v == "secret")),
        )
        .with_state(App { flame_on: flame_on.clone() })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();

    // A wrong configuration must not keep the service down.
    let flame_on = Config::builder()
        .service("shop")
        .capture(true)
        .build()
        .map_err(Into::into)
        .and_then(FlameOn::start)
        .unwrap_or_else(|error| {
            tracing::warn!(%error, "running without FlameOn");
            FlameOnGuard::disabled()
        });

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    serve(listener, app(&flame_on))
        .with_graceful_shutdown(async { tokio::time::sleep(Duration::from_millis(50)).await })
        .await?;

    let report = flame_on.shutdown(Duration::from_secs(5)).await;
    tracing::info!(shipped = report.shipped, lost = report.lost, "FlameOn stopped");
    Ok(())
}
