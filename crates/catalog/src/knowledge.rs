//! What one principal may know about: the first question of search, dataset pages and exports.
//!
//! Knowing about a dataset is less than reading it. A dataset that is shared on conditions is
//! known to everyone who may read the catalogue, so that it can be asked for; one that is not
//! shared is known only to its owner and to whom a policy opens it. What may be *read* is decided
//! by the policies elsewhere and handed in; this module adds what may be known beside it.

use std::collections::BTreeMap;

use pack::model::{Contract, Mask, SharingAttribute};

use crate::{Catalog, Principal, Session, SqlError};

/// The permission to look about in the catalogue beyond what one may read.
pub const READ_CATALOGUE: &str = "read_catalogue";

/// What a principal may do with a dataset that it knows about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Rows can be read, under policy.
    Readable,
    /// Its description can be read and a request made; no row can.
    OnRequest,
}

/// How a field that is known about is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    Plain,
    Masked(Mask),
    /// Named and described; its values are not readable.
    Named,
}

/// What is known of one dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub access: Access,
    /// Every field that may be named. A field that is not here does not exist for the principal.
    pub fields: BTreeMap<String, Shown>,
    /// Whether the principal sees every row, one by one. Where a row filter or a minimum cell
    /// size stands, figures about the whole dataset would tell what the filter hides.
    pub whole: bool,
    /// Whether the principal acts for the owner: quality samples and usage are for its eyes.
    pub owner: bool,
}

/// The part of [`Known`] that policies decide, for a dataset that may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable {
    pub fields: BTreeMap<String, Shown>,
    pub whole: bool,
}

/// All that one principal may know about, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Knowledge {
    datasets: BTreeMap<String, Known>,
}

impl Knowledge {
    /// `readable` answers for each contract what the policies and grants open of it, if anything.
    pub fn of<'a>(
        principal: &Principal,
        contracts: impl IntoIterator<Item = &'a Contract>,
        mut readable: impl FnMut(&Contract) -> Option<Readable>,
    ) -> Self {
        let mut datasets = BTreeMap::new();
        for contract in contracts {
            let owner = acts_for_owner(principal, contract);
            let known = match readable(contract) {
                Some(Readable { fields, whole }) => {
                    Known { access: Access::Readable, fields, whole, owner }
                }
                None if !known_on_request(principal, contract, owner) => continue,
                None => Known {
                    access: Access::OnRequest,
                    fields: nameable_fields(contract, owner),
                    whole: false,
                    owner,
                },
            };
            datasets.insert(contract.id.clone(), known);
        }
        Self { datasets }
    }

    pub fn get(&self, dataset: &str) -> Option<&Known> {
        self.datasets.get(dataset)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Known)> {
        self.datasets.iter().map(|(dataset, known)| (dataset.as_str(), known))
    }
}

impl Catalog {
    /// All that a session's principal may know about: what policies and grants open to it, and
    /// what it could ask for.
    pub async fn knowledge(&self, session: &Session) -> Result<Knowledge, SqlError> {
        let (mut open, principal) = (BTreeMap::new(), &session.principal);
        let asker = self.asker(principal);
        for contract in self.pack().datasets.values() {
            let Some(access) = self.access_by(&asker, principal, contract).await? else { continue };
            let shown = |mask: Option<Mask>| mask.map_or(Shown::Plain, Shown::Masked);
            let readable = Readable {
                whole: access.row_filter.is_none() && access.min_cell.is_none(),
                fields: access.fields.into_iter().map(|(name, m)| (name, shown(m))).collect(),
            };
            open.insert(contract.id.clone(), readable);
        }
        let contracts = self.pack().datasets.values();
        Ok(Knowledge::of(&session.principal, contracts, |contract| open.remove(&contract.id)))
    }
}

impl FromIterator<(String, Known)> for Knowledge {
    fn from_iter<T: IntoIterator<Item = (String, Known)>>(known: T) -> Self {
        Self { datasets: known.into_iter().collect() }
    }
}

/// The owner organisation and those below it.
pub fn acts_for_owner(principal: &Principal, contract: &Contract) -> bool {
    principal.organisation == contract.owner || principal.ancestors.contains(&contract.owner)
}

fn known_on_request(principal: &Principal, contract: &Contract, owner: bool) -> bool {
    match contract.sharing.attribute {
        SharingAttribute::NotShared => owner,
        SharingAttribute::Conditional | SharingAttribute::Unconditional => {
            owner || principal.may(READ_CATALOGUE)
        }
    }
}

/// A field that nobody classified is for its owner alone, its name included.
fn nameable_fields(contract: &Contract, owner: bool) -> BTreeMap<String, Shown> {
    let nameable = contract.fields.iter().filter(|field| owner || field.class.is_some());
    nameable.map(|field| (field.name.clone(), Shown::Named)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fixtures;

    fn principal(organisation: &str, permissions: &[&str]) -> Principal {
        Principal {
            organisation: organisation.into(),
            ancestors: vec![organisation.into(), "city".into()],
            permissions: permissions.iter().map(|p| (*p).to_owned()).collect::<BTreeSet<_>>(),
            ..Principal::default()
        }
    }

    fn known(principal: &Principal) -> Vec<String> {
        let contracts = fixtures::contracts();
        let knowledge = Knowledge::of(principal, &contracts, |_| None);
        knowledge.iter().map(|(dataset, _)| dataset.to_owned()).collect()
    }

    #[test]
    fn a_conditional_dataset_is_known_so_that_it_can_be_asked_for() {
        let known = known(&principal("transport", &[READ_CATALOGUE]));
        assert!(known.contains(&"people.resident".to_owned()), "{known:?}");
    }

    #[test]
    fn a_dataset_that_is_not_shared_is_known_only_to_its_owner() {
        assert!(!known(&principal("transport", &[READ_CATALOGUE])).contains(&"police.case".into()));
        assert_eq!(known(&principal("police", &[])), ["police.case"]);
    }

    #[test]
    fn who_may_not_read_the_catalogue_knows_only_what_it_may_read() {
        let contracts = fixtures::contracts();
        let readable = |contract: &Contract| {
            (contract.id == "air.pm25").then(|| Readable { fields: BTreeMap::new(), whole: true })
        };
        let knowledge = Knowledge::of(&principal("transport", &[]), &contracts, readable);
        assert_eq!(knowledge.iter().map(|(id, _)| id).collect::<Vec<_>>(), ["air.pm25"]);
        assert_eq!(knowledge.get("air.pm25").map(|known| known.access), Some(Access::Readable));
    }

    #[test]
    fn an_unclassified_field_has_no_name_outside_its_owner() {
        let contracts = fixtures::contracts();
        let names = |principal: &Principal| {
            let knowledge = Knowledge::of(principal, &contracts, |_| None);
            knowledge.get("people.resident").expect("conditional").fields.clone()
        };
        assert!(!names(&principal("transport", &[READ_CATALOGUE])).contains_key("remark"));
        assert!(names(&principal("civil_affairs", &[])).contains_key("remark"));
    }
}
