//! Marks the words of a query in a text, and picks the part of a long text to show.
//!
//! Marked text is a list of segments, not HTML: whoever shows it decides how, and nothing in a
//! title can become markup.

use datafusion::common::utils::datafusion_strsim::levenshtein;
use pack::model::Text;
use serde::{Deserialize, Serialize};

use super::text::{self, Kind, Piece};
use super::{MarkedText, Word, slips_allowed};

const SNIPPET_CHARS_MAX: usize = 120;
/// How much of the text stands before the first mark.
const SNIPPET_LEAD_CHARS: usize = 24;

/// A stretch of text that was met by the query, or was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub text: String,
    pub hit: bool,
}

/// A text in segments; joined, they are the text.
pub type Marked = Vec<Segment>;

pub(super) struct Marker<'a> {
    words: &'a [Word],
}

impl<'a> Marker<'a> {
    pub fn new(words: &'a [Word]) -> Self {
        Self { words }
    }

    pub fn whole(&self, text: &Text) -> MarkedText {
        MarkedText { zh: self.mark(&text.zh), en: self.mark(&text.en) }
    }

    pub fn snippet(&self, text: &Text) -> MarkedText {
        MarkedText { zh: self.cut(&text.zh), en: self.cut(&text.en) }
    }

    fn mark(&self, text: &str) -> Marked {
        segments(text, 0..text.len(), &self.hits(text))
    }

    fn cut(&self, text: &str) -> Marked {
        let hits = self.hits(text);
        let starts: Vec<usize> = text.char_indices().map(|(i, _)| i).chain([text.len()]).collect();
        let chars = starts.len() - 1;
        if chars <= SNIPPET_CHARS_MAX {
            return segments(text, 0..text.len(), &hits);
        }
        let first = hits.iter().position(|hit| *hit).unwrap_or(0);
        let first = starts.partition_point(|start| *start < first);
        let from = first.saturating_sub(SNIPPET_LEAD_CHARS).min(chars - SNIPPET_CHARS_MAX);
        let to = from + SNIPPET_CHARS_MAX;
        let mut marked = segments(text, starts[from]..starts[to], &hits);
        let ellipsis = || Segment { text: "…".into(), hit: false };
        if from > 0 {
            marked.insert(0, ellipsis());
        }
        if to < chars {
            marked.push(ellipsis());
        }
        marked
    }

    /// For each byte of the text, whether it is part of a word that was met.
    fn hits(&self, text: &str) -> Vec<bool> {
        let mut hits = vec![false; text.len()];
        for piece in text::pieces(text) {
            if self.words.iter().any(|word| meets(&word.piece, &piece)) {
                hits[piece.at].fill(true);
            }
        }
        hits
    }
}

/// Whether the index would have met this piece by that word.
fn meets(word: &Piece, piece: &Piece) -> bool {
    let same_script = matches!(word.kind, Kind::Han | Kind::HanGram)
        == matches!(piece.kind, Kind::Han | Kind::HanGram);
    if !same_script {
        return false;
    }
    if matches!(piece.kind, Kind::Han | Kind::HanGram)
        && piece.text.chars().count() > 1
        && word.text.contains(&piece.text)
    {
        return true;
    }
    if piece.kind == Kind::HanGram {
        return false;
    }
    piece.text.starts_with(&word.text) || within_slips(word, &piece.text)
}

fn within_slips(word: &Piece, text: &str) -> bool {
    let slips = usize::from(slips_allowed(word));
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    // Two letters that changed places are one slip to the index, two edits here.
    let edits_max = if letters(&word.text) == letters(text) { 2 * slips } else { slips };
    slips > 0 && levenshtein(&word.text, text) <= edits_max
}

fn segments(text: &str, within: std::ops::Range<usize>, hits: &[bool]) -> Marked {
    let mut marked: Marked = Vec::new();
    for (at, c) in text[within.clone()].char_indices() {
        let hit = hits[within.start + at];
        match marked.last_mut() {
            Some(last) if last.hit == hit => last.text.push(c),
            _ => marked.push(Segment { text: c.into(), hit }),
        }
    }
    marked
}
