//! Errors, grouped.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Tab};
use super::respond::PageError;
use super::{App, format, parts, query};
use crate::store::{Arrivals, ErrorGroup, ErrorRow, GroupFilter};
use crate::text;

/// Groups of the list.
const MAX_GROUPS: u32 = 100;
/// Groups that get a picture of their own: each is a query.
const MAX_PICTURES: usize = 30;
/// Events of a group's page.
const MAX_EVENTS: u32 = 100;
const SEVERITIES: [&str; 5] = ["fatal", "error", "warning", "info", "debug"];

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    q: String,
    severity: String,
}

pub(super) async fn list(State(app): State<App>, Query(asked): Query<Asked>) -> Result<Markup, PageError> {
    let filter = GroupFilter {
        contains: query::bounded(&asked.q)?.to_owned(),
        severity: query::bounded(&asked.severity)?.to_owned(),
        group: String::new(),
    };
    let (groups, all, of_groups) = app
        .read(move |store| {
            let groups = store.groups(&filter, MAX_GROUPS)?;
            let of_group = |group: &ErrorGroup| {
                let filter = GroupFilter { group: group.latest.group.clone(), ..filter.clone() };
                store.error_arrivals(&filter, parts::BARS)
            };
            let of_groups = groups.iter().take(MAX_PICTURES).map(of_group).collect::<Result<Vec<_>, _>>()?;
            Ok((groups, store.error_arrivals(&filter, parts::BARS)?, of_groups))
        })
        .await?;
    let body = html! {
        h1 { "Errors" }
        div id="live" data-live="yes" {
            (form(&asked))
            @if groups.is_empty() { (empty(&asked)) }
            @else {
                div.summary { p { b.count { (format::number(all.total())) } " errors" span.live-mark { "live" } }
                    (parts::sparkline(&all, "errors")) }
                (table(&groups, &of_groups))
            }
        }
    };
    Ok(layout::page("Errors", Tab::Errors, body))
}

fn form(asked: &Asked) -> Markup {
    html! {
        form.filters method="get" action="/errors" {
            label.grow { span { "Type, message, place or route" } input type="search" name="q" value=(asked.q); }
            label { span { "Severity" } select name="severity" {
                option value="" { "any" }
                @for severity in SEVERITIES { option selected[severity == asked.severity] { (severity) } }
            } }
            button type="submit" { "Filter" }
        }
    }
}

fn empty(asked: &Asked) -> Markup {
    html! {
        @if asked.q.is_empty() && asked.severity.is_empty() {
            section.empty-state {
                p { "No error has arrived. Turn them on with " code { ".capture_errors(true)" } "; what your service then reports stands here, linked to the trace in which it happened." }
            }
        } @else { p.empty { "No error is like that." } }
    }
}

fn table(groups: &[ErrorGroup], of_groups: &[Arrivals]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr { th { "Error" } th.n { "Count" } th.wide { "Over time" } th { "Last (UTC)" } th.wide { "First (UTC)" } } }
            tbody { @for (at, group) in groups.iter().enumerate() {
                tr {
                    td.name {
                        (severity(&group.latest))
                        a href=(format!("/errors/group/{}", group.latest.group)) { (parts::untrusted(&group.latest.title)) }
                        br; span.dim { (parts::or_dash(&group.latest.culprit)) " " (parts::untrusted(&group.latest.route)) }
                    }
                    td.n { (format::number(group.count)) }
                    td.wide.spark { @if let Some(arrivals) = of_groups.get(at) { (parts::sparkline(arrivals, "errors")) } }
                    td.time { (format::time(group.latest.occurred_us)) }
                    td.wide.time { (format::time(group.first_us)) }
                }
            } }
        } }
    }
}

/// A mark for how bad it is.
pub(super) fn severity(row: &ErrorRow) -> Markup {
    let class = if SEVERITIES.contains(&row.severity.as_str()) { row.severity.as_str() } else { "other" };
    html! {
        span class=(format!("tag s-{class}")) { (text::shown(&row.severity, 20)) }
        @if !row.is_handled { span.tag.s-fatal { "unhandled" } }
        " "
    }
}

pub(super) async fn group(State(app): State<App>, Path(group): Path<String>) -> Result<Markup, PageError> {
    let (rows, arrivals) = app
        .read(move |store| {
            let filter = GroupFilter { group: query::bounded(&group)?.to_owned(), ..GroupFilter::default() };
            Ok((store.errors_of_group(&group, MAX_EVENTS)?, store.error_arrivals(&filter, parts::BARS)?))
        })
        .await?;
    let Some(latest) = rows.first() else { return Err(PageError::NotFound("There is no such group of errors.")) };
    let body = html! {
        p.crumbs { a href="/errors" { "Errors" } }
        h1 { (severity(latest)) (parts::untrusted(&latest.title)) }
        p.dim { (parts::or_dash(&latest.culprit)) }
        div.summary { p { b.count { (format::number(arrivals.total())) } " times" } (parts::sparkline(&arrivals, "errors")) }
        p { a.button href=(format!("/errors/event/{}", latest.event_id)) { "Latest event" } }
        h2 { "Latest " (rows.len()) }
        div.scroll { table {
            thead { tr { th { "When (UTC)" } th { "What" } th { "Route" } th { "Trace" } } }
            tbody { @for row in &rows {
                tr {
                    td.time { a href=(format!("/errors/event/{}", row.event_id)) { (format::time(row.occurred_us)) } }
                    td.name { (parts::untrusted(&row.title)) }
                    td { (parts::or_dash(&row.route)) }
                    td { @if row.trace_id.is_empty() { span.dim { "–" } }
                        @else { a href=(format!("/trace/{}", row.trace_id)) { "trace" } } }
                }
            } }
        } }
    };
    Ok(layout::page(&text::shown(&latest.title, 80), Tab::Errors, body))
}
