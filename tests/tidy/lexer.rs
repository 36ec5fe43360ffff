//! Rust text without its comments, strings and test modules, so that a rule about code does not
//! trip over prose. Blanked characters become spaces: lines stay where they were.
//!
//! It knows tokens only as far as needed to find their ends; it does not parse.

/// Blanks comments, string and character literals.
pub fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_or_comment_end(&chars, at);
        if end > at {
            code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            code.push(chars[at]);
            at += 1;
        }
    }
    code
}

/// Blanks what `#[cfg(test)]` covers: a `mod` with its braces, a function, a `use`. Takes the
/// output of [`code_only`], where a brace is a brace.
pub fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::with_capacity(code.len());
    while let Some(start) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..start]);
        let end = start + item_end(&rest[start..]);
        kept.extend(rest[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[end..];
    }
    kept.push_str(rest);
    kept
}

/// Length of the item at the start: to its `;`, or to the brace that closes its first.
fn item_end(text: &str) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in text.char_indices() {
        match c {
            ';' if depth == 0 => return offset + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return offset + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Where the comment or literal that starts at `at` ends, or `at` if none starts there.
fn literal_or_comment_end(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied();
    match chars[at] {
        '/' if next(1) == Some('/') => find(chars, at, |c| c == '\n'),
        '/' if next(1) == Some('*') => block_comment_end(chars, at),
        '"' => quoted_end(chars, at + 1, '"'),
        'r' if !continues_a_word(chars, at) => raw_string_end(chars, at),
        // 'x' and '\n' are literals; 'x without a closing quote is a lifetime.
        '\'' if next(1) == Some('\\') => quoted_end(chars, at + 1, '\''),
        '\'' if next(2) == Some('\'') => at + 3,
        _ => at,
    }
}

fn continues_a_word(chars: &[char], at: usize) -> bool {
    // `br"…"` is a literal too, so a single `b` before does not count as a word.
    let before = at.checked_sub(1).map(|index| chars[index]);
    before.is_some_and(|c| (c.is_alphanumeric() && c != 'b') || c == '_')
}

fn find(chars: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    chars[from..].iter().position(|&c| wanted(c)).map_or(chars.len(), |offset| from + offset)
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut index = at;
    while index + 1 < chars.len() {
        match (chars[index], chars[index + 1]) {
            ('/', '*') => (depth, index) = (depth + 1, index + 2),
            ('*', '/') if depth == 1 => return index + 2,
            ('*', '/') => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], from: usize, quote: char) -> usize {
    let mut index = from;
    while index < chars.len() {
        match chars[index] {
            '\\' => index += 2,
            c if c == quote => return index + 1,
            _ => index += 1,
        }
    }
    chars.len()
}

fn raw_string_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return at;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = at + 2 + hashes;
    chars[body..]
        .windows(close.len())
        .position(|window| window == close)
        .map_or(chars.len(), |offset| body + offset + close.len())
}

#[test]
fn blanks_comments_and_literals_only() {
    let check = |text: &str, expect: &str| assert_eq!(code_only(text), expect, "{text}");
    check("a // b\nc", "a     \nc");
    check("a /* b /* c */ d */ e", "a                   e");
    check(r#"f("x\"y", 'z', '\'')"#, "f(      ,    ,     )");
    check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
    check("r#\"a\"b\"# + for r", "         + for r");
    check("let r = br\"x\";", "let r = b    ;");
}

#[test]
fn blanks_what_only_tests_see() {
    let code = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { c() } }\nfn d() {}";
    let kept = without_tests(code);
    assert!(kept.contains("fn a") && kept.contains("fn d") && !kept.contains("fn b"), "{kept}");
    let kept = without_tests("#[cfg(test)]\nmod tests;\nfn d() {}");
    assert!(kept.contains("fn d") && !kept.contains("mod tests"), "{kept}");
}
