//! Entities as JSON, in the form that clients of SensorThings read (OGC 18-088, 8.1 and 9.2).
//!
//! Written straight into a text: what is kept as JSON goes through as it is. Links are absolute,
//! below the service's root. What a query selected and expanded is told by its options; the related
//! entities that answer an expansion stand beside their entity in [`Item`].

use std::borrow::Cow;
use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value};

use super::id::Link;
use super::json::push_text;
use super::model::Entity;
use super::property::{Property, push_raw_value};
use crate::odata::{EntityId, Expand, Path, QueryOptions, SelectItem, Step};
use crate::schema::{self, CONTROL_INFORMATION, EntityKind, Navigation, SENSORTHINGS_1_1};

/// What would end a text of JSON.
const NOT_IN_URL: &AsciiSet = &CONTROLS.add(b'"').add(b'\\');

/// An entity to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub id: EntityId,
    pub entity: Entity,
    /// A way to one entity that leads nowhere here and is not written: an observation is of a
    /// Datastream or of a MultiDatastream.
    pub absent: Option<EntityKind>,
    /// The answers to expansions.
    pub expanded: Vec<Expanded>,
}

impl Item {
    pub fn new(id: EntityId, entity: Entity) -> Self {
        Self { id, entity, absent: None, expanded: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Expanded {
    pub navigation: &'static Navigation,
    pub answer: Answer,
}

/// What a navigation led to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    One(Option<Box<Item>>),
    Many(Page),
}

/// A part of a collection.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// Of the whole collection, where it was asked for.
    pub count: Option<u64>,
    pub items: Vec<Item>,
    /// The whole URL of the next part.
    pub next_link: Option<String>,
}

/// Writes answers below one root.
#[derive(Debug, Clone)]
pub struct Writer<'a> {
    /// Without a slash at its end, and without what JSON would have to escape.
    root: Cow<'a, str>,
}

impl<'a> Writer<'a> {
    /// The root may come from what a client calls the service: what no URL has is encoded.
    pub fn new(root: &'a str) -> Self {
        Self { root: utf8_percent_encode(root.trim_end_matches('/'), NOT_IN_URL).into() }
    }

    pub fn self_link(&self, kind: EntityKind, id: &EntityId) -> String {
        let mut out = String::new();
        self.push_self_link(&mut out, kind, id);
        out
    }

    fn push_self_link(&self, out: &mut String, kind: EntityKind, id: &EntityId) {
        let set = SENSORTHINGS_1_1.entity(kind).set;
        write!(out, "{}/{set}{}", self.root, Link(id)).expect("a String takes everything");
    }

    /// Appends the link to an entity, or to what is related to it, as JSON. Encoded as it is, it
    /// holds nothing that has to be escaped.
    pub(super) fn push_link(&self, out: &mut String, kind: EntityKind, id: &EntityId, below: &str) {
        out.push('"');
        self.push_self_link(out, kind, id);
        for part in [if below.is_empty() { "" } else { "/" }, below, "\""] {
            out.push_str(part);
        }
    }

    /// An entity.
    pub fn entity(&self, item: &Item, options: &QueryOptions) -> String {
        let mut out = String::new();
        self.push_entity(&mut out, item, &Shape::new(item.entity.kind(), options));
        out
    }

    /// `{"@iot.count":…,"value":[…],"@iot.nextLink":…}`.
    pub fn collection(&self, kind: EntityKind, page: &Page, options: &QueryOptions) -> String {
        let shape = Shape::new(kind, options);
        self.page(page, |out, item| self.push_entity(out, item, &shape))
    }

    /// Links in place of entities: `{"value":[{"@iot.selfLink":…}]}`.
    pub fn references(&self, page: &Page) -> String {
        self.page(page, |out, item| out.push_str(&self.reference(item)))
    }

    /// The link to one entity.
    pub fn reference(&self, item: &Item) -> String {
        let mut out = "{\"@iot.selfLink\":".to_owned();
        self.push_link(&mut out, item.entity.kind(), &item.id, "");
        out.push('}');
        out
    }

    fn page(&self, page: &Page, push: impl Fn(&mut String, &Item)) -> String {
        let mut out = "{".to_owned();
        if let Some(count) = page.count {
            write!(out, "\"@iot.count\":{count},").expect("a String takes everything");
        }
        out.push_str("\"value\":");
        push_items(&mut out, &page.items, push);
        if let Some(link) = &page.next_link {
            out.push_str(",\"@iot.nextLink\":");
            push_text(&mut out, link);
        }
        out.push('}');
        out
    }

    fn push_entity(&self, out: &mut String, item: &Item, shape: &Shape<'_>) {
        let schema = shape.schema;
        let mut members = Members::new(out);
        if shape.control("selfLink") {
            self.push_link(members.name("@iot.selfLink"), schema.kind, &item.id, "");
        }
        if shape.control("id") {
            push_id(members.name("@iot.id"), &item.id);
        }
        for (property, selected) in schema.properties.iter().zip(&shape.properties) {
            let value = Property::of(&item.entity, property.name);
            match selected {
                Selected::No => {}
                Selected::Whole if matches!(value, Property::Absent) && !shape.is_chosen => {}
                Selected::Whole => value.push(members.name(property.name)),
                Selected::Members(paths) => {
                    members
                        .name(property.name)
                        .push_str(&pruned(&value.value(), paths).to_string());
                }
            }
        }
        for (navigation, selected) in schema.navigations.iter().zip(&shape.navigations) {
            if item.absent == Some(navigation.target) && !navigation.is_many() {
                continue;
            }
            let expanded = item.expanded.iter().find(|expanded| expanded.navigation == navigation);
            if *selected && (shape.is_chosen || expanded.is_none()) {
                let out = members.name_with(navigation.name, "@iot.navigationLink");
                self.push_link(out, schema.kind, &item.id, navigation.name);
            }
            if let Some(expanded) = expanded {
                self.push_expanded(&mut members, expanded, shape.expand(navigation));
            }
        }
        members.end();
    }

    fn push_expanded(
        &self,
        members: &mut Members<'_>,
        expanded: &Expanded,
        expand: Option<&Expand>,
    ) {
        let none = QueryOptions::default();
        let options = expand.map_or(&none, |expand| &expand.options);
        let name = expanded.navigation.name;
        let shape = Shape::new(expanded.navigation.target, options);
        match &expanded.answer {
            Answer::One(None) => members.name(name).push_str("null"),
            Answer::One(Some(item)) => self.push_entity(members.name(name), item, &shape),
            Answer::Many(page) => {
                if let Some(count) = page.count {
                    let out = members.name_with(name, "@iot.count");
                    write!(out, "{count}").expect("a String takes everything");
                }
                let out = members.name(name);
                push_items(out, &page.items, |out, item| self.push_entity(out, item, &shape));
                if let Some(link) = &page.next_link {
                    push_text(members.name_with(name, "@iot.nextLink"), link);
                }
            }
        }
    }

    /// `{"name":…}` of a property or a member of it; none where it is null or not there, which is
    /// answered by 204 (OGC 18-088, 9.2.5).
    pub fn property(&self, item: &Item, path: &Path) -> Option<String> {
        let name = last_name(path)?;
        let mut out = "{".to_owned();
        push_text(&mut out, &name);
        out.push(':');
        match self.found(item, path)? {
            Found::Property(property) => property.push(&mut out),
            Found::Value(value) => out.push_str(&value.to_string()),
        }
        out.push('}');
        Some(out)
    }

    /// The bare value of a property or a member of it, for `/$value`.
    pub fn raw_value(&self, item: &Item, path: &Path) -> Option<String> {
        let mut out = String::new();
        match self.found(item, path)? {
            Found::Property(property) => property.push_raw(&mut out),
            Found::Value(value) => push_raw_value(&mut out, &value),
        }
        Some(out)
    }

    fn found<'i>(&self, item: &'i Item, path: &Path) -> Option<Found<'i>> {
        let mut steps = path.steps.iter().map(|step| &step.value);
        let Some(Step::Property(property)) = steps.next() else {
            return None;
        };
        match property.name {
            "id" => {
                return Some(Found::Value(match &item.id {
                    EntityId::Integer(id) => (*id).into(),
                    EntityId::Text(id) => id.as_str().into(),
                }));
            }
            "selfLink" => {
                return Some(Found::Value(self.self_link(item.entity.kind(), &item.id).into()));
            }
            _ => {}
        }
        let value = Property::of(&item.entity, property.name);
        if value.is_null() {
            return None;
        }
        if path.steps.len() == 1 {
            return Some(Found::Property(value));
        }
        let mut value = value.value();
        for step in steps {
            value = match step {
                Step::Key(key) => value.get_mut(key)?.take(),
                Step::Index(index) => value.get_mut(usize::try_from(*index).ok()?)?.take(),
                _ => return None,
            };
        }
        (!value.is_null()).then_some(Found::Value(value))
    }

    /// The answer to CreateObservations: a link or `"error"` for each row, in order.
    pub fn created(&self, rows: impl IntoIterator<Item = Option<EntityId>>) -> String {
        let mut out = "[".to_owned();
        for (index, row) in rows.into_iter().enumerate() {
            out.push_str(if index > 0 { "," } else { "" });
            match row {
                Some(id) => self.push_link(&mut out, EntityKind::Observation, &id, ""),
                None => out.push_str("\"error\""),
            }
        }
        out.push(']');
        out
    }

    /// The document at the root: each entity set once and nothing else, and what the service holds
    /// of the standard. A setting is a requirement's URI with the endpoints that serve it.
    pub fn root_document(&self, conformance: &[&str], settings: &[(&str, &[&str])]) -> String {
        let mut out = "{\"value\":[".to_owned();
        for (index, entity) in SENSORTHINGS_1_1.entities.iter().enumerate() {
            out.push_str(if index > 0 { "," } else { "" });
            write!(out, "{{\"name\":\"{0}\",\"url\":\"{1}/{0}\"}}", entity.set, self.root)
                .expect("a String takes everything");
        }
        out.push_str("],\"serverSettings\":{\"conformance\":");
        push_texts(&mut out, conformance);
        for (requirement, endpoints) in settings {
            out.push(',');
            push_text(&mut out, requirement);
            out.push_str(":{\"endpoints\":");
            push_texts(&mut out, endpoints);
            out.push('}');
        }
        out.push_str("}}");
        out
    }
}

/// Where a path into a property led.
enum Found<'a> {
    Property(Property<'a>),
    Value(Value),
}

/// The name under which a property or a member of it is answered.
fn last_name(path: &Path) -> Option<String> {
    path.steps.iter().rev().find_map(|step| match &step.value {
        Step::Property(property) => Some(property.annotation.unwrap_or(property.name).to_owned()),
        Step::Key(key) => Some(key.clone()),
        _ => None,
    })
}

pub(super) fn push_id(out: &mut String, id: &EntityId) {
    match id {
        EntityId::Integer(id) => write!(out, "{id}").expect("a String takes everything"),
        EntityId::Text(id) => push_text(out, id),
    }
}

fn push_items(out: &mut String, items: &[Item], push: impl Fn(&mut String, &Item)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(out, item);
    }
    out.push(']');
}

fn push_texts(out: &mut String, texts: &[&str]) {
    out.push('[');
    for (index, text) in texts.iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        push_text(out, text);
    }
    out.push(']');
}

/// An object being written.
struct Members<'o> {
    out: &'o mut String,
    is_first: bool,
}

impl<'o> Members<'o> {
    fn new(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, is_first: true }
    }

    fn name(&mut self, name: &str) -> &mut String {
        self.name_with(name, "")
    }

    /// Names of the schema, which need no escapes.
    fn name_with(&mut self, name: &str, annotation: &str) -> &mut String {
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.push(',');
        }
        for part in ["\"", name, annotation, "\":"] {
            self.out.push_str(part);
        }
        self.out
    }

    fn end(self) {
        self.out.push('}');
    }
}

/// What of each entity of a type is written, worked out once for all of them.
struct Shape<'q> {
    schema: &'static schema::Entity,
    options: &'q QueryOptions,
    /// Something was selected: then that is written, with null for what is not there.
    is_chosen: bool,
    /// As the schema's properties.
    properties: Vec<Selected<'q>>,
    /// As the schema's navigations.
    navigations: Vec<bool>,
}

enum Selected<'q> {
    No,
    Whole,
    /// Members of it, by the steps to each.
    Members(Vec<Vec<&'q Step>>),
}

impl<'q> Shape<'q> {
    fn new(kind: EntityKind, options: &'q QueryOptions) -> Self {
        let schema = SENSORTHINGS_1_1.entity(kind);
        let is_chosen = !options.select.is_empty();
        let mut shape = Self {
            schema,
            options,
            is_chosen,
            properties: schema.properties.iter().map(|_| Selected::Whole).collect(),
            navigations: vec![true; schema.navigations.len()],
        };
        if is_chosen {
            shape.properties = schema.properties.iter().map(|p| shape.selected(p.name)).collect();
            shape.navigations = schema
                .navigations
                .iter()
                .map(|navigation| {
                    options.select.iter().any(|item| {
                        matches!(item.value, SelectItem::Navigation(one) if one == navigation)
                    })
                })
                .collect();
        }
        shape
    }

    fn control(&self, name: &str) -> bool {
        debug_assert!(CONTROL_INFORMATION.iter().any(|property| property.name == name));
        !self.is_chosen || !matches!(self.selected(name), Selected::No)
    }

    fn selected(&self, name: &str) -> Selected<'q> {
        let mut members = Vec::new();
        for item in &self.options.select {
            let SelectItem::Property(path) = &item.value else {
                continue;
            };
            let mut steps = path.steps.iter().map(|step| &step.value);
            if !matches!(steps.next(), Some(Step::Property(property)) if property.name == name) {
                continue;
            }
            let below: Vec<&Step> = steps.collect();
            if below.is_empty() {
                return Selected::Whole;
            }
            members.push(below);
        }
        if members.is_empty() { Selected::No } else { Selected::Members(members) }
    }

    fn expand(&self, navigation: &Navigation) -> Option<&'q Expand> {
        self.options.expand.iter().find(|expand| expand.navigation.value == navigation)
    }
}

/// The value with those of its members that a path leads to. An element of an array is taken with
/// the whole array, so that its place is kept.
fn pruned(value: &Value, paths: &[Vec<&Step>]) -> Value {
    let Value::Object(members) = value else {
        return value.clone();
    };
    let mut kept = Map::new();
    for (name, value) in members {
        let is_here =
            |path: &&Vec<&Step>| matches!(path.first(), Some(Step::Key(key)) if key == name);
        let below: Vec<Vec<&Step>> =
            paths.iter().filter(is_here).map(|path| path[1..].to_vec()).collect();
        if below.iter().any(Vec::is_empty) {
            kept.insert(name.clone(), value.clone());
        } else if !below.is_empty() {
            kept.insert(name.clone(), pruned(value, &below));
        }
    }
    Value::Object(kept)
}
