//! One trace.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::layout::{self, Tab};
use super::respond::PageError;
use super::{App, format, parts, query, traces};
use crate::graph::collapsed::collapsed as collapsed_text;
use crate::graph::heaviest::heaviest;
use crate::graph::picture::Picture;
use crate::graph::stacks::Stacks;
use crate::graph::svg::svg as draw_svg;
use crate::graph::tree::Tree;
use crate::ingest::trace::stored_stacks;
use crate::store::{ErrorRow, Store, TraceRow};
use crate::text;

const GONE: PageError = PageError::NotFound("There is no such trace, or it has made room for others.");

fn find(store: &Store, id: &str) -> Result<(TraceRow, Vec<u8>), PageError> {
    store.trace(id)?.ok_or(GONE)
}

fn find_stacks(store: &Store, id: &str) -> Result<(TraceRow, Stacks), PageError> {
    let (row, pprof_gz) = find(store, id)?;
    Ok((row, stored_stacks(&pprof_gz)?))
}

pub(super) async fn page(State(app): State<App>, Path(id): Path<String>) -> Result<Markup, PageError> {
    app.draw(move |store| {
        let (row, stacks) = find_stacks(store, &id)?;
        let tree = Tree::of(&stacks);
        let errors = store.errors_of_trace(&row.trace_id)?;
        Ok(layout::page(&text::shown(traces::label(&row), 80), Tab::Traces, body(&row, &tree, &errors)))
    })
    .await
}

fn body(row: &TraceRow, tree: &Tree, errors: &[ErrorRow]) -> Markup {
    let at = format!("/trace/{}", row.trace_id);
    html! {
        p.crumbs { a href="/" { "Traces" } " / " a href=(query::endpoint_url(&row.event, &row.identifier)) { "all of this endpoint" } }
        h1 { (parts::untrusted(traces::label(row))) }
        dl.facts {
            dt { "Duration" } dd { b { (format::duration(row.duration_us)) } }
            dt { "Began" } dd { (format::time(row.started_us)) " UTC" }
            dt { "Event" } dd { (parts::untrusted(&row.event)) }
            dt { "Service" } dd { (parts::or_dash(&row.service)) }
            dt { "Release" } dd { (parts::or_dash(&row.release)) }
            dt { "Environment" } dd { (parts::or_dash(&row.environment)) }
            @if !row.marks.is_empty() { dt { "Not whole" } dd { (parts::untrusted(&row.marks)) } }
        }
        div.whole-bar { (parts::bar(&row.split, row.duration_us)) }
        (parts::split_legend(&row.split, row.duration_us))
        @if !errors.is_empty() { (linked(errors)) }
        (parts::flame(&format!("{at}/graph.json"), false))
        p.downloads {
            a.button href=(format!("{at}/profile.pb.gz")) { "pprof (.pb.gz)" }
            a.button href=(format!("{at}/collapsed.txt")) { "Collapsed text" }
            a.button href=(format!("{at}/flame.svg")) { "SVG" }
        }
        (parts::functions(tree, &heaviest(tree)))
        p.dim.id { "trace " (row.trace_id) }
    }
}

fn linked(errors: &[ErrorRow]) -> Markup {
    html! {
        section.linked {
            h2 { "Errors in this trace" }
            ul { @for error in errors {
                li { a href=(format!("/errors/event/{}", error.event_id)) { (parts::untrusted(&error.title)) } " "
                    span.dim { (format::time(error.occurred_us)) } }
            } }
        }
    }
}

pub(super) async fn graph(State(app): State<App>, Path(id): Path<String>) -> Result<Response, PageError> {
    let json = app
        .draw(move |store| {
            let (_, stacks) = find_stacks(store, &id)?;
            Ok(Picture::of(&Tree::of(&stacks), [1, 0]).to_json())
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

pub(super) async fn profile(State(app): State<App>, Path(id): Path<String>) -> Result<Response, PageError> {
    let (row, pprof_gz) = app.read(move |store| find(store, &id)).await?;
    Ok(download("application/gzip", &row, "pb.gz", pprof_gz))
}

pub(super) async fn collapsed(State(app): State<App>, Path(id): Path<String>) -> Result<Response, PageError> {
    let (row, stacks) = app.read(move |store| find_stacks(store, &id)).await?;
    Ok(download("text/plain; charset=utf-8", &row, "txt", collapsed_text(&stacks)))
}

pub(super) async fn svg(State(app): State<App>, Path(id): Path<String>) -> Result<Response, PageError> {
    let (row, drawn) = app
        .draw(move |store| {
            let (row, stacks) = find_stacks(store, &id)?;
            let title = format!("{} · {}", traces::label(&row), format::duration(row.duration_us));
            let drawn = draw_svg(&title, &stacks).map_err(|error| PageError::BadQuery(error.to_string()))?;
            Ok((row, drawn))
        })
        .await?;
    Ok(download("image/svg+xml", &row, "svg", drawn))
}

/// A file for the disk. An id holds nothing that could leave a header or a folder.
fn download(content_type: &str, row: &TraceRow, ending: &str, content: impl IntoResponse) -> Response {
    let disposition = format!("attachment; filename=\"{}.{ending}\"", row.trace_id);
    let headers = [(header::CONTENT_TYPE, content_type.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    (headers, content).into_response()
}
