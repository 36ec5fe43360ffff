//! Requests in lists: those that wait for a decision first, of each part the newest first, so that
//! no number of decided ones pushes one off the list that somebody still has to answer.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use super::{Grant, Request, Sharing, SharingError, State};
use crate::records::{sharing_grant, sharing_request};
use crate::session::Principal;

/// Requests on one page.
pub const PAGE_REQUESTS_MAX: u64 = 1_000;
/// Requests that a list without pages holds; what it leaves out is told in the log.
const WHOLE_REQUESTS_MAX: u64 = 20_000;

/// A request, and what was granted in answer to it, where something was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub request: Request,
    pub grant: Option<Grant>,
}

/// A part of a list, and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPage {
    pub items: Vec<Listed>,
    pub next: Option<Cursor>,
}

/// A place in a list: behind this request, wherever that has gone since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    undecided: bool,
    requested_us: i64,
    id: Uuid,
}

/// What stands in front of a cursor's other parts.
const UNDECIDED: &str = "undecided";
const DECIDED: &str = "decided";

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = if self.undecided { UNDECIDED } else { DECIDED };
        write!(f, "{part}.{}.{}", self.requested_us, self.id)
    }
}

impl FromStr for Cursor {
    type Err = SharingError;

    fn from_str(text: &str) -> Result<Self, SharingError> {
        let cursor = || {
            let (part, rest) = text.split_once('.')?;
            let (requested_us, id) = rest.split_once('.')?;
            let undecided = match part {
                UNDECIDED => true,
                DECIDED => false,
                _ => return None,
            };
            let (requested_us, id) = (requested_us.parse().ok()?, id.parse().ok()?);
            Some(Self { undecided, requested_us, id })
        };
        cursor().ok_or_else(|| SharingError::Cursor(text.to_owned()))
    }
}

impl Cursor {
    fn behind(row: &sharing_request::Model) -> Self {
        let undecided = row.state == State::Requested.as_str();
        Self { undecided, requested_us: row.requested_us, id: row.id }
    }

    /// The rows that come after it.
    fn rest(&self) -> Condition {
        use sharing_request::Column;
        let older = Condition::any().add(Column::RequestedUs.lt(self.requested_us)).add(
            Condition::all()
                .add(Column::RequestedUs.eq(self.requested_us))
                .add(Column::Id.lt(self.id)),
        );
        let decided = Column::State.ne(State::Requested.as_str());
        match self.undecided {
            true => {
                let undecided = Column::State.eq(State::Requested.as_str());
                Condition::any().add(decided).add(Condition::all().add(undecided).add(older))
            }
            false => Condition::all().add(decided).add(older),
        }
    }
}

fn in_order() -> Select<sharing_request::Entity> {
    use sharing_request::Column;
    sharing_request::Entity::find()
        .order_by_desc(Column::State.eq(State::Requested.as_str()))
        .order_by_desc(Column::RequestedUs)
        .order_by_desc(Column::Id)
}

impl Sharing {
    /// A page of the requests that a principal's organisation made and of those for datasets that
    /// it decides about, from the beginning or from behind a place.
    pub async fn page(
        &self,
        principal: &Principal,
        after: Option<Cursor>,
        limit: u64,
    ) -> Result<RequestPage, SharingError> {
        let limit = limit.clamp(1, PAGE_REQUESTS_MAX);
        let mut wanted = in_order().filter(self.concerning(principal));
        if let Some(cursor) = after {
            wanted = wanted.filter(cursor.rest());
        }
        // One more than wanted tells whether there is another page.
        let mut rows = wanted.limit(limit + 1).all(self.records.read()).await?;
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = rows.last().filter(|_| more).map(Cursor::behind);
        let mut grants = self.grants_of(&rows).await?;
        let listed = |row: sharing_request::Model| {
            let grant = grants.remove(&row.id);
            Ok(Listed { request: Request::try_from(row)?, grant })
        };
        let items = rows.into_iter().map(listed).collect::<Result<Vec<_>, SharingError>>()?;
        Ok(RequestPage { items, next })
    }

    /// The requests that a principal's organisation made, and those for datasets that it decides
    /// about, as one list.
    pub async fn requests(&self, principal: &Principal) -> Result<Vec<Request>, SharingError> {
        self.whole(in_order().filter(self.concerning(principal))).await
    }

    /// All requests: for whoever runs the platform.
    pub async fn all_requests(&self) -> Result<Vec<Request>, SharingError> {
        self.whole(in_order()).await
    }

    async fn whole(
        &self,
        wanted: Select<sharing_request::Entity>,
    ) -> Result<Vec<Request>, SharingError> {
        let mut rows = wanted.limit(WHOLE_REQUESTS_MAX + 1).all(self.records.read()).await?;
        if rows.len() as u64 > WHOLE_REQUESTS_MAX {
            tracing::warn!("a list of sharing requests holds the first {WHOLE_REQUESTS_MAX} alone");
            rows.truncate(usize::try_from(WHOLE_REQUESTS_MAX).unwrap_or(usize::MAX));
        }
        rows.into_iter().map(Request::try_from).collect()
    }

    fn concerning(&self, principal: &Principal) -> Condition {
        let decided_here = self
            .pack
            .datasets
            .values()
            .filter(|contract| principal.organisations.contains(&contract.owner))
            .map(|contract| contract.id.as_str());
        Condition::any()
            .add(sharing_request::Column::Organisation.eq(principal.organisation.as_str()))
            .add(sharing_request::Column::Dataset.is_in(decided_here))
    }

    /// What was granted in answer to these requests, whether or not it still stands.
    async fn grants_of(
        &self,
        rows: &[sharing_request::Model],
    ) -> Result<BTreeMap<Uuid, Grant>, SharingError> {
        let found = sharing_grant::Entity::find()
            .filter(sharing_grant::Column::Id.is_in(rows.iter().map(|row| row.id)))
            .all(self.records.read())
            .await?;
        found.into_iter().map(|row| Ok((row.id, Grant::try_from(row)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        for undecided in [true, false] {
            let cursor = Cursor { undecided, requested_us: -7, id: Uuid::now_v7() };
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        let id = Uuid::now_v7();
        for wrong in ["", "decided", "granted.1.x", "decided.1", &format!("decided.x.{id}")] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
