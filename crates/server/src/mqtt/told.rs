//! What was written, told to those who listen and may see it: each row is held to the row filter of
//! every listener before a word of it goes out.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use bytes::Bytes;
use city::{CityError, StaListener, StaShown, StaTold, StaWritten};
use mqtt::Broker;
use sensing::entity::{Item, Writer};
use sensing::odata::{EntityId, QueryOptions};
use sensing::schema::EntityKind;
use tokio::sync::watch;

use super::face::{Face, message};
use super::topics;
use crate::stopped;

/// Rows that are told of before whoever else has something to do is let through.
const LINES_AT_ONCE: usize = 64;

/// Tells until the server stops.
pub async fn tell(
    broker: Arc<Broker<Face>>,
    mut listener: StaListener,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let told = tokio::select! {
            told = listener.next() => told,
            () = stopped(&mut stop) => return,
        };
        match told {
            Some(StaTold::Written(written)) => {
                if let Err(error) = tell_of(&broker, &written).await {
                    tracing::error!(%error, dataset = written.dataset, "rows were not told of");
                }
            }
            Some(StaTold::Missed(rows)) => {
                super::MISSED_ROWS.fetch_add(rows, std::sync::atomic::Ordering::Relaxed);
                tracing::warn!(rows, "subscribers were not told of rows: too many came at once");
            }
            None => return,
        }
    }
}

/// A row's entity with the topics that it is told under.
struct Line {
    item: Item,
    topics: Vec<String>,
    origin: Option<u64>,
    row: usize,
}

async fn tell_of(broker: &Broker<Face>, written: &StaWritten) -> Result<(), CityError> {
    if !broker.is_heard() {
        return Ok(());
    }
    let city = &broker.hooks().city;
    let Some(shown) = city.sta_shown(written).await? else { return Ok(()) };
    // First who hears of it at all; then what each of them sees; then what they are told.
    let mut listeners = HashMap::new();
    let mut lines = Vec::new();
    for row in 0..shown.len() {
        if row % LINES_AT_ONCE == LINES_AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        let Some(line) = line(&shown, written, row)? else { continue };
        let mut is_heard = false;
        broker.tell(&line.topics, line.origin, |heard| {
            let client = heard.client();
            listeners.entry(Arc::as_ptr(client.principal()).addr()).or_insert(client);
            is_heard = true;
            None
        });
        if is_heard {
            lines.push(line);
        }
    }
    let mut seen: HashMap<usize, BooleanArray> = HashMap::new();
    for (principal, client) in &listeners {
        let sight = city.sta_sight(&client.session, written.dataset).await?;
        seen.insert(*principal, sight.sees(&written.rows)?);
    }
    let writer = Writer::new(&broker.hooks().root);
    let nothing_selected = QueryOptions::default();
    for (told, line) in lines.into_iter().enumerate() {
        if told % LINES_AT_ONCE == LINES_AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        let mut whole: Option<Bytes> = None;
        broker.tell(&line.topics, line.origin, |heard| {
            let client = heard.client();
            // One whose rights have changed meanwhile is not among those that were asked about.
            let rows = seen.get(&Arc::as_ptr(client.principal()).addr())?;
            if !rows.is_valid(line.row) || !rows.value(line.row) {
                return None;
            }
            let wish = heard.tag();
            let text: Bytes = match wish.property.is_none() && wish.select == nothing_selected {
                // Most want the same: it is written once, and held once.
                true => whole
                    .get_or_insert_with(|| writer.entity(&line.item, &nothing_selected).into())
                    .clone(),
                false => {
                    let text = wish.text(&writer, &line.item)?;
                    if wish.property.is_some() {
                        let mut last = wish.last.lock();
                        if last.as_ref() == Some(&text) {
                            return None;
                        }
                        *last = Some(text.clone());
                    }
                    text.into()
                }
            };
            let topic = wish.topic.clone().unwrap_or_else(|| heard.topic().into());
            Some(message(topic, text))
        });
    }
    Ok(())
}

fn line(shown: &StaShown, written: &StaWritten, row: usize) -> Result<Option<Line>, CityError> {
    let Some(item) = shown.item(row)? else { return Ok(None) };
    let kind = shown.kind(row);
    let topics = topics_of(kind, &item.id, &shown.parents(row));
    Ok(Some(Line { item, topics, origin: written.origins.get(row).copied(), row }))
}

fn topics_of(kind: EntityKind, id: &EntityId, parents: &[(EntityKind, EntityId)]) -> Vec<String> {
    let mut all = vec![topics::of_set(kind), topics::of_entity(kind, id)];
    all.extend(parents.iter().map(|(parent, id)| topics::below(*parent, id, kind)));
    all
}
