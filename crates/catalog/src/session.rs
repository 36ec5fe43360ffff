//! Who asks, about which moment, in which world. The only way to read anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use pack::access::Subject;

/// A principal with its scopes already resolved by `registry`: the catalogue asks nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principal {
    /// Login name or service name.
    pub user: String,
    /// The organisation that the principal acts for.
    pub organisation: String,
    /// That organisation and every one above it, nearest first.
    pub ancestors: Vec<String>,
    /// Organisations in whose name rows may be seen: a subtree, resolved.
    pub organisations: BTreeSet<String>,
    /// Area scope as official-code prefixes without trailing zeros: `5101` is all of Chengdu.
    /// Empty: no area at all.
    pub area_prefixes: Vec<String>,
    pub roles: BTreeSet<String>,
    /// Union of the roles' permissions.
    pub permissions: BTreeSet<String>,
}

impl Principal {
    pub fn may(&self, permission: &str) -> bool {
        self.permissions.contains(permission)
    }

    /// The principal as the pack's access rules see it.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            user: &self.user,
            organisation: &self.organisation,
            ancestors: &self.ancestors,
            acts_for: &self.organisations,
            roles: &self.roles,
            permissions: &self.permissions,
        }
    }
}

/// Where a query came in: recorded in the usage log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    Cli,
    Http,
    PgWire,
    Mqtt,
    Engine,
}

impl Surface {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Http => "http",
            Self::PgWire => "pgwire",
            Self::Mqtt => "mqtt",
            Self::Engine => "engine",
        }
    }
}

/// The right to ask one principal's questions about one moment of one world.
#[derive(Debug, Clone)]
pub struct Session {
    pub principal: Arc<Principal>,
    /// `None`: now. Rules are always today's, whatever the moment asked about.
    pub as_of: Option<DateTime<Utc>>,
    /// Name of a scenario overlay, or the baseline.
    pub scenario: Option<String>,
    pub surface: Surface,
}
