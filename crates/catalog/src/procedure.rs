//! The small state machines of sharing and corrections: a table of steps, and who may take them.
//!
//! It knows states, verbs and parties; not what a step does. A table is data, so a test can walk
//! all of it.

use crate::session::Principal;

/// In which part somebody acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The organisation that asked.
    Requester,
    /// The organisation that owns the dataset, or one above it.
    Owner,
    /// Nobody: time did it.
    Clock,
}

/// One allowed step: from a state, by a verb, taken by a party, to a state.
#[derive(Debug, Clone, Copy)]
pub struct Step<S, V> {
    pub from: S,
    pub verb: V,
    pub by: Party,
    pub to: S,
}

/// Why a step cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    #[error("cannot {verb} what is {state}; look at its present state first")]
    NotFromHere { verb: String, state: String },
    #[error("only {who} may {verb} this; {user} acts for {organisation}")]
    NotYou { who: &'static str, verb: String, user: String, organisation: String },
    #[error("{user} lacks the permission `{permission}`; ask for a role that has it")]
    NoPermission { user: String, permission: &'static str },
}

/// Who wants to take a step.
#[derive(Debug, Clone, Copy)]
pub enum Actor<'a> {
    Principal(&'a Principal),
    Clock,
}

impl Actor<'_> {
    pub fn user(&self) -> &str {
        match self {
            Self::Principal(principal) => &principal.user,
            Self::Clock => "clock",
        }
    }

    pub fn organisation(&self) -> &str {
        match self {
            Self::Principal(principal) => &principal.organisation,
            Self::Clock => "",
        }
    }
}

/// The parties of one matter, and the permission that each needs beside being that party.
#[derive(Debug, Clone, Copy)]
pub struct Parties<'a> {
    pub requester: &'a str,
    pub requester_permission: &'static str,
    pub owner: &'a str,
    pub owner_permission: &'static str,
}

/// The state that `verb` leads to, if `actor` may take the step.
pub fn next<S, V>(
    table: &[Step<S, V>],
    from: S,
    verb: V,
    actor: Actor<'_>,
    parties: Parties<'_>,
) -> Result<S, StepError>
where
    S: Copy + PartialEq + std::fmt::Display,
    V: Copy + PartialEq + std::fmt::Display,
{
    let mut refusal = StepError::NotFromHere { verb: verb.to_string(), state: from.to_string() };
    for step in table.iter().filter(|step| step.from == from && step.verb == verb) {
        match allowed(step.by, &verb.to_string(), actor, parties) {
            Ok(()) => return Ok(step.to),
            Err(cause) => refusal = cause,
        }
    }
    Err(refusal)
}

/// Whether `actor` acts in the part of `party`.
pub fn allowed(
    party: Party,
    verb: &str,
    actor: Actor<'_>,
    parties: Parties<'_>,
) -> Result<(), StepError> {
    let not_you = |who| StepError::NotYou {
        who,
        verb: verb.to_owned(),
        user: actor.user().to_owned(),
        organisation: actor.organisation().to_owned(),
    };
    let permit = |principal: &Principal, permission| {
        if principal.may(permission) {
            Ok(())
        } else {
            Err(StepError::NoPermission { user: principal.user.clone(), permission })
        }
    };
    match (party, actor) {
        (Party::Clock, Actor::Clock) => Ok(()),
        (Party::Clock, Actor::Principal(_)) => Err(not_you("the clock")),
        (Party::Requester, Actor::Principal(principal)) => {
            if principal.organisation != parties.requester {
                return Err(not_you("the organisation that asked"));
            }
            permit(principal, parties.requester_permission)
        }
        (Party::Owner, Actor::Principal(principal)) => {
            if !principal.organisations.contains(parties.owner) {
                return Err(not_you("the dataset's owner"));
            }
            permit(principal, parties.owner_permission)
        }
        (Party::Requester | Party::Owner, Actor::Clock) => Err(not_you("a person")),
    }
}
