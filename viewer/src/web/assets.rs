//! The files that pages load, compiled in.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::respond::PageError;

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) async fn serve(Path(name): Path<String>) -> Result<Response, PageError> {
    let (content_type, body): (_, &str) = match name.as_str() {
        "app.css" => ("text/css; charset=utf-8", include_str!("../../assets/app.css")),
        "app.js" => (JAVASCRIPT, include_str!("../../assets/app.js")),
        "flame.js" => (JAVASCRIPT, include_str!("../../assets/flame.js")),
        "flamegraph.js" => (JAVASCRIPT, include_str!("../../assets/vendor/flamegraph.js")),
        "licenses.txt" => ("text/plain; charset=utf-8", include_str!("../../assets/vendor/LICENSES.txt")),
        "icon.svg" => ("image/svg+xml", include_str!("../../assets/icon.svg")),
        _ => return Err(PageError::NotFound("There is no such file.")),
    };
    // Asked for again after an upgrade, and never from elsewhere.
    Ok(([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")], body).into_response())
}
