//! What a running agent can take from new settings.

use std::sync::Arc;

use super::Config;
use crate::model::config::keys::Key;
use crate::model::config::{ConfigError, Limits, Settings};

/// What a reload changed, and what it could not change while the agent runs. A key whose value stays the same is in
/// neither list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// Keys whose new value is in use now.
    pub applied: Vec<&'static str>,
    /// Keys whose new value was ignored: it takes a new start.
    pub needs_restart: Vec<&'static str>,
}

impl Config {
    /// What the agent would run with after new settings: theirs where they say something and the key is live, the
    /// present value everywhere else. The caller's word counts now, so the new settings also go over what code or
    /// environment said at the start.
    ///
    /// # Errors
    /// [`ConfigError`] when any value is wrong, also one that would need a restart: then nothing is to be changed.
    pub(crate) fn plan_reload(&self, new: &Settings) -> Result<(Self, Reloaded), ConfigError> {
        let mut problems = Vec::new();
        let new = new.clone().normalised(&mut problems);
        let wanted = self.settings.clone().overlaid(new.clone());
        let wanted_limits = Limits::check(&wanted, &mut problems);
        ConfigError::unless_empty(problems)?;

        let changed = changed_keys((&self.settings, &self.limits), (&wanted, &wanted_limits));
        let (applied, needs_restart) = changed.into_iter().partition(|key| Key::is_live(key));

        // Without its restart keys the new whole can be wrong in itself, so it is checked again.
        let settings = self.settings.clone().overlaid(new.live_part());
        let mut problems = Vec::new();
        let limits = Arc::new(Limits::check(&settings, &mut problems));
        ConfigError::unless_empty(problems)?;
        Ok((Self { settings, limits, ..self.clone() }, Reloaded { applied, needs_restart }))
    }
}

fn changed_keys(old: (&Settings, &Limits), new: (&Settings, &Limits)) -> Vec<&'static str> {
    let mut changed = old.1.changed_keys(new.1);
    // To write the default server is a change although the address is the same: the agent ships to it then.
    if old.0.server_url.is_none() && new.0.server_url.is_some() && !changed.contains(&"server_url") {
        changed.push("server_url");
    }
    changed
}
