//! The tree of areas, from the city down to the micro grids: names from the pack, outlines and
//! people from the dataset that its map names.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use city::{LayerSpec, Shown};
use pack::{AreaFields, AreaLevel, Pack};
use serde::{Deserialize, Serialize};
use spatial::{Column, Layer, Value};
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::datasets::Names;
use super::input::{Asked, Who};
use super::problem::Problem;
use crate::fault::{Code, Fault};
use crate::limits::{AREA_DEPTH_MAX, AREA_TREES_MAX};

/// Which areas.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AreasQuery {
    /// The areas below this one.
    parent: Option<String>,
    /// This one area, with its path from the city down.
    code: Option<String>,
}

/// An area.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AreaItem {
    #[schema(example = "510104000000")]
    pub code: String,
    /// `city`, `district`, `street`, `community`, `grid` or `micro_grid`.
    pub level: String,
    pub name: Names,
    pub parent: Option<String>,
    /// West, south, east, north, where the outline is known and may be seen.
    #[schema(value_type = Option<Vec<f64>>)]
    pub bbox: Option<[f64; 4]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub households: Option<i64>,
    /// How many areas lie directly below.
    pub children: usize,
}

/// An area by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct AreaStep {
    pub code: String,
    pub level: String,
    pub name: Names,
}

/// Areas, and the path to them.
#[derive(Debug, Serialize, ToSchema)]
pub struct AreaList {
    pub items: Vec<AreaItem>,
    /// From the city down to the area that was asked for, itself included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<AreaStep>>,
}

/// An area of the tree, and where in the layer it is.
#[derive(Debug)]
struct Node {
    level: Arc<str>,
    name: Names,
    parent: Option<String>,
    children: Vec<String>,
    feature: Option<u32>,
}

/// All areas by code.
#[derive(Debug, Default)]
pub struct AreaTree {
    nodes: HashMap<String, Node>,
    tops: Vec<String>,
}

/// The layer that areas are read from.
pub(super) fn spec(areas: &AreaFields) -> LayerSpec {
    let further = [&areas.name_en, &areas.people, &areas.households];
    let mut fields: Vec<String> =
        [&areas.code, &areas.level, &areas.parent, &areas.name].map(Clone::clone).into();
    fields.extend(further.into_iter().flatten().cloned());
    LayerSpec {
        id: "areas".to_owned(),
        dataset: areas.dataset.clone(),
        fields,
        ..LayerSpec::default()
    }
}

/// The areas as somebody sees them: with the layer of outlines, where that may be seen.
pub(super) struct Areas<'a> {
    pub tree: Arc<AreaTree>,
    outlines: Option<(Arc<Shown>, &'a AreaFields)>,
}

/// Gathers the areas for whoever asks.
pub(super) async fn areas<'a>(http: &'a Http, who: &Who) -> Result<Areas<'a>, Fault> {
    let pack = http.city.pack();
    let fields = pack.map.as_ref().and_then(|map| map.areas.as_ref());
    let outlines = match fields {
        Some(fields) => http.city.features(&who.session(), &spec(fields)).await?.zip(Some(fields)),
        None => None,
    };
    let stamp = outlines.as_ref().map_or("", |(shown, _)| shown.stamp.as_str()).to_owned();
    if let Some(tree) = kept(http, &stamp) {
        return Ok(Areas { tree, outlines });
    }
    let (from, packed) = (outlines.clone().map(|(shown, f)| (shown, f.clone())), pack.clone());
    let made = http.maps.drawn(move || {
        let outlines = from.as_ref().map(|(shown, fields)| (&shown.layer, fields));
        AreaTree::of(&packed, outlines)
    });
    let tree = Arc::new(made.await?);
    let mut trees = http.maps.trees.lock().map_err(Fault::internal)?;
    if trees.len() >= AREA_TREES_MAX {
        trees.pop_front();
    }
    trees.push_back((stamp, tree.clone()));
    drop(trees);
    Ok(Areas { tree, outlines })
}

fn kept(http: &Http, stamp: &str) -> Option<Arc<AreaTree>> {
    let trees = http.maps.trees.lock().ok()?;
    trees.iter().find(|(known, _)| known == stamp).map(|(_, tree)| tree.clone())
}

impl AreaTree {
    /// The pack's areas, and those of the layer over them.
    fn of(pack: &Pack, outlines: Option<(&Layer, &AreaFields)>) -> Self {
        let mut levels: BTreeMap<String, Arc<str>> = BTreeMap::new();
        let mut level = |name: &str| match levels.get(name) {
            Some(known) => known.clone(),
            None => levels.entry(name.to_owned()).or_insert_with(|| name.into()).clone(),
        };
        let mut tree = Self::default();
        for area in &pack.areas {
            let node = Node {
                level: level(word(area.level)),
                name: (&area.name).into(),
                parent: area.parent.clone(),
                children: Vec::new(),
                feature: None,
            };
            tree.nodes.insert(area.code.clone(), node);
        }
        if let Some((layer, fields)) = outlines {
            let text = |name: &str, feature: usize| layer.column(name)?.text(feature);
            for feature in 0..layer.len() {
                let (Some(code), Some(named)) =
                    (text(&fields.code, feature), text(&fields.level, feature))
                else {
                    continue;
                };
                let zh = text(&fields.name, feature).unwrap_or(code).to_owned();
                let en = fields.name_en.as_ref().and_then(|name| text(name, feature));
                let en = en.unwrap_or(&zh).to_owned();
                let node = Node {
                    level: level(named),
                    name: Names { zh, en },
                    parent: text(&fields.parent, feature).map(str::to_owned),
                    children: Vec::new(),
                    feature: u32::try_from(feature).ok(),
                };
                tree.nodes.insert(code.to_owned(), node);
            }
        }
        tree.join();
        tree
    }

    /// Tells each area of those below it. An area whose parent is not there stands at the top.
    fn join(&mut self) {
        let mut codes: Vec<(String, Option<String>)> =
            self.nodes.iter().map(|(code, node)| (code.clone(), node.parent.clone())).collect();
        codes.sort_unstable();
        for (code, parent) in codes {
            match parent.and_then(|parent| self.nodes.get_mut(&parent)) {
                Some(parent) => parent.children.push(code),
                None => self.tops.push(code),
            }
        }
    }

    /// Codes of the areas whose code is `text` or whose name holds it: the ones that begin with it
    /// first, then higher areas. Looks at every one.
    fn named(&self, text: &str, count_max: usize) -> Vec<String> {
        let wanted = text.to_lowercase();
        let mut found: Vec<(bool, usize, usize, &String)> = Vec::new();
        for (code, node) in &self.nodes {
            let en = node.name.en.to_lowercase();
            let begins = node.name.zh.starts_with(text) || en.starts_with(&wanted);
            if begins || node.name.zh.contains(text) || en.contains(&wanted) || code == text {
                // Codes grow longer and fuller on the way down.
                let depth = code.trim_end_matches('0').len();
                found.push((!begins, depth, node.name.zh.chars().count(), code));
            }
        }
        found.sort_unstable();
        found.truncate(count_max);
        found.into_iter().map(|(_, _, _, code)| code.clone()).collect()
    }
}

fn word(level: AreaLevel) -> &'static str {
    match level {
        AreaLevel::City => "city",
        AreaLevel::District => "district",
        AreaLevel::Street => "street",
        AreaLevel::Community => "community",
        AreaLevel::Grid => "grid",
        AreaLevel::MicroGrid => "micro_grid",
    }
}

impl Areas<'_> {
    pub fn item(&self, code: &str) -> Option<AreaItem> {
        let node = self.tree.nodes.get(code)?;
        let number = |name: &Option<String>, layer: &Layer, feature: usize| {
            let column: &Column = layer.column(name.as_deref()?)?;
            match column.value(feature)? {
                Value::Integer(number) => Some(number),
                _ => None,
            }
        };
        let outline = self.outlines.as_ref().zip(node.feature);
        let (bbox, people, households) = match outline {
            Some(((shown, fields), feature)) => {
                let feature = feature as usize;
                let layer = &shown.layer;
                (
                    Some(layer.rect_of(feature).degrees()),
                    number(&fields.people, layer, feature),
                    number(&fields.households, layer, feature),
                )
            }
            None => (None, None, None),
        };
        Some(AreaItem {
            code: code.to_owned(),
            level: node.level.to_string(),
            name: node.name.clone(),
            parent: node.parent.clone(),
            bbox,
            people,
            households,
            children: node.children.len(),
        })
    }

    fn items(&self, codes: &[String]) -> Vec<AreaItem> {
        codes.iter().filter_map(|code| self.item(code)).collect()
    }

    /// From the city down to the area itself.
    fn path(&self, code: &str) -> Vec<AreaStep> {
        let mut path = Vec::new();
        let mut next = Some(code.to_owned());
        while let Some((code, node)) =
            next.take().and_then(|code| self.tree.nodes.get(&code).map(|node| (code, node)))
        {
            let (level, name) = (node.level.to_string(), node.name.clone());
            path.push(AreaStep { code, level, name });
            if path.len() < AREA_DEPTH_MAX {
                next.clone_from(&node.parent);
            }
        }
        path.reverse();
        path
    }

    /// Areas whose code is `text` or whose name holds it, as [`AreaTree::named`] orders them.
    pub async fn named(
        &self,
        http: &Http,
        text: &str,
        count_max: usize,
    ) -> Result<Vec<AreaItem>, Fault> {
        let (tree, text) = (self.tree.clone(), text.to_owned());
        let codes = http.maps.drawn(move || tree.named(&text, count_max)).await?;
        Ok(self.items(&codes))
    }
}

/// The areas below one, or one with its path, or those at the top.
#[utoipa::path(
    get, path = "/api/areas", tag = "map", security(("token" = [])), params(AreasQuery),
    responses((status = 200, body = AreaList), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem))
)]
pub async fn list(
    State(http): State<Arc<Http>>,
    who: Who,
    Asked(asked): Asked<AreasQuery>,
) -> Result<Json<AreaList>, Fault> {
    let areas = areas(&http, &who).await?;
    let unknown = |code: &str| {
        let shown: String = code.chars().take(32).collect();
        Fault::new(Code::NotFound, format!("there is no area `{shown}`"))
    };
    let list = match (asked.parent, asked.code) {
        (Some(_), Some(_)) => {
            return Err(Fault::new(Code::Invalid, "ask by `parent` or by `code`, not by both"));
        }
        (Some(parent), None) => {
            let node = areas.tree.nodes.get(&parent).ok_or_else(|| unknown(&parent))?;
            AreaList { items: areas.items(&node.children), path: None }
        }
        (None, Some(code)) => {
            let item = areas.item(&code).ok_or_else(|| unknown(&code))?;
            AreaList { items: vec![item], path: Some(areas.path(&code)) }
        }
        (None, None) => AreaList { items: areas.items(&areas.tree.tops), path: None },
    };
    Ok(Json(list))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn areas() -> Areas<'static> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs/chengdu");
        let pack = pack::load(&dir).unwrap_or_else(|faults| panic!("{faults}"));
        Areas { tree: Arc::new(AreaTree::of(&pack, None)), outlines: None }
    }

    #[test]
    fn without_outlines_the_pack_s_areas_are_there() {
        let areas = areas();
        assert_eq!(areas.tree.tops, ["510100000000"]);
        let city = areas.item("510100000000").unwrap();
        assert_eq!((city.level.as_str(), city.children, city.bbox), ("city", 20, None));
        let path: Vec<String> =
            areas.path("510104017000").into_iter().map(|step| step.code).collect();
        assert_eq!(path, ["510100000000", "510104000000", "510104017000"]);
        assert!(areas.path("1").is_empty() && areas.item("1").is_none());
    }

    #[test]
    fn higher_areas_are_found_before_lower_ones() {
        let areas = areas();
        let found = areas.tree.named("锦江", 5);
        assert_eq!(found[0], "510104000000");
        assert!(found.len() <= 5);
        assert_eq!(areas.tree.named("jinjiang", 5)[0], "510104000000");
        assert_eq!(areas.tree.named("510104017000", 5), ["510104017000"]);
        assert_eq!(areas.item("510104017000").unwrap().level, "street");
        assert!(areas.tree.named("没有这个地方", 5).is_empty());
    }
}
