//! Text into tokens, the same way for the index, the query and the highlights.
//!
//! Chinese runs are cut by jieba into words and the words inside words; single characters and
//! pairs are added, because a dictionary never knows all of a city's names. Latin runs follow the
//! way people write identifiers: `PM2.5`, `pm2_5` and `pm25` are one word, and `observed_at` is
//! found by `observed` too. Case and full-width forms make no difference.

use std::ops::Range;

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use tantivy_jieba::JiebaTokenizer;

/// A token and where in the text it stood (bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub text: String,
    pub at: Range<usize>,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Latin word or number, connectors taken out.
    Latin,
    /// A part between connectors.
    LatinPart,
    /// A Chinese word by the dictionary.
    Han,
    /// One or two Chinese characters, whatever the dictionary says.
    HanGram,
}

pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for run in runs(text) {
        match run.han {
            true => han_pieces(text, run.at, &mut pieces),
            false => latin_pieces(text, run.at, &mut pieces),
        }
    }
    pieces
}

struct Run {
    at: Range<usize>,
    han: bool,
}

/// Splits a text into runs of Han characters and of Latin letters, digits and what joins them.
fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut open: Option<Run> = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        let joins = is_connector(c)
            && open.as_ref().is_some_and(|run| !run.han && run.at.end == at)
            && chars.peek().is_some_and(|(_, next)| is_latin(*next));
        let han = is_han(c);
        if !han && !is_latin(c) && !joins {
            runs.extend(open.take());
            continue;
        }
        match &mut open {
            Some(run) if run.han == han => run.at.end = end,
            _ => {
                runs.extend(open.take());
                open = Some(Run { at: at..end, han });
            }
        }
    }
    runs.extend(open);
    runs
}

fn han_pieces(text: &str, at: Range<usize>, pieces: &mut Vec<Piece>) {
    let run = &text[at.clone()];
    let mut words = JiebaTokenizer::new();
    let mut stream = words.token_stream(run);
    let mut known = Vec::new();
    while let Some(token) = stream.next() {
        let place = at.start + token.offset_from..at.start + token.offset_to;
        known.push(place.clone());
        pieces.push(Piece { text: token.text.clone(), at: place, kind: Kind::Han });
    }
    let starts: Vec<usize> = run.char_indices().map(|(i, _)| i).chain([run.len()]).collect();
    for length in [1, 2] {
        for window in starts.windows(length + 1) {
            let (from, to) = (window[0], window[length]);
            let place = at.start + from..at.start + to;
            if !known.contains(&place) {
                pieces.push(Piece { text: run[from..to].into(), at: place, kind: Kind::HanGram });
            }
        }
    }
}

fn latin_pieces(text: &str, at: Range<usize>, pieces: &mut Vec<Piece>) {
    let run = &text[at.clone()];
    let whole: String = run.chars().filter(|c| !is_connector(*c)).map(fold).collect();
    if whole.is_empty() {
        return;
    }
    let joined = run.chars().any(is_connector);
    pieces.push(Piece { text: whole, at: at.clone(), kind: Kind::Latin });
    if !joined {
        return;
    }
    let mut start = at.start;
    for part in run.split(is_connector) {
        let place = start..start + part.len();
        // Connectors are one byte each, save full-width ones, which `split` still steps over.
        start = place.end + text[place.end..].chars().next().map_or(0, char::len_utf8);
        // A lone digit (the `5` of `PM2.5`) says nothing.
        if part.chars().count() > 1 || part.chars().any(|c| fold(c).is_ascii_alphabetic()) {
            let folded = part.chars().map(fold).collect();
            pieces.push(Piece { text: folded, at: place, kind: Kind::LatinPart });
        }
    }
}

/// Lower case, full-width forms to ASCII.
fn fold(c: char) -> char {
    const FULL_WIDTH_SHIFT: u32 = 0xFEE0;
    let c = match c {
        '！'..='～' => char::from_u32(u32::from(c) - FULL_WIDTH_SHIFT).unwrap_or(c),
        c => c,
    };
    c.to_lowercase().next().unwrap_or(c)
}

fn is_connector(c: char) -> bool {
    matches!(fold(c), '.' | '_' | '-')
}

fn is_latin(c: char) -> bool {
    let c = fold(c);
    c.is_alphanumeric() && !is_han(c)
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}')
}

/// [`pieces`] as tantivy wants them.
#[derive(Debug, Clone, Default)]
pub(super) struct Cutter;

pub(super) struct Cut {
    pieces: std::vec::IntoIter<Piece>,
    token: Token,
}

impl Tokenizer for Cutter {
    type TokenStream<'a> = Cut;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Cut {
        Cut { pieces: pieces(text).into_iter(), token: Token::default() }
    }
}

impl TokenStream for Cut {
    fn advance(&mut self) -> bool {
        let Some(piece) = self.pieces.next() else { return false };
        self.token = Token {
            offset_from: piece.at.start,
            offset_to: piece.at.end,
            position: self.token.position.wrapping_add(1),
            text: piece.text,
            position_length: 1,
        };
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        pieces(text).into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn one_pollutant_has_one_spelling() {
        for spelling in ["PM2.5", "pm2_5", "pm25", "ＰＭ２．５", "Pm-25"] {
            assert!(
                words(spelling).contains(&"pm25".to_owned()),
                "{spelling}: {:?}",
                words(spelling)
            );
        }
    }

    #[test]
    fn identifiers_are_found_by_their_parts() {
        assert_eq!(words("observed_at"), ["observedat", "observed", "at"]);
        assert_eq!(words("air.pm25"), ["airpm25", "air", "pm25"]);
    }

    #[test]
    fn chinese_is_cut_into_words_and_pairs() {
        let words = words("成都市空气质量PM2.5数据");
        for word in ["成都", "空气", "质量", "pm25", "数据", "市空"] {
            assert!(words.contains(&word.to_owned()), "{word} in {words:?}");
        }
    }

    #[test]
    fn every_piece_stands_where_it_says() {
        for text in ["细颗粒物（PM2.5）浓度, µg/m³", "ａ．ｂ-c..d__", "𠀀一二 x", "...", ""]
        {
            for piece in pieces(text) {
                let there: String = text[piece.at.clone()]
                    .chars()
                    .filter(|c| !is_connector(*c))
                    .map(fold)
                    .collect();
                assert_eq!(there, piece.text, "in {text}");
            }
        }
    }

    #[test]
    fn a_sentence_ends_its_last_word() {
        assert_eq!(words("Air quality."), ["air", "quality"]);
    }
}
