//! GET: the statements of a plan, one after the other, and what they answer as entities.
//!
//! Parents first (there or not), then page, count, and an expansion for all entities of a page.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use arrow::array::{Array, AsArray};
use catalog::Session;
use futures::FutureExt;
use futures::future::BoxFuture;
use sensing::entity::{Answer, Expanded, Item, Page, Writer, with_places};
use sensing::odata::{
    Apply, EntityId, QueryOptions, ResourceEnd, ResourcePath, ResultFormat, Target,
};
use sensing::plan::{
    CHILD_ROWS_MAX, Child, Context, ObservationKey, Plan, Request, Statement, next_link,
    next_link_of_child, plan,
};
use sensing::schema::EntityKind;

use super::aggregate::{StaGroups, group};
use super::newest::{KEYS_AT_ONCE, Newest};
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
    /// What `$apply` makes of a collection.
    Groups(StaGroups),
}

impl City {
    /// Answers a request below `root`, as far as the session's principal may see. What a request
    /// says of the moment that it asks about is the session's to know.
    pub async fn sta_get(
        &self,
        session: &Session,
        request: &Request<'_>,
        root: &str,
    ) -> Result<StaAnswer, CityError> {
        let path = self.sta_followed(session, request.path).await?;
        let extras = request.extras.clone();
        let request = &Request { path: &path, options: request.options, extras };
        let context = &self.sta_context(root);
        // A feature has a place, whether or not somebody thought of asking for one.
        let placed = places_of(request);
        let options = placed.as_ref().unwrap_or(request.options);
        let read = &Request { path: &path, options, extras: request.extras.clone() };
        let plan = plan(read, context).map_err(|error| unplanned(&error))?;
        let asking = Asking { city: self, session, request, context, writer: Writer::new(root) };
        asking.parents(plan.parents.as_ref()).await?;
        if let Some(apply) = &request.options.apply {
            return asking.groups(&plan, &apply.value).await.map(StaAnswer::Groups);
        }
        match plan.target {
            Target::Collection(_) => asking.page(&plan).await.map(StaAnswer::Page),
            Target::Entity(_) | Target::Property => {
                asking.one(&plan).await.map(|item| StaAnswer::Entity(Box::new(item)))
            }
        }
    }

    /// The path with observations by the ids that they have now: one whose time or Datastream was
    /// corrected is still found by the id that it had.
    pub(super) async fn sta_followed<'p>(
        &self,
        session: &Session,
        path: &'p ResourcePath,
    ) -> Result<Cow<'p, ResourcePath>, CityError> {
        let observed = |kind: EntityKind| kind == EntityKind::Observation;
        if !path.segments.iter().any(|segment| observed(segment.value.entity.kind)) {
            return Ok(Cow::Borrowed(path));
        }
        let over = self.stores().over(session.as_of).await?;
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

/// The options with what features' geometries are made from, where features are asked for.
fn places_of(request: &Request<'_>) -> Option<QueryOptions> {
    let format = request.options.result_format.map(|format| format.value);
    let features = format == Some(ResultFormat::GeoJson) && request.path.end == ResourceEnd::Whole;
    features.then(|| with_places(request.path.entity().kind, request.options))
}

/// One request under way.
struct Asking<'c> {
    city: &'c City,
    session: &'c Session,
    /// As it was asked: what links to further pages are made of.
    request: &'c Request<'c>,
    context: &'c Context,
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

    /// The address of the next page, where rows were found beyond this one.
    fn next(&self, plan: &Plan<'_>, last: Option<&EntityId>) -> String {
        let root = self.context.root.trim_end_matches('/');
        format!("{root}/{}", next_link(self.request, plan, last))
    }

    async fn groups(&self, plan: &Plan<'_>, apply: &Apply) -> Result<StaGroups, CityError> {
        let mut found = StaGroups::default();
        if let Some(statement) = &plan.page {
            let table = self.ask(statement).await?;
            let top = usize::try_from(plan.top).unwrap_or(usize::MAX);
            let rows = 0..table.len().min(top);
            found.groups = rows.map(|row| group(&table, row, &plan.columns, apply)).collect();
            found.next_link = (table.len() > top).then(|| self.next(plan, None));
        }
        found.count = self.counted(plan).await?;
        Ok(found)
    }

    /// How many there are in all, where the plan counts them.
    async fn counted(&self, plan: &Plan<'_>) -> Result<Option<u64>, CityError> {
        let Some(statement) = &plan.count else { return Ok(None) };
        let count = self.ask(statement).await?.integer(COUNT, 0).unwrap_or(0);
        Ok(Some(u64::try_from(count).unwrap_or(0)))
    }

    /// The rows of a page and one more. Of a long series' newest, those of its last stretch, where
    /// these are enough.
    async fn rows(&self, plan: &Plan<'_>, statement: &Statement) -> Result<Table, CityError> {
        let Some(narrowed) = self.city.narrowed(self.session, self.request, plan) else {
            return self.ask(statement).await;
        };
        let path = self.request.path;
        let extras = self.request.extras.clone();
        let placed = places_of(&Request { path, options: &narrowed, extras: extras.clone() });
        let options = placed.as_ref().unwrap_or(&narrowed);
        let stretch = sensing::plan::plan(&Request { path, options, extras }, self.context);
        let stretch = stretch.map_err(|error| unplanned(&error))?.page;
        if let Some(stretch) = stretch {
            let table = self.ask(&stretch).await?;
            if u64::try_from(table.len()).is_ok_and(|rows| rows > plan.top) {
                return Ok(table);
            }
        }
        self.ask(statement).await
    }

    async fn page(&self, plan: &Plan<'_>) -> Result<Page, CityError> {
        let mut page = Page::default();
        if let Some(statement) = &plan.page {
            let table = self.rows(plan, statement).await?;
            let top = usize::try_from(plan.top).unwrap_or(usize::MAX);
            let rows: Vec<usize> = (0..table.len().min(top)).collect();
            page.items = self.items(plan.entity.kind, &table, &rows).await?;
            self.expand(&mut page.items, &table, &rows, &plan.children).await?;
            if table.len() > top {
                let last: Option<&EntityId> = page.items.last().map(|item| &item.id);
                page.next_link = Some(self.next(plan, last));
            }
        }
        if plan.count.is_some() {
            page.count = match self.city.remembered_count(self.session, self.request).await? {
                Some(count) => Some(count),
                None => self.counted(plan).await?,
            };
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
        self.city.cover(self.session, &mut items);
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
                    let (name, extras) = (child.navigation.name, &self.request.extras);
                    next_link_of_child(&parent, name, child.options, extras, child.top)
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
        let keys = match self.city.newest(self.session, child, keys) {
            Some(newest) => self.newest(child, newest, &mut related).await?,
            None => keys.to_vec(),
        };
        let Some(statement) = child.statement(&keys).map_err(|error| unplanned(&error))? else {
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
        self.gather(child, &table, &rows, parents, &mut related).await?;
        Ok(related)
    }

    /// Reads rows of an expansion to the parents that they are of.
    async fn gather(
        &self,
        child: &Child<'_>,
        table: &Table,
        rows: &[usize],
        parents: Vec<i64>,
        related: &mut HashMap<i64, Related>,
    ) -> Result<(), CityError> {
        let mut items = self.items(child.entity.kind, table, rows).await?;
        self.expand(&mut items, table, rows, &child.children).await?;
        for (parent, item) in parents.into_iter().zip(items) {
            related.entry(parent).or_default().items.push(item);
        }
        Ok(())
    }

    /// The newest observations by the keys that are remembered; the Datastreams whose own is not
    /// found there.
    async fn newest(
        &self,
        child: &Child<'_>,
        newest: Newest,
        related: &mut HashMap<i64, Related>,
    ) -> Result<Vec<i64>, CityError> {
        let mut unknown = newest.unknown;
        for keys in newest.keys.chunks(KEYS_AT_ONCE) {
            let statement = child.by_keys(keys).map_err(|error| unplanned(&error))?;
            let table = self.ask(&statement).await?;
            let mut wanted: HashSet<ObservationKey> = keys.iter().copied().collect();
            let (mut rows, mut parents) = (Vec::new(), Vec::new());
            for row in 0..table.len() {
                let Some(key) = table.key(row) else { continue };
                if wanted.remove(&key) {
                    rows.push(row);
                    parents.push(key.datastream);
                }
            }
            self.gather(child, &table, &rows, parents.clone(), related).await?;
            for parent in parents {
                related.entry(parent).or_default().more = newest.more.contains(&parent);
            }
            unknown.extend(wanted.iter().map(|key| key.datastream));
        }
        unknown.sort_unstable();
        Ok(unknown)
    }

    async fn counts(
        &self,
        child: &Child<'_>,
        keys: &[i64],
    ) -> Result<HashMap<i64, u64>, CityError> {
        if let Some(counts) = self.city.remembered_counts(self.session, child, keys).await? {
            return Ok(counts);
        }
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
