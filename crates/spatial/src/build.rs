//! Rows to a layer: geometries are read, put in order along Hilbert's curve within the zoom from
//! which they are drawn, and everything about them is laid out in that order.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, SchemaRef};

use crate::column::Filling;
use crate::grid::{Rect, Spot, ZOOM_MAX};
use crate::index::{Index, hilbert};
use crate::label;
use crate::layer::{Band, Layer};
use crate::mvt;
use crate::shape::{Part, Shape, ShapeKind};
use crate::simplify;
use crate::wkb;

/// A line is drawn from the zoom at which it is so many units of a tile long, an eighth of a pixel.
const LINE_UNITS_MIN: u64 = 1;
/// A polygon from the zoom at which it covers so many square units, a quarter of a pixel.
const POLYGON_UNITS2_MIN: u128 = 16;
/// Identifiers of features are integers that JavaScript can hold.
const ID_BITS: u32 = 53;

/// What decides from which zoom on a feature is drawn.
#[derive(Debug, Clone, Default)]
pub struct ZoomRule {
    /// The column whose value decides.
    pub column: usize,
    /// The first zoom of each value; others have the layer's.
    pub from: HashMap<String, u8>,
}

/// How rows become a layer. Columns are counted in the schema given beside it, without the
/// geometry.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub minzoom: u8,
    /// Lines and polygons become the points where they are named.
    pub as_labels: bool,
    pub zooms: Option<ZoomRule>,
    /// Rows without a value in this column are left out: a label without a text.
    pub required: Option<usize>,
    /// The column whose larger values stay where there is no room for all.
    pub rank: Option<usize>,
    /// Columns that tell features apart: their identifier is made from these.
    pub key: Vec<usize>,
    /// The layer must not take more than this.
    pub bytes_max: usize,
    pub features_max: usize,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BuildError {
    #[error("more than {0} features: too many for a map")]
    Features(usize),
    #[error("more than {0} bytes: too large for a map")]
    Bytes(usize),
    #[error("the geometry is no binary column")]
    NoGeometry,
}

/// Takes rows batch by batch.
#[derive(Debug)]
pub struct Builder {
    plan: Plan,
    columns: Vec<Filling>,
    shape: Shape,
    spots: Vec<Spot>,
    levels: Vec<u8>,
    parts: Vec<Part>,
    raw: Vec<Raw>,
    unreadable: usize,
    without: usize,
}

/// One feature before it has its place.
#[derive(Debug, Clone, Copy)]
struct Raw {
    id: u64,
    weight: f64,
    rect: Rect,
    kind: ShapeKind,
    from_zoom: u8,
    /// The ends of its spots and parts.
    spots_end: u32,
    parts_end: u32,
}

impl Builder {
    /// `columns`: what is kept of each row beside its geometry.
    pub fn new(columns: &SchemaRef, plan: Plan) -> Self {
        let columns = columns.fields().iter();
        Self {
            columns: columns.map(|field| Filling::new(field.name(), field.data_type())).collect(),
            plan,
            shape: Shape::default(),
            spots: Vec::new(),
            levels: Vec::new(),
            parts: Vec::new(),
            raw: Vec::new(),
            unreadable: 0,
            without: 0,
        }
    }

    /// Rows whose geometry could not be read; they are not in the layer.
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    fn bytes_held(&self) -> usize {
        self.spots.len() * (size_of::<Spot>() + 1)
            + self.parts.len() * size_of::<Part>()
            + self.raw.len() * size_of::<Raw>()
            + self.columns.iter().map(Filling::bytes_held).sum::<usize>()
    }

    /// Takes a batch: its geometries as WKB, and its columns in the order of the schema.
    pub fn push(&mut self, geometry: &ArrayRef, columns: &[ArrayRef]) -> Result<(), BuildError> {
        let wkb = wkb_of(geometry)?;
        let required = self.plan.required.and_then(|column| columns.get(column));
        for row in 0..geometry.len() {
            if required.is_some_and(|column| column.is_null(row)) {
                continue;
            }
            if geometry.is_null(row) {
                self.without += 1;
                continue;
            }
            if !wkb::read(wkb(row), &mut self.shape) {
                self.unreadable += 1;
                continue;
            }
            if self.shape.is_empty() {
                self.without += 1;
                continue;
            }
            if self.raw.len() >= self.plan.features_max {
                return Err(BuildError::Features(self.plan.features_max));
            }
            self.feature(columns, row);
        }
        match self.bytes_held() > self.plan.bytes_max {
            true => Err(BuildError::Bytes(self.plan.bytes_max)),
            false => Ok(()),
        }
    }

    fn feature(&mut self, columns: &[ArrayRef], row: usize) {
        let size = size_of_shape(&self.shape);
        let drawn = visible_from(&self.shape);
        if self.plan.as_labels {
            label::to_label(&mut self.shape);
        }
        for (filling, array) in self.columns.iter_mut().zip(columns) {
            filling.push(array, row);
        }
        let drawn = if self.plan.as_labels { 0 } else { drawn };
        let from_zoom = drawn.max(self.zoom_of_class()).min(ZOOM_MAX);
        let weight = self.rank().unwrap_or(size);
        let id = self.id();
        let shape = &self.shape;
        for index in 0..shape.parts.len() {
            simplify::levels(shape.kind, shape.part(index), &mut self.levels);
        }
        self.spots.extend_from_slice(&shape.spots);
        self.parts.extend_from_slice(&shape.parts);
        let count = |length: usize| u32::try_from(length).expect("a layer's bytes are bounded");
        self.raw.push(Raw {
            id,
            weight,
            rect: shape.rect(),
            kind: shape.kind,
            from_zoom,
            spots_end: count(self.spots.len()),
            parts_end: count(self.parts.len()),
        });
    }

    fn zoom_of_class(&self) -> u8 {
        let Some(rule) = &self.plan.zooms else { return self.plan.minzoom };
        let class = self.columns.get(rule.column).and_then(|filling| mvt::value(filling.last()));
        let zoom = match class {
            Some(crate::Value::Text(class)) => rule.from.get(class).copied(),
            _ => None,
        };
        zoom.unwrap_or(self.plan.minzoom)
    }

    fn rank(&self) -> Option<f64> {
        let filling = self.columns.get(self.plan.rank?)?;
        match mvt::value(filling.last())? {
            #[expect(clippy::cast_precision_loss, reason = "a rank need not be exact")]
            crate::Value::Integer(value) => Some(value as f64),
            crate::Value::Number(value) => Some(value),
            _ => None,
        }
    }

    /// A key that is a small natural number is the identifier, any other is hashed into one.
    fn id(&self) -> u64 {
        let last = |column: &usize| self.columns.get(*column).map_or(&[][..], Filling::last);
        if let [only] = self.plan.key[..]
            && let Some(crate::Value::Integer(value)) = mvt::value(last(&only))
            && let Ok(natural) = u64::try_from(value)
            && natural >> ID_BITS == 0
        {
            return natural;
        }
        let hasher: BuildHasherDefault<DefaultHasher> = BuildHasherDefault::default();
        let key: Vec<&[u8]> = self.plan.key.iter().map(last).collect();
        hasher.hash_one(key) >> (u64::BITS - ID_BITS)
    }

    /// Lays everything out. The longest part of building: keep it off threads that answer.
    pub fn finish(self) -> Layer {
        let around = self.raw.iter().fold(Rect::EMPTY, |sum, raw| sum.and(raw.rect));
        let mut order: Vec<(u8, u32, u32)> = Vec::with_capacity(self.raw.len());
        for (at, raw) in (0_u32..).zip(&self.raw) {
            let middle = Spot {
                x: raw.rect.min.x.midpoint(raw.rect.max.x),
                y: raw.rect.min.y.midpoint(raw.rect.max.y),
            };
            order.push((raw.from_zoom, hilbert(middle, &around), at));
        }
        order.sort_unstable();
        let bands = bands(&order);
        let order: Vec<u32> = order.into_iter().map(|(_, _, at)| at).collect();
        let ranks = ranks(&self.raw, &order);

        let mut layer = Layer {
            rects: Vec::with_capacity(order.len()),
            ids: Vec::with_capacity(order.len()),
            kinds: Vec::with_capacity(order.len()),
            ranks,
            part_ends: Vec::with_capacity(order.len()),
            parts: Vec::with_capacity(self.parts.len()),
            spots: Vec::with_capacity(self.spots.len()),
            levels: Vec::with_capacity(self.levels.len()),
            columns: self.columns.into_iter().map(|column| column.finish(&order)).collect(),
            key: self.plan.key,
            bands: Vec::new(),
            around,
            unreadable: self.unreadable,
            without: self.without,
        };
        for old in &order {
            let at = *old as usize;
            let before = at.checked_sub(1).map(|before| &self.raw[before]);
            let raw = &self.raw[at];
            layer.rects.push(raw.rect);
            layer.ids.push(raw.id);
            layer.kinds.push(raw.kind);
            let spots_start = before.map_or(0, |raw| raw.spots_end) as usize;
            let parts_start = before.map_or(0, |raw| raw.parts_end) as usize;
            let shift = u32::try_from(layer.spots.len()).expect("a layer's bytes are bounded");
            for part in &self.parts[parts_start..raw.parts_end as usize] {
                // A feature's own parts count its own spots.
                layer.parts.push(Part { end: shift + part.end, hole: part.hole });
            }
            let spots = spots_start..raw.spots_end as usize;
            layer.spots.extend_from_slice(&self.spots[spots.clone()]);
            layer.levels.extend_from_slice(&self.levels[spots]);
            let parts = u32::try_from(layer.parts.len()).expect("a layer's bytes are bounded");
            layer.part_ends.push(parts);
        }
        for (zoom, range) in bands {
            layer.bands.push(Band { zoom, index: Index::new(&layer.rects, range) });
        }
        layer
    }
}

type Geometries<'a> = Box<dyn Fn(usize) -> &'a [u8] + 'a>;

fn wkb_of(array: &ArrayRef) -> Result<Geometries<'_>, BuildError> {
    match array.data_type() {
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            Ok(Box::new(move |row| array.value(row)))
        }
        DataType::LargeBinary => {
            let array = array.as_binary::<i64>();
            Ok(Box::new(move |row| array.value(row)))
        }
        DataType::BinaryView => {
            let array = array.as_binary_view();
            Ok(Box::new(move |row| array.value(row)))
        }
        // A column of nulls has no geometry to read.
        DataType::Null => Ok(Box::new(|_| &[])),
        _ => Err(BuildError::NoGeometry),
    }
}

/// Runs of features with one first zoom.
fn bands(order: &[(u8, u32, u32)]) -> Vec<(u8, Range<usize>)> {
    let mut bands = Vec::new();
    let mut start = 0;
    for run in order.chunk_by(|a, b| a.0 == b.0) {
        bands.push((run[0].0, start..start + run.len()));
        start += run.len();
    }
    bands
}

/// The rank of each feature in its new place: what is drawn from an earlier zoom goes before, then
/// what weighs more. Points of equal weight are thinned evenly, by their identifiers.
fn ranks(raw: &[Raw], order: &[u32]) -> Vec<u32> {
    let mut by_rank: Vec<u32> = (0..).take(order.len()).collect();
    by_rank.sort_unstable_by(|a, b| {
        let of = |place: &u32| &raw[order[*place as usize] as usize];
        let (a, b) = (of(a), of(b));
        let scattered = |raw: &Raw| raw.id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        a.from_zoom
            .cmp(&b.from_zoom)
            .then_with(|| b.weight.total_cmp(&a.weight))
            .then_with(|| scattered(a).cmp(&scattered(b)))
    });
    let mut ranks = vec![0; order.len()];
    for (rank, place) in (0_u32..).zip(by_rank) {
        ranks[place as usize] = rank;
    }
    ranks
}

/// What a feature weighs where nothing else says: its area, or its length across.
#[expect(clippy::cast_precision_loss)]
fn size_of_shape(shape: &Shape) -> f64 {
    match shape.kind {
        ShapeKind::Point => 0.0,
        ShapeKind::Line => f64::from(shape.rect().side()),
        ShapeKind::Polygon => shape.area() as f64,
    }
}

/// The first zoom at which there is something to see.
fn visible_from(shape: &Shape) -> u8 {
    let large_enough = |zoom: u8| {
        let shift = u32::from(ZOOM_MAX - zoom);
        match shape.kind {
            ShapeKind::Point => true,
            ShapeKind::Line => u64::from(shape.rect().side()) >= LINE_UNITS_MIN << shift,
            ShapeKind::Polygon => shape.area() >= POLYGON_UNITS2_MIN << (2 * shift),
        }
    };
    (0..ZOOM_MAX).find(|zoom| large_enough(*zoom)).unwrap_or(ZOOM_MAX)
}
