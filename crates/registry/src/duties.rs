//! Separation of duties: what even those who manage users may not do.
//!
//! Who runs the platform, who gives rights and who looks at what both did are three people. So
//! rights are given by others than those who get them, nobody gives wider rights than the part of
//! the city that is theirs, and the three duties themselves are given by whoever has the whole of
//! it. docs/decisions/0009 says why.

use catalog::Principal;
use pack::Pack;

use crate::people::UserInfo;
use crate::{Registry, RegistryError, Tree};

/// What makes a role one of the three duties, beside excluding another.
const DUTIES: [&str; 3] = ["administer", "audit", "manage_users"];

/// Refuses what a manager may not do to a user. `before`: none where the user is new.
pub(crate) fn check(
    manager: &Principal,
    tree: &Tree,
    pack: &Pack,
    before: Option<&UserInfo>,
    after: &UserInfo,
) -> Result<(), RegistryError> {
    let refused = |reason: String| Err(RegistryError::Duty(reason));
    if manager.user == after.name {
        return refused("nobody changes their own rights: ask another security officer".to_owned());
    }
    let whole_city = tree.organisations().all(|id| manager.organisations.contains(id));
    for user in before.into_iter().chain([after]) {
        if !whole_city && !manager.organisations.contains(&user.organisation) {
            return refused(format!("{} is outside your organisation", user.organisation));
        }
    }
    let had = before.map(|user| user.areas.as_slice()).unwrap_or_default();
    let outside = after.areas.iter().find(|code| {
        let within = |prefix: &String| code.starts_with(prefix.as_str());
        !had.contains(code) && !manager.area_prefixes.iter().any(within)
    });
    if let Some(code) = outside {
        return refused(format!("area {code} is outside your own"));
    }
    let mut roles = before.into_iter().chain([after]).flat_map(|user| &user.roles);
    let duty = roles.find(|id| pack.roles.iter().any(|role| role.id == **id && is_duty(role)));
    match duty {
        Some(role) if !whole_city => refused(format!(
            "users with the role `{role}` are managed by a security officer of the whole city"
        )),
        _ => Ok(()),
    }
}

fn is_duty(role: &pack::Role) -> bool {
    let carries = |permission: &str| role.permissions.iter().any(|own| own == permission);
    !role.excludes.is_empty() || DUTIES.into_iter().any(carries)
}

impl Registry {
    /// Whether somebody who manages users may look after this one: their sessions and tokens.
    pub async fn may_manage(&self, manager: &Principal, name: &str) -> Result<bool, RegistryError> {
        let user = self.user(name).await?;
        let tree = self.tree();
        let whole_city = tree.organisations().all(|id| manager.organisations.contains(id));
        Ok(whole_city || manager.organisations.contains(&user.organisation))
    }
}
