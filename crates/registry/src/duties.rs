//! Separation of duties: what even those who manage users may not do.
//!
//! Who runs the platform, who gives rights and who looks at what both did are three people. So
//! rights are given by others than those who get them, nobody gives wider rights than the part of
//! the city that is theirs, and the three duties themselves are given by whoever has the whole of
//! it. docs/decisions/0010 says why.

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
    let whole_city = has_whole_city(manager, tree);
    for user in before.into_iter().chain([after]) {
        if !whole_city && !manager.organisations.contains(&user.organisation) {
            return refused(format!("{} is outside your organisation", user.organisation));
        }
    }
    let had = before.map(|user| areas_of(user, tree)).unwrap_or_default();
    let outside = areas_of(after, tree).into_iter().find(|code| {
        let within = |prefix: &String| code.starts_with(prefix.as_str());
        !had.contains(code) && !manager.area_prefixes.iter().any(within)
    });
    if let Some(code) = outside {
        return refused(format!("area {code} is outside your own"));
    }
    match before.into_iter().chain([after]).find_map(|user| duty_of(user, pack)) {
        Some(role) if !whole_city => refused(format!(
            "users with the role `{role}` are managed by a security officer of the whole city"
        )),
        _ => Ok(()),
    }
}

fn has_whole_city(manager: &Principal, tree: &Tree) -> bool {
    tree.organisations().all(|id| manager.organisations.contains(id))
}

/// The areas that a user works in: with none listed, the one that the organisation answers for.
fn areas_of<'a>(user: &'a UserInfo, tree: &'a Tree) -> Vec<&'a str> {
    if user.areas.is_empty() {
        return tree.area_of(&user.organisation).into_iter().collect();
    }
    user.areas.iter().map(String::as_str).collect()
}

/// A role of the user's that is one of the three duties.
fn duty_of<'a>(user: &'a UserInfo, pack: &Pack) -> Option<&'a String> {
    let is_one = |id: &&String| pack.roles.iter().any(|role| role.id == **id && is_duty(role));
    user.roles.iter().find(is_one)
}

fn is_duty(role: &pack::Role) -> bool {
    let carries = |permission: &str| role.permissions.iter().any(|own| own == permission);
    !role.excludes.is_empty() || DUTIES.into_iter().any(carries)
}

impl Registry {
    /// Whether somebody who manages users may look after this one: their sessions and tokens. Of a
    /// user who is not there nobody may: the answer does not tell the two apart.
    pub async fn may_manage(
        &self,
        manager: &Principal,
        name: &str,
        pack: &Pack,
    ) -> Result<bool, RegistryError> {
        let user = match self.user(name).await {
            Err(RegistryError::UnknownUser(_)) => return Ok(false),
            user => user?,
        };
        let within = manager.organisations.contains(&user.organisation);
        let whole_city = has_whole_city(manager, &self.tree());
        Ok(whole_city || (within && duty_of(&user, pack).is_none()))
    }
}
