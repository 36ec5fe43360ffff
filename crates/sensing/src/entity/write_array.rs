//! Observations as data arrays (OGC 18-088, clause 13.1): rows under the names of their columns.

use std::fmt::Write;

use super::json::push_text;
use super::property::Property;
use super::write::{Item, Writer, push_id};
use crate::odata::{EntityId, QueryOptions, SelectItem, Step};
use crate::schema::{EntityKind, SENSORTHINGS_1_1};

/// What is written where nothing was selected.
const COMPONENTS: [&str; 4] = ["id", "phenomenonTime", "resultTime", "result"];
/// What is written beside it where a row of the group has it.
const COMPONENTS_RARE: [&str; 3] = ["resultQuality", "validTime", "parameters"];

/// Observations of one stream.
#[derive(Debug, Clone, Copy)]
pub struct ArrayGroup<'a> {
    /// Datastream or MultiDatastream.
    pub kind: EntityKind,
    pub id: &'a EntityId,
    pub items: &'a [Item],
}

impl Writer<'_> {
    /// `{"@iot.count":…,"value":[groups],"@iot.nextLink":…}`.
    pub fn data_array(
        &self,
        groups: &[ArrayGroup<'_>],
        count: Option<u64>,
        next_link: Option<&str>,
        options: &QueryOptions,
    ) -> String {
        let mut out = "{".to_owned();
        if let Some(count) = count {
            write!(out, "\"@iot.count\":{count},").expect("a String takes everything");
        }
        out.push_str("\"value\":[");
        for (index, group) in groups.iter().enumerate() {
            out.push_str(if index > 0 { "," } else { "" });
            self.push_group(&mut out, group, options);
        }
        out.push(']');
        if let Some(link) = next_link {
            out.push_str(",\"@iot.nextLink\":");
            push_text(&mut out, link);
        }
        out.push('}');
        out
    }

    fn push_group(&self, out: &mut String, group: &ArrayGroup<'_>, options: &QueryOptions) {
        let components = components(group.items, options);
        let name = SENSORTHINGS_1_1.entity(group.kind).name;
        write!(out, "{{\"{name}@iot.navigationLink\":").expect("a String takes everything");
        self.push_link(out, group.kind, group.id, "");
        out.push_str(",\"components\":[");
        for (index, component) in components.iter().enumerate() {
            out.push_str(if index > 0 { "," } else { "" });
            push_text(out, component);
        }
        write!(out, "],\"dataArray@iot.count\":{},\"dataArray\":[", group.items.len())
            .expect("a String takes everything");
        for (index, item) in group.items.iter().enumerate() {
            out.push_str(if index > 0 { ",[" } else { "[" });
            for (index, component) in components.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                match *component {
                    "id" => push_id(out, &item.id),
                    "selfLink" => self.push_link(out, EntityKind::Observation, &item.id, ""),
                    property => Property::of(&item.entity, property).push(out),
                }
            }
            out.push(']');
        }
        out.push_str("]}");
    }
}

/// The selected properties, whole and each once, in the order they were selected in.
fn components(items: &[Item], options: &QueryOptions) -> Vec<&'static str> {
    let mut components = Vec::new();
    for item in &options.select {
        if let SelectItem::Property(path) = &item.value
            && let Some(Step::Property(property)) = path.steps.first().map(|step| &step.value)
            && !components.contains(&property.name)
        {
            components.push(property.name);
        }
    }
    if options.select.is_empty() {
        components.extend(COMPONENTS);
        let is_there =
            |name: &&str| items.iter().any(|item| !Property::of(&item.entity, name).is_null());
        components.extend(COMPONENTS_RARE.into_iter().filter(|name| is_there(name)));
    }
    components
}
