//! The packed features of one layer: everything in one order, every list flat.

use crate::column::Column;
use crate::grid::{Rect, Spot};
use crate::index::Index;
use crate::shape::{Part, ShapeKind};

/// Features that are drawn from one zoom on, which lie together, and the tree over them.
#[derive(Debug)]
pub(crate) struct Band {
    pub zoom: u8,
    pub index: Index,
}

/// What one reader sees of one dataset, packed for drawing and finding. Features are counted from
/// 0 in the layer's own order, which is the same for as long as it lives.
#[derive(Debug)]
pub struct Layer {
    pub(crate) rects: Vec<Rect>,
    pub(crate) ids: Vec<u64>,
    pub(crate) kinds: Vec<ShapeKind>,
    /// Smaller ones stay where there is no room for all.
    pub(crate) ranks: Vec<u32>,
    pub(crate) part_ends: Vec<u32>,
    pub(crate) parts: Vec<Part>,
    pub(crate) spots: Vec<Spot>,
    /// The zoom from which each spot is drawn.
    pub(crate) levels: Vec<u8>,
    pub(crate) columns: Vec<Column>,
    pub(crate) key: Vec<usize>,
    pub(crate) bands: Vec<Band>,
    pub(crate) around: Rect,
    pub(crate) unreadable: usize,
    pub(crate) without: usize,
}

impl Layer {
    pub fn len(&self) -> usize {
        self.rects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rects.is_empty()
    }

    /// Bytes that the layer takes in memory.
    pub fn bytes(&self) -> usize {
        self.rects.len() * (size_of::<Rect>() + 8 + 1 + 4 + 4)
            + self.parts.len() * size_of::<Part>()
            + self.spots.len() * (size_of::<Spot>() + 1)
            + self.columns.iter().map(Column::bytes_held).sum::<usize>()
            + self.bands.iter().map(|band| band.index.bytes()).sum::<usize>()
    }

    /// The box around all features.
    pub fn rect(&self) -> Rect {
        self.around
    }

    pub fn rect_of(&self, feature: usize) -> Rect {
        self.rects[feature]
    }

    /// A spot that stands for the feature: of a point itself, of others the middle of its box.
    pub fn middle_of(&self, feature: usize) -> Spot {
        let rect = self.rects[feature];
        Spot { x: rect.min.x.midpoint(rect.max.x), y: rect.min.y.midpoint(rect.max.y) }
    }

    pub fn id_of(&self, feature: usize) -> u64 {
        self.ids[feature]
    }

    pub fn rank_of(&self, feature: usize) -> u32 {
        self.ranks[feature]
    }

    pub fn kind_of(&self, feature: usize) -> ShapeKind {
        self.kinds[feature]
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns that tell features apart, in the key's order.
    pub fn key(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().map(|column| &self.columns[*column])
    }

    /// Rows that are not in the layer, since their geometry cannot be read.
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    /// Rows that are not in the layer, since they have no geometry.
    pub fn without(&self) -> usize {
        self.without
    }

    pub(crate) fn parts_of(&self, feature: usize) -> std::ops::Range<usize> {
        let start = feature.checked_sub(1).map_or(0, |before| self.part_ends[before]);
        start as usize..self.part_ends[feature] as usize
    }

    /// The spots of a part, as places in the lists of spots and levels.
    pub(crate) fn spots_of(&self, part: usize) -> std::ops::Range<usize> {
        let start = part.checked_sub(1).map_or(0, |before| self.parts[before].end);
        start as usize..self.parts[part].end as usize
    }
}
