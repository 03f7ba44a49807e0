//! Redacts and cuts a whole event, before it is queued.

use std::collections::BTreeMap;

use super::keys::SecretKeys;
use super::{text, url};
use crate::model::error_event::{Breadcrumb, ErrorEvent, Exception, REDACTED, RequestContext, StackFrame, User};
use crate::model::graphemes;

/// Tags, contexts, headers, or facts of a breadcrumb that an event has at most; further ones, in order, are left out.
const MAX_PAIRS: usize = 256;
/// Errors of a chain that an event has at most.
pub(crate) const MAX_EXCEPTIONS: usize = 32;

/// Takes the secrets out of events, and cuts them to their limits.
#[derive(Debug)]
pub(crate) struct EventRedactor<'k> {
    /// Which keys are secret.
    pub(crate) keys: &'k SecretKeys,
    /// The longest text, in graphemes.
    pub(crate) max_string_length: usize,
    /// The most breadcrumbs; the latest stay.
    pub(crate) max_breadcrumbs: usize,
}

impl EventRedactor<'_> {
    /// Redacts and cuts everything in `event`.
    pub(crate) fn redact(&self, event: &mut ErrorEvent) {
        for text in [&mut event.route, &mut event.message, &mut event.span_id] {
            self.text(text);
        }
        event.fingerprint.truncate(MAX_PAIRS);
        event.fingerprint.iter_mut().for_each(|part| self.text(part));
        event.exceptions.truncate(MAX_EXCEPTIONS);
        event.exceptions.iter_mut().for_each(|exception| self.exception(exception));
        event.request.iter_mut().for_each(|request| self.request(request));
        event.user.iter_mut().for_each(|user| self.user(user));
        let surplus = event.breadcrumbs.len().saturating_sub(self.max_breadcrumbs);
        event.breadcrumbs.drain(..surplus);
        event.breadcrumbs.iter_mut().for_each(|breadcrumb| self.breadcrumb(breadcrumb));
        self.pairs(&mut event.tags);
        self.pairs(&mut event.contexts);
    }

    fn exception(&self, exception: &mut Exception) {
        self.cut(&mut exception.type_name);
        self.text(&mut exception.value);
        exception.frames.iter_mut().for_each(|frame| self.frame(frame));
    }

    /// Redacts and cuts the texts of a frame, its lines of source among them.
    pub(crate) fn frame(&self, frame: &mut StackFrame) {
        for name in [&mut frame.function, &mut frame.module, &mut frame.file, &mut frame.abs_path] {
            self.cut(name);
        }
        self.text(&mut frame.context_line);
        frame.pre_context.iter_mut().chain(&mut frame.post_context).for_each(|line| self.text(line));
    }

    fn request(&self, request: &mut RequestContext) {
        self.cut(&mut request.method);
        self.replace(&mut request.url, |url_text| url::redacted(url_text, self.keys));
        self.text(&mut request.route);
        self.cut(&mut request.remote_addr);
        request.headers.truncate(MAX_PAIRS);
        for (name, value) in &mut request.headers {
            self.value(name, value);
            self.cut(name);
        }
    }

    fn user(&self, user: &mut User) {
        let User { id, email, username, ip_address } = user;
        for field in [id, email, username, ip_address].into_iter().flatten() {
            self.text(field);
        }
    }

    fn breadcrumb(&self, breadcrumb: &mut Breadcrumb) {
        for text in [&mut breadcrumb.category, &mut breadcrumb.message, &mut breadcrumb.kind] {
            self.text(text);
        }
        self.pairs(&mut breadcrumb.data);
    }

    fn pairs(&self, pairs: &mut BTreeMap<String, String>) {
        let old = std::mem::take(pairs);
        pairs.extend(old.into_iter().take(MAX_PAIRS).map(|(mut key, mut value)| {
            self.value(&key, &mut value);
            self.cut(&mut key);
            (key, value)
        }));
    }

    fn value(&self, key: &str, value: &mut String) {
        // As it is, and as it will be shown: a cut can bring to the end what was in the middle.
        let shown = graphemes::first(key, self.max_string_length);
        if self.keys.is_secret(key) || self.keys.is_secret(shown) {
            REDACTED.clone_into(value);
            self.cut(value);
        } else {
            self.text(value);
        }
    }

    fn text(&self, text: &mut String) {
        self.replace(text, |text| text::redacted(text, self.keys).into_owned());
    }

    /// Cut before, so that a long text costs no more than what is left of it, and after, as the mark may be longer.
    fn replace(&self, text: &mut String, clean: impl Fn(&str) -> String) {
        let room = graphemes::max_bytes(self.max_string_length);
        *text = clean(graphemes::first_bytes(text, room));
        self.cut(text);
    }

    fn cut(&self, text: &mut String) {
        graphemes::truncate(text, self.max_string_length);
    }
}
