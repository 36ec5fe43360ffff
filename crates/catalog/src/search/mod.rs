//! Finding datasets by words, Chinese and English, in titles, descriptions, keywords, fields and
//! owners; forgiving of beginnings and slips of the finger.
//!
//! ```text
//!  contracts ─► one document a dataset, one a field ─► tantivy, in memory
//!  query ─► words ─► per word: exact | beginning | slip ─► only documents that the asker may know
//!        ─► words met × how well ─► hits with marked texts
//! ```
//!
//! A field is a document of its own, so that a dataset is never found by a field that the asker
//! must not know of. Scores are not given out: they depend on documents the asker may not see.
//! The index holds contracts only, never rows; it is rebuilt from the pack in milliseconds and so
//! is not kept on disk.

mod mark;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use pack::model::{Contract, Text};
use serde::{Deserialize, Serialize};
use tantivy::collector::{FilterCollector, TopDocs};
use tantivy::query::{
    BooleanQuery, BoostQuery, DisjunctionMaxQuery, FuzzyTermQuery, Query, TermQuery,
};
use tantivy::schema::{
    FAST, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::{Index, IndexReader, ReloadPolicy, TantivyDocument, Term};

use crate::knowledge::{Access, Knowledge};
use mark::Marker;
pub use mark::{Marked, Segment};
use text::{Kind, Piece};

/// Words of a query beyond this many are not looked at.
const QUERY_WORDS_MAX: usize = 16;
const QUERY_CHARS_MAX: usize = 200;
pub const HITS_MAX: usize = 100;
const INDEX_MEMORY_BYTES: usize = 15 << 20;
const TOKENIZER: &str = "shelf";
const ORDINAL: &str = "ordinal";

/// Words that are in every description and say nothing about it.
const STOP_WORDS: &[&str] = &[
    "的", "了", "和", "与", "及", "在", "是", "a", "an", "and", "by", "for", "in", "of", "on",
    "the", "to",
];

/// A hit must meet at least this share of the query's words.
const WORDS_MET_SHARE_MIN: f32 = 0.5;
/// What a word met only by its beginning, or only by a slip, counts beside one met exactly.
const BEGINNING_WEIGHT: f32 = 0.5;
const SLIP_WEIGHT: f32 = 0.25;
const PAIRS_WEIGHT: f32 = 0.6;
/// A word inside the word: 地铁 where 地铁站 was asked for.
const PART_WEIGHT: f32 = 0.3;

#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("the search index failed: {0}")]
    Index(#[from] tantivy::TantivyError),
}

/// One dataset found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    pub dataset: String,
    pub title: MarkedText,
    /// The part of the description where the words are; its beginning when they are elsewhere.
    pub snippet: MarkedText,
    pub owner: String,
    /// Whether rows can be read; if not, they can be asked for.
    pub readable: bool,
    /// Fields that were met, best first.
    pub fields: Vec<FieldHit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldHit {
    pub name: String,
    pub title: MarkedText,
}

/// Chinese and English texts of one thing, the words that were met marked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkedText {
    pub zh: Marked,
    pub en: Marked,
}

/// What one document is about.
struct Entry {
    dataset: String,
    /// `None`: the dataset itself.
    field: Option<String>,
    title: Text,
    description: Text,
    owner: String,
}

/// Fields of the index and what a word met there weighs.
struct Shelf {
    schema: Schema,
    ordinal: Field,
    weighted: Vec<(Field, f32)>,
    id: Field,
    title: Field,
    keywords: Field,
    owner: Field,
    description: Field,
}

impl Shelf {
    fn new() -> Self {
        let mut schema = Schema::builder();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(TOKENIZER)
            .set_index_option(IndexRecordOption::WithFreqs);
        let options = TextOptions::default().set_indexing_options(indexing);
        let mut text = |name: &str| schema.add_text_field(name, options.clone());
        let id = text("id");
        let title = text("title");
        let keywords = text("keywords");
        let owner = text("owner");
        let description = text("description");
        let ordinal = schema.add_u64_field(ORDINAL, NumericOptions::from(FAST));
        let weighted =
            vec![(id, 4.0), (title, 4.0), (keywords, 3.0), (owner, 1.5), (description, 1.0)];
        Self { schema: schema.build(), ordinal, weighted, id, title, keywords, owner, description }
    }

    fn document(&self, ordinal: u64, contract: &Contract, owner: &Text) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        document.add_u64(self.ordinal, ordinal);
        document.add_text(self.id, &contract.id);
        for title in [&contract.title.zh, &contract.title.en] {
            document.add_text(self.title, title);
        }
        for keyword in contract.keywords.iter().chain([&contract.theme, &contract.resource_id]) {
            document.add_text(self.keywords, keyword);
        }
        for owner in [&owner.zh, &owner.en, &contract.owner] {
            document.add_text(self.owner, owner);
        }
        for text in [&contract.description.zh, &contract.description.en] {
            document.add_text(self.description, text);
        }
        document
    }

    fn field_document(&self, ordinal: u64, field: &pack::model::Field) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        document.add_u64(self.ordinal, ordinal);
        document.add_text(self.id, &field.name);
        for text in [&field.title.zh, &field.title.en] {
            document.add_text(self.title, text);
        }
        for alias in &field.aliases {
            document.add_text(self.keywords, alias);
        }
        for text in [&field.description.zh, &field.description.en] {
            document.add_text(self.description, text);
        }
        document
    }
}

/// The index over a pack's contracts.
pub struct SearchIndex {
    shelf: Shelf,
    reader: IndexReader,
    entries: Vec<Entry>,
}

impl std::fmt::Debug for SearchIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchIndex").field("documents", &self.entries.len()).finish()
    }
}

impl SearchIndex {
    /// Indexes contracts; `owner` gives an organisation's names.
    pub fn build<'a>(
        contracts: impl IntoIterator<Item = &'a Contract>,
        owner: impl Fn(&str) -> Option<Text>,
    ) -> Result<Self, SearchError> {
        let shelf = Shelf::new();
        let index = Index::create_in_ram(shelf.schema.clone());
        index.tokenizers().register(TOKENIZER, text::Cutter);
        let mut writer = index.writer_with_num_threads(1, INDEX_MEMORY_BYTES)?;
        let mut entries = Vec::new();
        for contract in contracts {
            let owner = owner(&contract.owner).unwrap_or_default();
            writer.add_document(shelf.document(entries.len() as u64, contract, &owner))?;
            entries.push(Entry {
                dataset: contract.id.clone(),
                field: None,
                title: contract.title.clone(),
                description: contract.description.clone(),
                owner: contract.owner.clone(),
            });
            for field in &contract.fields {
                writer.add_document(shelf.field_document(entries.len() as u64, field))?;
                entries.push(Entry {
                    dataset: contract.id.clone(),
                    field: Some(field.name.clone()),
                    title: field.title.clone(),
                    description: field.description.clone(),
                    owner: contract.owner.clone(),
                });
            }
        }
        writer.commit()?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { shelf, reader, entries })
    }

    /// Datasets that meet the query and that the asker may know about, best first. A query
    /// without a word finds nothing.
    pub fn search(
        &self,
        query: &str,
        knowledge: &Knowledge,
        limit: usize,
    ) -> Result<Vec<Hit>, SearchError> {
        let query: String = query.chars().take(QUERY_CHARS_MAX).collect();
        let words = words(&query);
        let allowed: Arc<[bool]> = self.entries.iter().map(|e| allows(knowledge, e)).collect();
        let mut found: BTreeMap<&str, Found> = BTreeMap::new();
        for word in &words {
            self.meet(word, &allowed, &mut found)?;
        }
        let mut ranked: Vec<(&str, Found)> = found
            .into_iter()
            .filter(|(_, found)| found.share_met(words.len()) >= WORDS_MET_SHARE_MIN)
            .collect();
        ranked.sort_by(|(a_id, a), (b_id, b)| {
            b.rank(words.len()).total_cmp(&a.rank(words.len())).then(a_id.cmp(b_id))
        });
        let marker = Marker::new(&words);
        let hits = ranked.into_iter().take(limit.min(HITS_MAX));
        Ok(hits.filter_map(|(id, found)| self.hit(id, &found, &marker, knowledge)).collect())
    }

    /// Adds to each dataset the best that this word meets there.
    fn meet<'a>(
        &'a self,
        word: &Word,
        allowed: &Arc<[bool]>,
        found: &mut BTreeMap<&'a str, Found>,
    ) -> Result<(), SearchError> {
        let searcher = self.reader.searcher();
        let admitted = {
            let allowed = Arc::clone(allowed);
            move |ordinal: u64| {
                usize::try_from(ordinal).is_ok_and(|i| allowed.get(i).copied().unwrap_or(false))
            }
        };
        let all = TopDocs::with_limit(self.entries.len().max(1)).order_by_score();
        let collector = FilterCollector::new(ORDINAL.to_owned(), admitted, all);
        let mut met: BTreeMap<&str, f32> = BTreeMap::new();
        for (score, address) in searcher.search(&self.query(word), &collector)? {
            let column = searcher.segment_reader(address.segment_ord).fast_fields().u64(ORDINAL)?;
            let entry = column
                .first(address.doc_id)
                .and_then(|ordinal| self.entries.get(usize::try_from(ordinal).ok()?));
            let Some(entry) = entry else { continue };
            let best = met.entry(&entry.dataset).or_default();
            *best = best.max(score);
            if let Some(field) = &entry.field {
                let fields = &mut found.entry(&entry.dataset).or_default().fields;
                *fields.entry(field.clone()).or_default() += score;
            }
        }
        for (dataset, score) in met {
            let found = found.entry(dataset).or_default();
            found.words_met += 1;
            found.score += score;
        }
        Ok(())
    }

    /// One word, anywhere: exactly, by its beginning, or with a slip.
    fn query(&self, Word { piece: word, parts }: &Word) -> BooleanQuery {
        let mut ways: Vec<Box<dyn Query>> = Vec::new();
        for (field, weight) in &self.shelf.weighted {
            let term = |text: &str| Term::from_field_text(*field, text);
            let mut way = |query: Box<dyn Query>, share: f32| {
                ways.push(Box::new(BoostQuery::new(query, weight * share)));
            };
            way(Box::new(TermQuery::new(term(&word.text), IndexRecordOption::WithFreqs)), 1.0);
            let beginning = FuzzyTermQuery::new_prefix(term(&word.text), 0, true);
            way(Box::new(beginning), BEGINNING_WEIGHT);
            let slips = slips_allowed(word);
            if slips > 0 {
                way(Box::new(FuzzyTermQuery::new(term(&word.text), slips, true)), SLIP_WEIGHT);
            }
            for part in parts {
                let part = TermQuery::new(term(part), IndexRecordOption::WithFreqs);
                way(Box::new(part), PART_WEIGHT);
            }
            let pairs = pairs(word);
            if pairs.len() > 1 {
                let pairs = pairs.iter().map(|pair| -> Box<dyn Query> {
                    Box::new(TermQuery::new(term(pair), IndexRecordOption::Basic))
                });
                way(Box::new(BooleanQuery::intersection(pairs.collect())), PAIRS_WEIGHT);
            }
        }
        BooleanQuery::union(vec![Box::new(DisjunctionMaxQuery::new(ways))])
    }

    fn hit(
        &self,
        dataset: &str,
        found: &Found,
        marker: &Marker<'_>,
        knowledge: &Knowledge,
    ) -> Option<Hit> {
        let known = knowledge.get(dataset)?;
        let entry = |field: Option<&str>| {
            self.entries.iter().find(|e| e.dataset == dataset && e.field.as_deref() == field)
        };
        let about = entry(None)?;
        let mut fields: Vec<(&String, f32)> = found.fields.iter().map(|(f, s)| (f, *s)).collect();
        fields.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        Some(Hit {
            dataset: dataset.to_owned(),
            title: marker.whole(&about.title),
            snippet: marker.snippet(&about.description),
            owner: about.owner.clone(),
            readable: known.access == Access::Readable,
            fields: fields
                .into_iter()
                .filter_map(|(name, _)| {
                    let title = marker.whole(&entry(Some(name))?.title);
                    Some(FieldHit { name: name.clone(), title })
                })
                .collect(),
        })
    }
}

fn allows(knowledge: &Knowledge, entry: &Entry) -> bool {
    knowledge.get(&entry.dataset).is_some_and(|known| match &entry.field {
        None => true,
        Some(field) => known.fields.contains_key(field),
    })
}

#[derive(Default)]
struct Found {
    words_met: u16,
    score: f32,
    fields: BTreeMap<String, f32>,
}

impl Found {
    fn share_met(&self, words: usize) -> f32 {
        let words = u16::try_from(words.max(1)).unwrap_or(u16::MAX);
        f32::from(self.words_met) / f32::from(words)
    }

    /// Meeting all words counts for more than meeting one of them well.
    fn rank(&self, words: usize) -> f32 {
        self.score * self.share_met(words).powi(2)
    }
}

/// A word of a query.
struct Word {
    piece: Piece,
    /// Dictionary words inside a Chinese word.
    parts: Vec<String>,
}

/// The query's words. The parts of an identifier are not words of their own, or `air.pm25` would
/// match every `air`; the words inside a Chinese word stand behind it.
fn words(query: &str) -> Vec<Word> {
    let pieces = text::pieces(query);
    let long: Vec<&Piece> =
        pieces.iter().filter(|p| matches!(p.kind, Kind::Latin | Kind::Han)).collect();
    let inside = |a: &Piece, b: &Piece| {
        b.at.start <= a.at.start && a.at.end <= b.at.end && a.at.len() < b.at.len()
    };
    let mut words: Vec<Word> = Vec::new();
    for piece in &long {
        let swallowed = long.iter().any(|other| inside(piece, other));
        let stop = STOP_WORDS.contains(&piece.text.as_str());
        if swallowed || stop || words.iter().any(|word| word.piece.text == piece.text) {
            continue;
        }
        let parts = long.iter().filter(|other| inside(other, piece));
        let parts = parts.filter(|part| part.text.chars().count() > 1);
        words.push(Word {
            parts: parts.map(|part| part.text.clone()).collect(),
            piece: (*piece).clone(),
        });
    }
    words.truncate(QUERY_WORDS_MAX);
    words
}

/// How many slips of the finger a word may carry: short words would turn into other words.
fn slips_allowed(word: &Piece) -> u8 {
    const ONE_SLIP_CHARS_MIN: usize = 4;
    const TWO_SLIPS_CHARS_MIN: usize = 8;
    let letters = word.text.chars().count();
    match word.kind {
        // Digits are never slips: `pm25` is not `pm10`.
        _ if word.text.chars().any(|c| c.is_ascii_digit()) => 0,
        Kind::Latin | Kind::LatinPart if letters >= TWO_SLIPS_CHARS_MIN => 2,
        Kind::Latin | Kind::LatinPart if letters >= ONE_SLIP_CHARS_MIN => 1,
        _ => 0,
    }
}

/// The pairs of characters of a Chinese word, by which it is found when the dictionary cut the
/// indexed text elsewhere.
fn pairs(word: &Piece) -> Vec<String> {
    if !matches!(word.kind, Kind::Han | Kind::HanGram) {
        return Vec::new();
    }
    let chars: Vec<char> = word.text.chars().collect();
    chars.windows(2).map(|pair| pair.iter().collect()).collect()
}
