//! Brings organisations and areas into line with the pack, keeping what was said before.
//!
//! A thing that is new opens a row; one that differs ends the recording of its row, records it
//! again as having held until now, and opens a row that holds from now; one that the pack no
//! longer has ends. All of it is one transaction.

use std::collections::BTreeMap;

use catalog::audit::Event;
use catalog::records::micros;
use chrono::{DateTime, Utc};
use pack::Pack;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
};
use serde_json::json;
use store::records::WriteTxn;
use uuid::Uuid;

use crate::records::{area, organisation, succession};
use crate::{Registry, RegistryError, geometry, tree};

/// Rows that one statement writes: SQLite takes 32,766 values in a statement, a row has 12.
const STATEMENT_ROWS_MAX: usize = 1_000;
/// A chain of successors longer than this is a mistake.
const SUCCESSORS_MAX: usize = 32;

/// What a synchronisation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub opened: usize,
    pub changed: usize,
    pub closed: usize,
}

impl Summary {
    fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn add(&mut self, other: Self) {
        self.opened += other.opened;
        self.changed += other.changed;
        self.closed += other.closed;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThingKind {
    Organisation,
    Area,
}

impl ThingKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Organisation => "organisation",
            Self::Area => "area",
        }
    }
}

/// `successor` took over from `predecessor`, wholly or in part.
#[derive(Debug, Clone)]
pub struct Succession {
    pub kind: ThingKind,
    pub predecessor: String,
    pub successor: String,
    pub valid_from: DateTime<Utc>,
}

/// A table whose rows have two times. What differs between organisations and areas.
trait Recorded: Clone + Send + Sync {
    type Entity: EntityTrait<Model = Self>;

    const ROW: <Self::Entity as EntityTrait>::Column;
    const RECORDED_TO: <Self::Entity as EntityTrait>::Column;

    fn row(&self) -> Uuid;
    /// What names the thing through all its rows.
    fn key(&self) -> &str;
    /// The same facts, whatever the times.
    fn says_the_same(&self, other: &Self) -> bool;
    fn recorded_from_us(&self) -> i64;
    /// No end of its validity is known.
    fn is_open(&self) -> bool;
    /// The same facts in a row of its own: valid until, or from, `at`.
    fn recorded_anew(&self, at: i64, valid: Valid) -> Self;
}

type ActiveModelOf<R> = <<R as Recorded>::Entity as EntityTrait>::ActiveModel;

#[derive(Debug, Clone, Copy)]
enum Valid {
    /// As long as anybody remembers.
    Always,
    From(i64),
    /// From where it was valid before, until then.
    Until(i64),
}

impl Valid {
    fn times(self, before: Option<i64>) -> (Option<i64>, Option<i64>) {
        match self {
            Self::Always => (None, None),
            Self::From(at) => (Some(at), None),
            Self::Until(at) => (before, Some(at)),
        }
    }
}

/// What an entity of two times is to [`Recorded`], whatever it says.
macro_rules! recorded {
    ($table:ident, $key:ident) => {
        type Entity = $table::Entity;

        const ROW: $table::Column = $table::Column::Row;
        const RECORDED_TO: $table::Column = $table::Column::RecordedToUs;

        fn row(&self) -> Uuid {
            self.row
        }

        fn key(&self) -> &str {
            &self.$key
        }

        fn recorded_from_us(&self) -> i64 {
            self.recorded_from_us
        }

        fn is_open(&self) -> bool {
            self.valid_to_us.is_none()
        }

        fn recorded_anew(&self, at: i64, valid: Valid) -> Self {
            let (valid_from_us, valid_to_us) = valid.times(self.valid_from_us);
            Self {
                row: Uuid::now_v7(),
                valid_from_us,
                valid_to_us,
                recorded_from_us: at,
                recorded_to_us: None,
                ..self.clone()
            }
        }
    };
}

impl Recorded for organisation::Model {
    recorded!(organisation, id);

    fn says_the_same(&self, other: &Self) -> bool {
        let facts = |row: &Self| {
            let names = (row.name_zh.clone(), row.name_en.clone());
            (row.credit_code.clone(), row.parent.clone(), names, row.kind.clone(), row.area.clone())
        };
        facts(self) == facts(other)
    }
}

impl Recorded for area::Model {
    recorded!(area, code);

    fn says_the_same(&self, other: &Self) -> bool {
        let place = |row: &Self| (row.level.clone(), row.parent.clone());
        let names = |row: &Self| (row.name_zh.clone(), row.name_en.clone());
        place(self) == place(other)
            && names(self) == names(other)
            && self.geometry == other.geometry
    }
}

impl Registry {
    /// Brings organisations and areas into line with the pack.
    pub async fn synchronise(
        &self,
        pack: &Pack,
        now: DateTime<Utc>,
    ) -> Result<Summary, RegistryError> {
        let organisations = organisations_of(pack);
        let areas = areas_of(pack)?;
        let txn = self.records.write().await?;
        let mut summary = align(&txn, organisations, micros(now)).await?;
        summary.add(align(&txn, areas, micros(now)).await?);
        if summary.is_empty() {
            txn.rollback().await?;
        } else {
            let event = Event::new("city", "", "registry.synchronise", &pack.city.code);
            let detail = json!({
                "opened": summary.opened, "changed": summary.changed, "closed": summary.closed,
            });
            self.audit.append(&txn, event.detail(detail)).await?;
            txn.commit().await?;
        }
        // The clock may stand before the newest row's: what was just written must be seen.
        self.reload(now.max(Utc::now())).await?;
        Ok(summary)
    }

    /// Writes down who took over from whom.
    pub async fn record_succession(
        &self,
        by: &str,
        succession: Succession,
        now: DateTime<Utc>,
    ) -> Result<(), RegistryError> {
        let tree = self.tree();
        match succession.kind {
            ThingKind::Organisation if !tree.has_organisation(&succession.successor) => {
                return Err(RegistryError::UnknownOrganisation(succession.successor));
            }
            ThingKind::Area if !tree.has_area(&succession.successor) => {
                return Err(RegistryError::UnknownArea(succession.successor));
            }
            _ => {}
        }
        if succession.predecessor == succession.successor {
            let problem = "expected another one than the predecessor".to_owned();
            return Err(RegistryError::Input { field: "successor", problem });
        }
        let txn = self.records.write().await?;
        let row = succession::Model {
            row: Uuid::now_v7(),
            kind: succession.kind.as_str().to_owned(),
            predecessor: succession.predecessor,
            successor: succession.successor,
            valid_from_us: micros(succession.valid_from),
            recorded_from_us: micros(now),
        };
        let event = Event::new(by, "", "registry.succeed", &row.predecessor)
            .detail(json!({ "kind": row.kind, "successor": row.successor }));
        row.into_active_model().insert(&*txn).await?;
        self.audit.append(&txn, event).await?;
        Ok(txn.commit().await?)
    }

    /// Who stands today for what was called `id` once: itself if it still is there, or those that
    /// took over from it, followed to the end.
    pub async fn successors(
        &self,
        kind: ThingKind,
        id: &str,
    ) -> Result<Vec<String>, RegistryError> {
        let tree = self.tree();
        let stands = |id: &str| match kind {
            ThingKind::Organisation => tree.has_organisation(id),
            ThingKind::Area => tree.has_area(id),
        };
        let rows = succession::Entity::find()
            .filter(succession::Column::Kind.eq(kind.as_str()))
            .order_by_asc(succession::Column::RecordedFromUs)
            .all(self.records.read())
            .await?;
        let mut found = Vec::new();
        let mut seen = vec![id.to_owned()];
        let mut at = 0;
        while at < seen.len() && seen.len() <= SUCCESSORS_MAX {
            let id = seen[at].clone();
            at += 1;
            if stands(&id) {
                found.push(id);
                continue;
            }
            for row in rows.iter().filter(|row| row.predecessor == id) {
                if !seen.contains(&row.successor) {
                    seen.push(row.successor.clone());
                }
            }
        }
        Ok(found)
    }
}

fn organisations_of(pack: &Pack) -> Vec<organisation::Model> {
    let rows = pack.organisations.iter().map(|organisation| organisation::Model {
        row: Uuid::nil(),
        id: organisation.id.clone(),
        credit_code: organisation.credit_code.clone(),
        parent: organisation.parent.clone(),
        name_zh: organisation.name.zh.clone(),
        name_en: organisation.name.en.clone(),
        kind: organisation.kind.clone(),
        area: organisation.area.clone(),
        valid_from_us: None,
        valid_to_us: None,
        recorded_from_us: 0,
        recorded_to_us: None,
    });
    rows.collect()
}

fn areas_of(pack: &Pack) -> Result<Vec<area::Model>, RegistryError> {
    let mut rows = Vec::with_capacity(pack.areas.len());
    for area in &pack.areas {
        let geometry = area.geometry_wkt.as_deref().map(geometry::wkb_of).transpose();
        let geometry = geometry.map_err(|problem| RegistryError::Geometry {
            place: format!("{}:{}", area.place.file, area.place.line),
            code: area.code.clone(),
            problem,
        })?;
        rows.push(area::Model {
            row: Uuid::nil(),
            code: area.code.clone(),
            level: tree::level_text(area.level).to_owned(),
            parent: area.parent.clone(),
            name_zh: area.name.zh.clone(),
            name_en: area.name.en.clone(),
            geometry,
            valid_from_us: None,
            valid_to_us: None,
            recorded_from_us: 0,
            recorded_to_us: None,
        });
    }
    Ok(rows)
}

/// Makes the table say what `wanted` says, from `now` on.
async fn align<R>(txn: &WriteTxn, wanted: Vec<R>, now: i64) -> Result<Summary, RegistryError>
where
    R: Recorded + IntoActiveModel<ActiveModelOf<R>>,
    ActiveModelOf<R>: ActiveModelTrait<Entity = R::Entity> + Send,
{
    let rows = R::Entity::find().filter(R::RECORDED_TO.is_null()).all(&**txn).await?;
    let is_first = rows.is_empty();
    // Rows that hold until some time are history; the others are what holds now.
    let mut current: BTreeMap<String, R> = BTreeMap::new();
    let mut newest = 0;
    for row in rows {
        newest = newest.max(row.recorded_from_us());
        if row.is_open() {
            current.insert(row.key().to_owned(), row);
        }
    }
    // A clock that went back must not make a recording end before it began.
    let at = now.max(newest + 1);

    let mut summary = Summary::default();
    let mut ended = Vec::new();
    let mut opened = Vec::new();
    for wanted in wanted {
        match current.remove(wanted.key()) {
            None => {
                summary.opened += 1;
                let valid = if is_first { Valid::Always } else { Valid::From(at) };
                opened.push(wanted.recorded_anew(at, valid));
            }
            Some(row) if row.says_the_same(&wanted) => {}
            Some(row) => {
                summary.changed += 1;
                opened.push(row.recorded_anew(at, Valid::Until(at)));
                opened.push(wanted.recorded_anew(at, Valid::From(at)));
                ended.push(row.row());
            }
        }
    }
    for row in current.into_values() {
        summary.closed += 1;
        opened.push(row.recorded_anew(at, Valid::Until(at)));
        ended.push(row.row());
    }
    for ended in ended.chunks(STATEMENT_ROWS_MAX) {
        R::Entity::update_many()
            .col_expr(R::RECORDED_TO, Expr::value(at))
            .filter(R::ROW.is_in(ended.iter().copied()))
            .exec(&**txn)
            .await?;
    }
    for opened in opened.chunks(STATEMENT_ROWS_MAX) {
        let rows = opened.iter().cloned().map(IntoActiveModel::into_active_model);
        R::Entity::insert_many(rows).exec_without_returning(&**txn).await?;
    }
    Ok(summary)
}
