//! GET: the statements of a plan, one after the other, and what they answer as entities.
//!
//! Parents first (there or not), then page, count, and an expansion for all entities of a page.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, AsArray};
use catalog::Session;
use chrono::Utc;
use futures::FutureExt;
use futures::future::BoxFuture;
use sensing::entity::{Answer, Expanded, Item, Page, Writer};
use sensing::odata::{EntityId, ResourcePath, Target};
use sensing::plan::{
    CHILD_ROWS_MAX, Child, Context, ObservationKey, Plan, Request, Statement, next_link,
    next_link_of_child, plan,
};
use sensing::schema::{EntityKind, SENSORTHINGS_1_1};

use super::table::Table;
use super::{DATASTREAM, unplanned};
use crate::{City, CityError};

/// The column of an expansion's rows that says whose they are.
const PARENT: &str = "parent";
const COUNT: &str = "count";

/// What a request found.
#[derive(Debug)]
pub enum StaAnswer {
    /// A part of a collection.
    Page(Page),
    /// One entity, of which the path may want a property only.
    Entity(Box<Item>),
}

impl City {
    /// Answers a request below `root`, as far as the session's principal may see.
    pub async fn sta_get(
        &self,
        session: &Session,
        request: &Request<'_>,
        root: &str,
    ) -> Result<StaAnswer, CityError> {
        if request.options.apply.is_some() {
            let reason = "$apply is planned and not served yet".to_owned();
            return Err(CityError::Unsupported(reason));
        }
        let path = self.sta_followed(request.path).await?;
        let extras = request.extras.clone();
        let request = &Request { path: &path, options: request.options, extras };
        let context = Context { schema: &SENSORTHINGS_1_1, now: Utc::now(), root: root.to_owned() };
        let plan = plan(request, &context).map_err(|error| unplanned(&error))?;
        let asking = Asking { city: self, session, root, writer: Writer::new(root) };
        asking.parents(plan.parents.as_ref()).await?;
        match plan.target {
            Target::Collection(_) => asking.page(request, &plan).await.map(StaAnswer::Page),
            Target::Entity(_) | Target::Property => {
                asking.one(&plan).await.map(|item| StaAnswer::Entity(Box::new(item)))
            }
        }
    }

    /// The path with observations by the ids that they have now: one whose time or Datastream was
    /// corrected is still found by the id that it had.
    pub(super) async fn sta_followed<'p>(
        &self,
        path: &'p ResourcePath,
    ) -> Result<Cow<'p, ResourcePath>, CityError> {
        let observed = |kind: EntityKind| kind == EntityKind::Observation;
        if !path.segments.iter().any(|segment| observed(segment.value.entity.kind)) {
            return Ok(Cow::Borrowed(path));
        }
        let over = self.stores().over(None).await?;
        let mut path = path.clone();
        for segment in &mut path.segments {
            let key = match &segment.value.id {
                Some(EntityId::Text(text)) if observed(segment.value.entity.kind) => {
                    text.parse::<ObservationKey>().ok()
                }
                _ => None,
            };
            if let Some(key) = key {
                segment.value.id = Some(EntityId::Text(over.followed(key).to_string()));
            }
        }
        Ok(Cow::Owned(path))
    }

    /// Whether the entities on the way to what a path ends at are there.
    pub(super) async fn sta_way(
        &self,
        session: &Session,
        parents: Option<&Statement>,
    ) -> Result<(), CityError> {
        let Some(statement) = parents else { return Ok(()) };
        match self.sta_ask(session, statement).await?.len() {
            0 => Err(nothing()),
            _ => Ok(()),
        }
    }
}

pub(super) fn nothing() -> CityError {
    CityError::NotFound("there is no such entity".to_owned())
}

/// One request under way.
struct Asking<'c> {
    city: &'c City,
    session: &'c Session,
    root: &'c str,
    writer: Writer<'c>,
}

impl Asking<'_> {
    async fn ask(&self, statement: &Statement) -> Result<Table, CityError> {
        self.city.sta_ask(self.session, statement).await
    }

    async fn parents(&self, statement: Option<&Statement>) -> Result<(), CityError> {
        self.city.sta_way(self.session, statement).await
    }

    async fn one(&self, plan: &Plan<'_>) -> Result<Item, CityError> {
        let statement = plan.page.as_ref().ok_or_else(nothing)?;
        let table = self.ask(statement).await?;
        if table.len() == 0 {
            return Err(nothing());
        }
        let mut items = self.items(plan.entity.kind, &table, &[0]).await?;
        self.expand(&mut items, &table, &[0], &plan.children).await?;
        items.pop().ok_or_else(nothing)
    }

    async fn page(&self, request: &Request<'_>, plan: &Plan<'_>) -> Result<Page, CityError> {
        let mut page = Page::default();
        if let Some(statement) = &plan.page {
            let table = self.ask(statement).await?;
            let top = usize::try_from(plan.top).unwrap_or(usize::MAX);
            let rows: Vec<usize> = (0..table.len().min(top)).collect();
            page.items = self.items(plan.entity.kind, &table, &rows).await?;
            self.expand(&mut page.items, &table, &rows, &plan.children).await?;
            if table.len() > top {
                let last: Option<&EntityId> = page.items.last().map(|item| &item.id);
                let next = next_link(request, plan, last);
                page.next_link = Some(format!("{}/{next}", self.root));
            }
        }
        if let Some(statement) = &plan.count {
            let count = self.ask(statement).await?.integer(COUNT, 0).unwrap_or(0);
            page.count = Some(u64::try_from(count).unwrap_or(0));
        }
        Ok(page)
    }

    async fn items(
        &self,
        kind: EntityKind,
        table: &Table,
        rows: &[usize],
    ) -> Result<Vec<Item>, CityError> {
        let items = rows.iter().map(|row| table.item(kind, *row));
        let mut items: Vec<Item> = items.collect::<Result<_, _>>()?;
        if kind == EntityKind::Observation {
            let mut absent = HashMap::new();
            for (item, row) in items.iter_mut().zip(rows) {
                let Some(stream) = table.integer("datastream", *row) else { continue };
                let known = match absent.get(&stream) {
                    Some(known) => *known,
                    None => {
                        let found = self.absent(stream).await?;
                        absent.insert(stream, found);
                        found
                    }
                };
                item.absent = Some(known);
            }
        }
        Ok(items)
    }

    /// Of which type of stream its observations are not.
    async fn absent(&self, stream: i64) -> Result<EntityKind, CityError> {
        let contract = self.city.contract(DATASTREAM)?;
        let row = self.city.registers().row(contract, &stream.to_string()).await?;
        let multi = row.is_some_and(|(_, row)| {
            let column = row.column_by_name("multi").and_then(|column| column.as_boolean_opt());
            column.is_some_and(|column| column.is_valid(0) && column.value(0))
        });
        Ok(if multi { EntityKind::Datastream } else { EntityKind::MultiDatastream })
    }

    /// Puts to each item what its expansions lead to. `rows` are the items' places in the table.
    fn expand<'a>(
        &'a self,
        items: &'a mut [Item],
        table: &'a Table,
        rows: &'a [usize],
        children: &'a [Child<'_>],
    ) -> BoxFuture<'a, Result<(), CityError>> {
        async move {
            for child in children {
                self.expand_one(items, table, rows, child).await?;
            }
            Ok(())
        }
        .boxed()
    }

    async fn expand_one(
        &self,
        items: &mut [Item],
        table: &Table,
        rows: &[usize],
        child: &Child<'_>,
    ) -> Result<(), CityError> {
        let keys: BTreeSet<i64> =
            rows.iter().filter_map(|row| table.integer(child.keyed_by, *row)).collect();
        let keys: Vec<i64> = keys.into_iter().collect();
        let related = self.related(child, &keys).await?;
        let counts = self.counts(child, &keys).await?;
        let counted = child.options.count.is_some_and(|count| count.value);
        for (item, row) in items.iter_mut().zip(rows) {
            let key = table.integer(child.keyed_by, *row);
            let found = key.and_then(|key| related.get(&key));
            let answer = if child.navigation.is_many() {
                let next = found.is_some_and(|found| found.more).then(|| {
                    let parent = self.writer.self_link(item.entity.kind(), &item.id);
                    next_link_of_child(&parent, child.navigation.name, child.options, child.top)
                });
                let count = key.and_then(|key| counts.get(&key)).copied().unwrap_or(0);
                Answer::Many(Page {
                    count: counted.then_some(count),
                    items: found.map(|found| found.items.clone()).unwrap_or_default(),
                    next_link: next,
                })
            } else {
                let one = found.and_then(|found| found.items.first());
                Answer::One(one.map(|item| Box::new(item.clone())))
            };
            item.expanded.push(Expanded { navigation: child.navigation, answer });
        }
        Ok(())
    }

    /// The related entities of each parent, and whether there are more.
    async fn related(
        &self,
        child: &Child<'_>,
        keys: &[i64],
    ) -> Result<HashMap<i64, Related>, CityError> {
        let mut related: HashMap<i64, Related> = HashMap::new();
        let Some(statement) = child.statement(keys).map_err(|error| unplanned(&error))? else {
            return Ok(related);
        };
        let table = self.ask(&statement).await?;
        if u64::try_from(table.len()).unwrap_or(u64::MAX) > CHILD_ROWS_MAX {
            let reason = format!(
                "{} of all entities of the page are more than {CHILD_ROWS_MAX}: ask for less with \
                 $top",
                child.navigation.name
            );
            return Err(CityError::Invalid(reason));
        }
        let (mut rows, mut parents) = (Vec::new(), Vec::new());
        let mut seen: HashMap<i64, u64> = HashMap::new();
        for row in 0..table.len() {
            let Some(parent) = table.integer(PARENT, row) else { continue };
            let place = seen.entry(parent).or_default();
            *place += 1;
            if *place > child.top {
                related.entry(parent).or_default().more = true;
                continue;
            }
            rows.push(row);
            parents.push(parent);
        }
        let mut items = self.items(child.entity.kind, &table, &rows).await?;
        self.expand(&mut items, &table, &rows, &child.children).await?;
        for (parent, item) in parents.into_iter().zip(items) {
            related.entry(parent).or_default().items.push(item);
        }
        Ok(related)
    }

    async fn counts(
        &self,
        child: &Child<'_>,
        keys: &[i64],
    ) -> Result<HashMap<i64, u64>, CityError> {
        let Some(statement) = child.count(keys).map_err(|error| unplanned(&error))? else {
            return Ok(HashMap::new());
        };
        let table = self.ask(&statement).await?;
        let counted = (0..table.len()).filter_map(|row| {
            let count = u64::try_from(table.integer(COUNT, row)?).ok()?;
            Some((table.integer(PARENT, row)?, count))
        });
        Ok(counted.collect())
    }
}

#[derive(Default)]
struct Related {
    items: Vec<Item>,
    more: bool,
}
