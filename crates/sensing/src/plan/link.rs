//! Options of ours beside the standard's, and links to the next page.
//!
//! - `flagged=include`, `exclude` or `only`: whether Observations that a rule found implausible are
//!   among what is answered, also of expansions. Collections have them, `$apply` leaves them out.
//! - `after=ID`: the page begins behind this entity, in the order of ids; `$count` counts all.
//! - `as_of=TIME`: what there was at a moment, as RFC 3339 writes it.
//! - `reason=TEXT`: why something is made, changed or deleted; it stands beside what was written.
//!
//! A next link moves `$skip` on. Deep in a collection that is in the order of ids it says `after`
//! instead, which costs the same on every page.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use percent_encoding::percent_decode_str;

use crate::odata::{EntityId, QueryOptions, Span, Spanned};

use super::error::{PlanError, PlanErrorKind, Result};
use super::{Plan, Request};

/// From here on a next link does not count rows but names the last one.
const SKIP_ROWS_MAX: u64 = 10_000;
/// An id is short; what is longer is none.
const AFTER_BYTES_MAX: usize = 100;

/// Which Observations are looked at, by whether a rule found them implausible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flagged {
    Include,
    Exclude,
    Only,
}

impl Flagged {
    const ALL: [Self; 3] = [Self::Include, Self::Exclude, Self::Only];

    fn word(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::Exclude => "exclude",
            Self::Only => "only",
        }
    }
}

/// Query options of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras {
    pub flagged: Option<Flagged>,
    pub after: Option<EntityId>,
    /// Of which moment; `None` is now.
    pub as_of: Option<DateTime<Utc>>,
}

impl Extras {
    /// Reads them from a query as it stands in a URL; all other options are somebody else's.
    pub fn parse(raw: &str) -> Result<Self> {
        let mut extras = Self::default();
        let mut start = 0;
        for piece in raw.split('&') {
            let span = Span::new(start, start + piece.len());
            start = span.end + 1;
            let Some((name, value)) = piece.split_once('=') else { continue };
            let decoded = percent_decode_str(value).decode_utf8_lossy();
            let refused = |why: &str| {
                let what = format!("no value of `{name}`");
                PlanError::new(PlanErrorKind::Malformed, "query", span, what, why)
            };
            match name {
                "flagged" => {
                    let known = Flagged::ALL.into_iter().find(|flagged| flagged.word() == decoded);
                    let why = "it is include, exclude or only";
                    extras.flagged = Some(known.ok_or_else(|| refused(why))?);
                }
                "after" => {
                    let id = decoded.trim_matches('\'');
                    let known = |c: char| c.is_ascii_digit() || c == '-';
                    if id.is_empty() || id.len() > AFTER_BYTES_MAX || !id.chars().all(known) {
                        return Err(refused("it is the id of an entity"));
                    }
                    extras.after = Some(match id.parse() {
                        Ok(id) => EntityId::Integer(id),
                        Err(_) => EntityId::Text(id.to_owned()),
                    });
                }
                "as_of" => {
                    let moment = DateTime::parse_from_rfc3339(&decoded);
                    let why = "it is a moment such as 2026-11-23T08:00:00Z";
                    extras.as_of = Some(moment.map_err(|_| refused(why))?.with_timezone(&Utc));
                }
                _ => {}
            }
        }
        Ok(extras)
    }
}

/// The reason that a query gives for a change, as it stands in a URL.
pub fn reason(raw: &str) -> Option<String> {
    let given = raw.split('&').find_map(|piece| piece.strip_prefix("reason="))?;
    Some(percent_decode_str(given).decode_utf8_lossy().into_owned())
}

/// As it stands in a URL, behind other options.
impl fmt::Display for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(flagged) = self.flagged {
            write!(f, "&flagged={}", flagged.word())?;
        }
        if let Some(moment) = self.as_of {
            write!(f, "&as_of={}", moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))?;
        }
        match &self.after {
            Some(EntityId::Integer(id)) => write!(f, "&after={id}"),
            Some(EntityId::Text(id)) => write!(f, "&after={id}"),
            None => Ok(()),
        }
    }
}

/// The address of the next page, behind the service's root: the same path and options, further on.
///
/// `last` is the id of the last entity on the page, where it is known.
pub fn next_link(request: &Request<'_>, plan: &Plan<'_>, last: Option<&EntityId>) -> String {
    let mut options = request.options.clone();
    let mut extras = request.extras.clone();
    let skip = options.skip.map_or(0, |skip| skip.value).saturating_add(plan.top);
    match last {
        Some(last) if plan.by_id && (extras.after.is_some() || skip > SKIP_ROWS_MAX) => {
            options.skip = None;
            extras.after = Some(last.clone());
        }
        _ => options.skip = Some(Spanned::new(skip, Span::default())),
    }
    let (query, extras) = (options.to_string(), extras.to_string());
    let query = format!("{query}{extras}");
    format!("{}?{}", request.path, query.trim_start_matches('&'))
}

/// The address of the next page of an expansion: `parent` is the parent's address behind the
/// service's root, such as `Things(1)`. What `extras` say of the request holds there as well.
pub fn next_link_of_child(
    parent: &str,
    navigation: &str,
    options: &QueryOptions,
    extras: &Extras,
    top: u64,
) -> String {
    let extras = Extras { after: None, ..extras.clone() };
    let mut options = options.clone();
    let skip = options.skip.map_or(0, |skip| skip.value).saturating_add(top);
    options.skip = Some(Spanned::new(skip, Span::default()));
    format!("{parent}/{navigation}?{options}{extras}")
}
