//! The Cedar schema that a pack's access rules are validated against.
//!
//! Roles, permissions, organisations, classes and sharing attributes are enumerated in it, so that
//! a rule which names one that is not there is a mistake with a place and not a rule that never
//! holds.

use std::collections::BTreeSet;

use cedar_policy::Schema;

use super::{Action, On};
use crate::model::PERMISSIONS;

/// The classes that a dataset can be of: the highest of its fields'.
pub(crate) const CLASSES: [&str; 4] = ["unclassified", "general", "important", "core"];
pub(crate) const SHARING: [&str; 3] = ["unconditional", "conditional", "not_shared"];
/// The one entity of type `Platform`.
pub(crate) const PLATFORM: &str = "city";

const ENTITIES: &str = "
entity User in [Role, Permission, Organisation] {
    organisation: Organisation,
    acts_for: Set<Organisation>,
};
entity Dataset {
    owner: Organisation,
    class: Class,
    sharing: Sharing,
    open: Bool,
};
";

/// The schema of one pack.
pub(crate) fn schema<'a>(
    roles: impl IntoIterator<Item = &'a str>,
    organisations: impl IntoIterator<Item = &'a str>,
) -> Schema {
    let mut text = String::from(ENTITIES);
    text.push_str(&one_of("Role", roles));
    text.push_str(&one_of("Permission", PERMISSIONS));
    text.push_str(&one_of("Organisation", organisations));
    text.push_str(&one_of("Class", CLASSES));
    text.push_str(&one_of("Sharing", SHARING));
    text.push_str(&one_of("Platform", [PLATFORM]));
    for action in Action::ALL {
        let on = match action.on() {
            On::Platform => "Platform",
            On::Dataset => "Dataset",
            On::Both => "[Platform, Dataset]",
        };
        let name = action.name();
        text.push_str(&format!(
            "action {name:?} appliesTo {{ principal: User, resource: {on} }};\n"
        ));
    }
    let (schema, _) =
        Schema::from_cedarschema_str(&text).expect("the schema is of the fixed form above");
    schema
}

/// An entity type of which these are all there are; of which nothing is said where there are none.
fn one_of<'a>(kind: &str, ids: impl IntoIterator<Item = &'a str>) -> String {
    let ids: BTreeSet<&str> = ids.into_iter().collect();
    if ids.is_empty() {
        return format!("entity {kind};\n");
    }
    let ids: Vec<String> = ids.into_iter().map(quoted).collect();
    format!("entity {kind} enum [{}];\n", ids.join(", "))
}

/// A Cedar string: letters as they are, what could end it escaped.
fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() => c.escape_unicode().to_string(),
            c => c.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_makes_a_schema() {
        schema([], []);
        schema(["auditor", "auditor"], ["数据局", "a\"b\\c\n"]);
    }
}
