//! The actions that rules may name. One list, so that no route can ask for what no rule can grant.

use std::fmt;

/// What an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// The city's platform as a whole.
    Platform,
    /// One dataset.
    Dataset,
    /// Asked of the platform first, then of each dataset that is touched.
    Both,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal on $on:ident;)*) => {
        /// Something that a principal may or may not do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $($(#[$doc])* $variant,)* }

        impl Action {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name that rules, refusals and the audit know it by.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub fn on(self) -> On {
                match self { $(Self::$variant => On::$on,)* }
            }
        }
    };
}

actions! {
    /// A session asks a question, by whichever face; then each dataset that the question reads.
    Query = "query" on Both;
    /// The same over HTTP.
    SqlQuery = "sql.query" on Platform;
    /// Where an answer's fields come from.
    SqlTrace = "sql.trace" on Platform;
    DatasetsList = "datasets.list" on Platform;
    DatasetsRead = "datasets.read" on Dataset;
    /// Runs a dataset's quality rules now.
    DatasetsCheck = "datasets.check" on Dataset;
    DatasetsImport = "datasets.import" on Dataset;
    /// The whole catalogue as DCAT.
    DatasetsExport = "datasets.export" on Platform;
    SharingRead = "sharing.read" on Platform;
    SharingRequest = "sharing.request" on Platform;
    /// Grants, refuses, revokes.
    SharingDecide = "sharing.decide" on Platform;
    CorrectionsRead = "corrections.read" on Platform;
    CorrectionsChange = "corrections.change" on Platform;
    ScenariosRead = "scenarios.read" on Platform;
    ScenariosChange = "scenarios.change" on Platform;
    QuarantineRead = "quarantine.read" on Platform;
    QuarantineChange = "quarantine.change" on Platform;
    AuditRead = "audit.read" on Platform;
    PlatformBackup = "platform.backup" on Platform;
    MetricsRead = "metrics.read" on Platform;
    /// One's own session: who am I, sign out, second factor, password.
    SessionOwn = "session.own" on Platform;
    /// Other people's sessions.
    SessionsManage = "sessions.manage" on Platform;
    TokensOwn = "tokens.own" on Platform;
    /// Other people's tokens.
    TokensManage = "tokens.manage" on Platform;
    UsersRead = "users.read" on Platform;
    UsersChange = "users.change" on Platform;
    RolesRead = "roles.read" on Platform;
    OrganisationsRead = "organisations.read" on Platform;
    /// Map, tiles, areas, search of places and objects, OGC: what a map draws from.
    MapRead = "map.read" on Platform;
    ObjectsRead = "objects.read" on Dataset;
    RegistersRead = "registers.read" on Platform;
    RegistersChange = "registers.change" on Dataset;
    BoardsRead = "boards.read" on Platform;
    QueriesRead = "queries.read" on Platform;
    /// Saves a query, changes and deletes one's own.
    QueriesChange = "queries.change" on Platform;
    /// Makes and changes what came in by SensorThings, of one's own organisations.
    SensingChange = "sensing.change" on Platform;
    EventsRead = "events.read" on Platform;
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_actions_have_one_name() {
        let names: BTreeSet<_> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Action::ALL.len());
    }
}
