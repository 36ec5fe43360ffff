//! Groups and rows, read in one pass over the bytes.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::fault::{At, Fault, FaultKind, Result, quote};
use super::super::fields::text;
use super::super::json::{Bounded, Json, no_json};
use super::super::model::Outcome;
use super::super::time::{Moment, Period, TimeObject};
use super::super::{BODY_BYTES_MAX, ROWS_MAX, read};
use super::Component;
use super::cells::{
    IdCell, JsonCell, MembersCell, ResultCell, Scalar, Seed, TimeCell, visit_scalars,
};
use super::columns::{Group, NewRow, Observations, Stream};
use crate::odata::EntityId;
use crate::schema::EntityKind;

const STREAMS: [(&str, EntityKind); 2] =
    [("Datastream", EntityKind::Datastream), ("MultiDatastream", EntityKind::MultiDatastream)];
const MEMBERS: [&str; 5] =
    ["Datastream", "MultiDatastream", "components", "dataArray", "dataArray@iot.count"];
/// There are fewer names.
const COMPONENTS_MAX: usize = 16;

pub(super) fn read(body: &[u8]) -> Result<Vec<Group>> {
    if body.len() > BODY_BYTES_MAX {
        let what = format!("a body of more than {BODY_BYTES_MAX} bytes");
        return Err(Fault::new(At::Root, what).kind(FaultKind::TooLarge));
    }
    let mut reader = Reader::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let groups = reader.deserialize(&mut json).and_then(|groups| {
        json.end()?;
        Ok(groups)
    });
    groups.map_err(|cause| reader.fault.take().unwrap_or_else(|| no_json(&cause)))
}

/// The whole body.
#[derive(Default)]
struct Reader {
    rows: usize,
    /// Why the body is refused where that is no matter of its JSON.
    fault: Option<Box<Fault>>,
}

impl<'de> DeserializeSeed<'de> for &mut Reader {
    type Value = Vec<Group>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Vec<Group>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader {
    type Value = Vec<Group>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of groups: [{\"Datastream\":…,\"components\":…,\"dataArray\":…}]")
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut items: A,
    ) -> std::result::Result<Vec<Group>, A::Error> {
        let mut groups = Vec::new();
        loop {
            let group = GroupSeed { reader: &mut *self, index: groups.len() };
            match items.next_element_seed(group)? {
                Some(group) => groups.push(group),
                None => return Ok(groups),
            }
        }
    }
}

struct GroupSeed<'r> {
    reader: &'r mut Reader,
    index: usize,
}

impl<'de> DeserializeSeed<'de> for GroupSeed<'_> {
    type Value = Group;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Group, D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// The rows of a group, which may stand before the components that tell how they are read.
enum Rows<'de> {
    Unseen,
    Waiting(&'de RawValue),
    Read,
}

impl<'de> Visitor<'de> for GroupSeed<'_> {
    type Value = Group;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a group: {\"Datastream\":…,\"components\":…,\"dataArray\":…}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Group, A::Error> {
        let root = At::Root;
        let at = root.element(self.index);
        let mut group = Group {
            index: self.index,
            stream: None,
            rows: 0,
            observations: Observations::default(),
            refused: Vec::new(),
            fault: None,
        };
        let mut components: Option<Vec<Component>> = None;
        let mut rows = Rows::Unseen;
        let mut seen = Vec::with_capacity(MEMBERS.len());
        while let Some(name) = members.next_key::<String>()? {
            if seen.contains(&name) {
                return Err(A::Error::custom(format!("the member `{name}` is given twice")));
            }
            if let Some((_, kind)) = STREAMS.iter().find(|(stream, _)| *stream == name) {
                let value = members.next_value_seed(Bounded { depth: 0 })?;
                let stream = stream(at.member(&name), *kind, &value);
                group.take(stream, |group, stream| match group.stream.replace(stream) {
                    None => Ok(()),
                    Some(_) => Err(Fault::new(at, "a group of two streams")),
                });
            } else if name == "components" {
                let value = members.next_value_seed(Bounded { depth: 0 })?;
                group.take(read_components(at.member("components"), value), |_, read| {
                    components = Some(read);
                    Ok(())
                });
            } else if name == "dataArray" {
                match &components {
                    None if group.fault.is_none() => rows = Rows::Waiting(members.next_value()?),
                    _ => {
                        let components = components.as_deref().unwrap_or_default();
                        let reader = &mut *self.reader;
                        members.next_value_seed(RowsSeed {
                            reader,
                            group: &mut group,
                            components,
                        })?;
                        rows = Rows::Read;
                    }
                }
            } else {
                members.next_value::<IgnoredAny>()?;
                if !MEMBERS.contains(&name.as_str()) {
                    let fault = Fault::new(at.member(&name), "no member of a group");
                    let fault = fault.found(quote(&name)).suggest(&name, MEMBERS);
                    group.fault.get_or_insert(fault);
                }
            }
            seen.push(name);
        }
        for (missing, name) in [
            (group.stream.is_none(), "Datastream"),
            (components.is_none(), "components"),
            (matches!(rows, Rows::Unseen), "dataArray"),
        ] {
            if missing && group.fault.is_none() {
                let fault = Fault::new(at, format!("`{name}` is missing and mandatory"));
                group.fault = Some(fault);
            }
        }
        if let Rows::Waiting(raw) = rows {
            let components = components.as_deref().unwrap_or_default();
            let seed = RowsSeed { reader: self.reader, group: &mut group, components };
            let mut json = serde_json::Deserializer::from_str(raw.get());
            seed.deserialize(&mut json).map_err(A::Error::custom)?;
        }
        if group.fault.is_some() {
            group.observations = Observations::default();
            group.refused.clear();
        }
        Ok(group)
    }
}

impl Group {
    /// Uses what was read, or keeps the group's first fault.
    fn take<T>(&mut self, read: Result<T>, then: impl FnOnce(&mut Self, T) -> Result<()>) {
        if let Err(fault) = read.and_then(|value| then(self, value)) {
            self.fault.get_or_insert(fault);
        }
    }
}

fn stream(at: At<'_>, kind: EntityKind, value: &Value) -> Result<Stream> {
    match read::link(at, value)? {
        Some(id) => Ok(Stream { kind, id }),
        None => Err(Fault::wrong_type(at, "a link: {\"@iot.id\": 1}", value)),
    }
}

/// Each once; time and result among them (OGC 18-088, table 34).
fn read_components(at: At<'_>, value: Value) -> Result<Vec<Component>> {
    let Value::Array(names) = value else {
        return Err(Fault::wrong_type(at, "an array of names", &value));
    };
    if names.len() > COMPONENTS_MAX {
        return Err(Fault::new(at, format!("more than {COMPONENTS_MAX} components")));
    }
    let mut components = Vec::with_capacity(names.len());
    for (index, name) in names.into_iter().enumerate() {
        let at = at.element(index);
        let component = Component::of(at, &text(at, name)?)?;
        if components.contains(&component) {
            return Err(Fault::new(at, "a component that is there already"));
        }
        components.push(component);
    }
    for (needed, name) in
        [(Component::PhenomenonTime, "phenomenonTime"), (Component::Result, "result")]
    {
        if !components.contains(&needed) {
            return Err(Fault::new(at, format!("`{name}` is missing and mandatory")));
        }
    }
    Ok(components)
}

/// The rows of a group. Where it has a fault they are counted, for their places in the answer.
struct RowsSeed<'r, 'c> {
    reader: &'r mut Reader,
    group: &'r mut Group,
    components: &'c [Component],
}

impl<'de> DeserializeSeed<'de> for RowsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> std::result::Result<(), A::Error> {
        let root = At::Root;
        let group_at = root.element(self.group.index);
        let array = group_at.member("dataArray");
        loop {
            let row = self.group.rows;
            let read = if self.group.fault.is_some() {
                match rows.next_element::<IgnoredAny>()? {
                    Some(_) => None,
                    None => return Ok(()),
                }
            } else {
                let seed = RowSeed { at: array.element(row), components: self.components };
                match rows.next_element_seed(seed)? {
                    Some(read) => Some(read),
                    None => return Ok(()),
                }
            };
            self.group.rows += 1;
            self.reader.rows += 1;
            if self.reader.rows > ROWS_MAX {
                let what = format!("more than {ROWS_MAX} rows in one body");
                self.reader.fault = Some(Fault::new(array, what).kind(FaultKind::TooLarge));
                return Err(A::Error::custom("too many rows"));
            }
            match read {
                Some(Ok(read)) => self.group.observations.push(read),
                Some(Err(fault)) => self.group.refuse(row, fault),
                None => {}
            }
        }
    }
}

struct RowSeed<'a> {
    at: At<'a>,
    components: &'a [Component],
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = Result<NewRow>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl RowSeed<'_> {
    fn scalar(self, value: Scalar<'_>) -> Result<NewRow> {
        self.wrong(&value.value())
    }

    fn wrong(&self, value: &Value) -> Result<NewRow> {
        Err(Fault::wrong_type(self.at, "a row: an array of values", value))
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = Result<NewRow>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row: an array of values")
    }

    visit_scalars!();

    fn visit_map<A: MapAccess<'de>>(
        self,
        members: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        Bounded { depth: 0 }.visit_map(members).map(|value| self.wrong(&value))
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut cells: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut row = Cells::default();
        let (mut fault, mut count) = (None, 0);
        for (index, component) in self.components.iter().enumerate() {
            match row.read(self.at.element(index), *component, &mut cells)? {
                None => break,
                Some(Ok(())) => {}
                Some(Err(first)) => {
                    fault.get_or_insert(first);
                }
            }
            count += 1;
        }
        // Cells without a component, or behind the first fault.
        while cells.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        if count != self.components.len() {
            let fault = Fault::new(self.at, "a row of another length than its components");
            let expected = self.components.len().to_string();
            return Ok(Err(fault.expected(expected).found(count.to_string())));
        }
        Ok(match fault {
            Some(fault) => Err(fault),
            None => row.whole(self.at, self.components),
        })
    }
}

/// A row as far as it was read.
#[derive(Default)]
struct Cells {
    phenomenon_time: Option<TimeObject>,
    result: Option<Outcome>,
    result_time: Option<Moment>,
    feature: Option<EntityId>,
    result_quality: Option<Json>,
    valid_time: Option<Period>,
    parameters: Option<Json>,
}

/// Puts what a cell holds in its place.
fn put<T>(place: &mut T, cell: Result<T>) -> Result<()> {
    *place = cell?;
    Ok(())
}

impl Cells {
    /// Reads the next cell; none at the end of the row.
    fn read<'de, A: SeqAccess<'de>>(
        &mut self,
        at: At<'_>,
        component: Component,
        cells: &mut A,
    ) -> std::result::Result<Option<Result<()>>, A::Error> {
        Ok(match component {
            Component::PhenomenonTime => cells
                .next_element_seed(Seed(TimeCell::object(at)))?
                .map(|cell| put(&mut self.phenomenon_time, cell)),
            Component::Result => cells
                .next_element_seed(Seed(ResultCell))?
                .map(|cell| put(&mut self.result, cell.map(Some))),
            Component::ResultTime => cells
                .next_element_seed(Seed(TimeCell::moment(at)))?
                .map(|cell| put(&mut self.result_time, cell)),
            Component::ResultQuality => cells
                .next_element_seed(Seed(JsonCell))?
                .map(|cell| put(&mut self.result_quality, cell)),
            Component::ValidTime => cells
                .next_element_seed(Seed(TimeCell::period(at)))?
                .map(|cell| put(&mut self.valid_time, cell)),
            Component::Parameters => cells
                .next_element_seed(Seed(MembersCell(at)))?
                .map(|cell| put(&mut self.parameters, cell)),
            Component::FeatureOfInterest => {
                cells.next_element_seed(Seed(IdCell(at)))?.map(|cell| put(&mut self.feature, cell))
            }
            Component::Id => cells.next_element::<IgnoredAny>()?.map(|_| Ok(())),
        })
    }

    fn whole(self, at: At<'_>, components: &[Component]) -> Result<NewRow> {
        let (Some(phenomenon_time), Some(result)) = (self.phenomenon_time, self.result) else {
            let is_time = |component: &Component| *component == Component::PhenomenonTime;
            let index = components.iter().position(is_time).unwrap_or_default();
            let expected = "an instant or an interval";
            return Err(Fault::wrong_type(at.element(index), expected, &Value::Null));
        };
        Ok(NewRow {
            phenomenon_time,
            result,
            result_time: self.result_time,
            feature: self.feature,
            result_quality: self.result_quality,
            valid_time: self.valid_time,
            parameters: self.parameters,
        })
    }
}
