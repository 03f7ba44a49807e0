//! One error event.

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::layout::{self, Tab};
use super::respond::PageError;
use super::{App, errors, format, parts};
use crate::ingest::error_event::{micros, stored_event};
use crate::proto::flame_on::{Breadcrumb, ErrorEvent, Exception, KeyValue, RequestContext, StackFrame, UserContext};
use crate::store::ErrorRow;
use crate::text;

/// Characters of a message that are shown, and of a line of source.
const MAX_MESSAGE: usize = 4_000;
const MAX_LINE: usize = 240;
/// What is shown of lists; a page stays small whatever was sent.
const MAX_EXCEPTIONS: usize = 10;
const MAX_FRAMES: usize = 60;
const MAX_PAIRS: usize = 60;
const MAX_CRUMBS: usize = 60;
const MAX_CONTEXT: usize = 8;

pub(super) async fn page(State(app): State<App>, Path(id): Path<String>) -> Result<Markup, PageError> {
    let (row, event, has_trace) = app
        .read(move |store| {
            let missing = PageError::NotFound("There is no such error, or it has made room for others.");
            let (row, event_gz) = store.error(&id)?.ok_or(missing)?;
            let has_trace = !row.trace_id.is_empty() && store.has_trace(&row.trace_id)?;
            Ok((row, stored_event(&event_gz)?, has_trace))
        })
        .await?;
    Ok(layout::page(&text::shown(&row.title, 80), Tab::Errors, body(&row, &event, has_trace)))
}

fn body(row: &ErrorRow, event: &ErrorEvent, has_trace: bool) -> Markup {
    html! {
        p.crumbs { a href="/errors" { "Errors" } " / " a href=(format!("/errors/group/{}", row.group)) { "all of this kind" } }
        h1 { (errors::severity(row)) (parts::untrusted(&row.title)) }
        @if !event.message.is_empty() { pre.message { (text::lines(&event.message, MAX_MESSAGE)) } }
        dl.facts {
            dt { "When" } dd { (format::time(row.occurred_us)) " UTC" }
            dt { "Trace" } dd { (trace_link(row, has_trace)) }
            dt { "Route" } dd { (parts::or_dash(&event.route)) }
            dt { "Service" } dd { (parts::or_dash(&event.service)) }
            dt { "Release" } dd { (parts::or_dash(&event.release)) }
            dt { "Environment" } dd { (parts::or_dash(&event.environment)) }
            dt { "Platform" } dd { (parts::or_dash(&event.platform)) }
            @if !event.span_id.is_empty() { dt { "Span" } dd { (parts::untrusted(&event.span_id)) } }
            @if !event.fingerprint.is_empty() { dt { "Fingerprint" } dd { (parts::untrusted(&event.fingerprint.join(" · "))) } }
        }
        @for (at, exception) in event.exceptions.iter().take(MAX_EXCEPTIONS).enumerate() { (show_exception(at, exception)) }
        @if let Some(request) = &event.request { (show_request(request)) }
        @if let Some(user) = &event.user { (show_user(user)) }
        @if !event.breadcrumbs.is_empty() { (show_breadcrumbs(&event.breadcrumbs)) }
        (pairs("Tags", &event.tags))
        (pairs("Contexts", &event.contexts))
        p.dim.id { "event " (row.event_id) }
    }
}

fn trace_link(row: &ErrorRow, has_trace: bool) -> Markup {
    html! {
        @if has_trace { a.trace-link href=(format!("/trace/{}", row.trace_id)) { "what it was doing: the flame graph" } }
        @else if row.trace_id.is_empty() { span.dim { "outside of any" } }
        @else { span.dim { "was not shipped or is gone: " (row.trace_id) } }
    }
}

fn show_exception(at: usize, exception: &Exception) -> Markup {
    let frames = exception.stack_trace.as_ref().map(|trace| trace.frames.as_slice()).unwrap_or_default();
    html! {
        section.exception {
            h2 { @if at > 0 { span.dim { "caused by " } } (parts::untrusted(&exception.r#type)) }
            @if !exception.value.is_empty() { pre.message { (text::lines(&exception.value, MAX_MESSAGE)) } }
            @if !frames.is_empty() {
                ol.frames { @for frame in frames.iter().take(MAX_FRAMES) { (show_frame(frame)) } }
                @if frames.len() > MAX_FRAMES { p.dim { "and " (frames.len() - MAX_FRAMES) " frames more" } }
            }
        }
    }
}

fn show_frame(frame: &StackFrame) -> Markup {
    let has_source = !frame.context_line.is_empty();
    let name = if frame.function.is_empty() { &frame.module } else { &frame.function };
    html! {
        li.in-app[frame.in_app] {
            @if has_source {
                details open[frame.in_app] { summary { (place(name, frame)) } (source(frame)) }
            } @else { (place(name, frame)) }
        }
    }
}

fn place(name: &str, frame: &StackFrame) -> Markup {
    let file = if frame.file.is_empty() { &frame.abs_path } else { &frame.file };
    html! {
        span.function { (parts::or_dash(name)) } " "
        @if !file.is_empty() {
            span.dim title=(text::shown(&frame.abs_path, 300)) {
                (parts::untrusted(file)) @if frame.line > 0 { ":" (frame.line) @if frame.column > 0 { ":" (frame.column) } }
            }
        }
    }
}

fn source(frame: &StackFrame) -> Markup {
    let before = frame.pre_context.get(frame.pre_context.len().saturating_sub(MAX_CONTEXT)..).unwrap_or_default();
    let line = |number: Option<u32>, text: &str, is_it: bool| {
        html! {
            span.line.it[is_it] { span.number { @if let Some(number) = number { (number) } } (text::lines(text, MAX_LINE)) "\n" }
        }
    };
    html! {
        pre.source { code {
            @for (at, before_line) in before.iter().enumerate() {
                (line(frame.line.checked_sub((before.len() - at) as u32).filter(|n| *n > 0), before_line, false))
            }
            (line(Some(frame.line).filter(|n| *n > 0), &frame.context_line, true))
            @for (at, after) in (1_u32..).zip(frame.post_context.iter().take(MAX_CONTEXT)) {
                (line(frame.line.checked_add(at), after, false))
            }
        } }
    }
}

fn show_request(request: &RequestContext) -> Markup {
    html! {
        h2 { "Request" }
        dl.facts {
            dt { "Request" } dd { (parts::untrusted(&request.method)) " " (parts::untrusted(&request.url)) }
            dt { "Route" } dd { (parts::or_dash(&request.route)) }
            dt { "From" } dd { (parts::or_dash(&request.remote_addr)) }
        }
        (pairs("Headers", &request.headers))
    }
}

fn show_user(user: &UserContext) -> Markup {
    html! {
        h2 { "User" }
        dl.facts {
            @for (name, value) in [("Id", &user.id), ("Name", &user.username), ("E-mail", &user.email), ("Address", &user.ip_address)] {
                @if !value.is_empty() { dt { (name) } dd { (parts::untrusted(value)) } }
            }
        }
    }
}

fn show_breadcrumbs(breadcrumbs: &[Breadcrumb]) -> Markup {
    html! {
        h2 { "Breadcrumbs" }
        div.scroll { table {
            thead { tr { th { "When (UTC)" } th { "Level" } th { "Category" } th { "What" } } }
            tbody { @for breadcrumb in breadcrumbs.iter().take(MAX_CRUMBS) {
                tr {
                    td.time { (breadcrumb.timestamp.as_ref().and_then(micros).map(format::time).unwrap_or_default()) }
                    td { (parts::or_dash(&breadcrumb.level)) }
                    td { (parts::or_dash(&breadcrumb.category)) " " span.dim { (parts::untrusted(&breadcrumb.r#type)) } }
                    td { (parts::untrusted(&breadcrumb.message))
                        @for pair in breadcrumb.data.iter().take(MAX_CONTEXT) {
                            " " span.dim { (parts::untrusted(&pair.key)) "=" (parts::untrusted(&pair.value)) }
                        } }
                }
            } }
        } }
    }
}

fn pairs(title: &str, pairs: &[KeyValue]) -> Markup {
    html! {
        @if !pairs.is_empty() {
            h2 { (title) }
            dl.facts.pairs { @for pair in pairs.iter().take(MAX_PAIRS) {
                dt { (parts::untrusted(&pair.key)) } dd { (parts::untrusted(&pair.value)) }
            } }
        }
    }
}
