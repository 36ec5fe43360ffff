//! Who sees what of a dataset: policies and grants in, one [`Access`] out.
//!
//! The pack's policies of a dataset are tried in order and the first that applies decides. Where
//! that one is for everyone, a sharing grant goes before it: a grant is a decision about this
//! very organisation. Where none applies, the dataset does not exist for the principal.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use chrono::Utc;
use pack::{Applies, Contract, Mask, Pack, Policy};

use super::{Grants, SqlError, masks};
use crate::Principal;

/// What one principal sees of one dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    pub row_filter: Option<String>,
    /// Visible fields in contract order, with the mask of each.
    pub fields: Vec<(String, Option<Mask>)>,
    pub min_cell: Option<u32>,
    /// The policy or grant that decided, for the audit.
    pub by: String,
}

impl Access {
    /// The visible fields as they are shown, given the stored ones.
    pub(super) fn schema(&self, stored: &Schema) -> SchemaRef {
        let fields = self.fields.iter().filter_map(|(name, mask)| {
            let field = stored.field_with_name(name).ok()?;
            Some(masks::field(field, mask.as_ref()))
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

/// `None`: the dataset does not exist for the principal.
pub(super) async fn resolve(
    pack: &Pack,
    grants: &dyn Grants,
    principal: &Principal,
    contract: &Contract,
) -> Result<Option<Access>, SqlError> {
    let policy = pack
        .policies
        .iter()
        .filter(|policy| policy.dataset == contract.id)
        .find(|policy| applies(policy, principal, contract));
    if let Some(policy) = policy.filter(|policy| policy.applies != Applies::Everyone) {
        return Ok(Some(by_policy(policy, principal, contract)));
    }
    if let Some(access) = by_grant(grants, principal, contract).await? {
        return Ok(Some(access));
    }
    Ok(policy.map(|policy| by_policy(policy, principal, contract)))
}

fn owns(principal: &Principal, contract: &Contract) -> bool {
    principal.ancestors.contains(&contract.owner) || principal.organisation == contract.owner
}

fn applies(policy: &Policy, principal: &Principal, contract: &Contract) -> bool {
    match &policy.applies {
        Applies::Owner => owns(principal, contract),
        Applies::Role(role) => principal.roles.contains(role),
        Applies::Organisation(id) => {
            principal.organisation == *id || principal.ancestors.contains(id)
        }
        Applies::Everyone => true,
    }
}

fn by_policy(policy: &Policy, principal: &Principal, contract: &Contract) -> Access {
    let shown = |name: &str| !policy.hidden.iter().any(|hidden| hidden == name);
    Access {
        row_filter: policy.row_filter.clone(),
        fields: visible(principal, contract, &policy.masks, shown),
        min_cell: policy.min_cell,
        by: format!("policy/{}", policy.id),
    }
}

/// Of several grants to the principal's organisation, the first decides.
async fn by_grant(
    grants: &dyn Grants,
    principal: &Principal,
    contract: &Contract,
) -> Result<Option<Access>, SqlError> {
    if principal.organisation.is_empty() {
        return Ok(None);
    }
    let now = Utc::now();
    let standing = grants.active(&contract.id, &principal.organisation, now).await;
    let standing = standing.map_err(|error| {
        tracing::error!(dataset = contract.id, %error, "grants cannot be read: closed");
        SqlError::refused("sharing grants cannot be read at the moment; try again later")
    })?;
    let grant = standing.into_iter().find(|grant| grant.expires.is_none_or(|end| end > now));
    let Some(grant) = grant else { return Ok(None) };
    let shown = |name: &str| {
        grant.fields.as_ref().is_none_or(|fields| fields.iter().any(|field| field == name))
    };
    Ok(Some(Access {
        fields: visible(principal, contract, &grant.masks, shown),
        row_filter: grant.row_filter.clone(),
        min_cell: None,
        by: format!("grant/{}", grant.id),
    }))
}

/// An unclassified field is shown to the owner alone, whatever a policy says.
fn visible(
    principal: &Principal,
    contract: &Contract,
    masks: &BTreeMap<String, Mask>,
    shown: impl Fn(&str) -> bool,
) -> Vec<(String, Option<Mask>)> {
    let owner = owns(principal, contract);
    contract
        .fields
        .iter()
        .filter(|field| (owner || field.class.is_some()) && shown(&field.name))
        .map(|field| (field.name.clone(), masks.get(&field.name).cloned()))
        .collect()
}
