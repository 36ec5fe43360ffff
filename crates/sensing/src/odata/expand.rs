//! `$expand` (OGC 18-088, 9.3.2.1): navigations to be answered inline, with options of their own.
//!
//! `A/B,A/C` and `A($expand=B,C)` say the same and become the same tree.

use super::ast::{Expand, QueryOptions, Spanned};
use super::cursor::Cursor;
use super::error::{ErrorKind, Result, quote};
use super::query::{OptionName, Reader};
use super::{EXPAND_DEPTH_MAX, EXPANDS_MAX, path};
use crate::schema::Entity;

/// Options that an expansion may have.
fn applies(name: OptionName) -> bool {
    !matches!(name, OptionName::Apply | OptionName::ResultFormat)
}

/// Reads one path with the options of its last step.
pub(super) fn parse(
    reader: &mut Reader,
    cursor: &mut Cursor<'_>,
    entity: &'static Entity,
    depth: usize,
) -> Result<Expand> {
    let Some(word) = cursor.word() else {
        return Err(cursor.unexpected("an expansion breaks off", "a navigation"));
    };
    let Some(navigation) = entity.navigation(word.value) else {
        return Err(match entity.property(word.value) {
            Some(_) => cursor
                .error(word.span, format!("{} is a property and is there anyway", word.value))
                .expected(format!("a navigation of {}", entity.name)),
            None => path::unknown(cursor, entity, word)
                .expected("a navigation")
                .suggest(word.value, entity.navigation_names()),
        });
    };
    if depth >= EXPAND_DEPTH_MAX {
        let what = format!("expansions nested more than {EXPAND_DEPTH_MAX} deep");
        return Err(cursor.error(word.span, what));
    }
    reader.expands += 1;
    if reader.expands > EXPANDS_MAX {
        return Err(cursor.error(word.span, format!("more than {EXPANDS_MAX} expansions")));
    }
    let target = reader.schema.entity(navigation.target);
    let mut options = QueryOptions::default();
    if cursor.eat('/') {
        options.expand.push(parse(reader, cursor, target, depth + 1)?);
    } else if cursor.eat_separator('(') {
        nested_options(reader, cursor, target, &mut options, depth + 1)?;
        if cursor.peek() == Some('/') {
            let hint = format!("write {}(…;$expand=…)", navigation.name);
            let fault = cursor.error(cursor.here(), "options stand at the end of a path");
            return Err(fault.hint(hint));
        }
    }
    Ok(Expand { navigation: Spanned::new(navigation, word.span), options })
}

/// `$filter=…;$top=…)`: options up to the parenthesis.
fn nested_options(
    reader: &mut Reader,
    cursor: &mut Cursor<'_>,
    entity: &'static Entity,
    options: &mut QueryOptions,
    depth: usize,
) -> Result<()> {
    let mut seen: Vec<OptionName> = Vec::new();
    if cursor.eat(')') {
        return Ok(());
    }
    loop {
        let start = cursor.at();
        if !cursor.eat('$') {
            return Err(cursor.unexpected("an expansion's options break off", "a query option"));
        }
        cursor.take_while(|c| c.is_ascii_alphanumeric());
        let span = cursor.since(start);
        let text = cursor.slice(span);
        let Some(name) = OptionName::named(text).filter(|name| applies(*name)) else {
            let names = OptionName::ALL.into_iter().filter(|name| applies(*name));
            let fault = cursor.error(span, "an expansion has no such option");
            let fault = fault.kind(ErrorKind::Unsupported).found(quote(text));
            return Err(fault.suggest(text, names.map(OptionName::text)));
        };
        if seen.contains(&name) {
            return Err(cursor.error(span, format!("{text} is given twice")));
        }
        seen.push(name);
        cursor.expect('=', "an option has no value")?;
        reader.option(name, cursor, entity, options, depth)?;
        if !cursor.eat_separator(';') {
            break;
        }
    }
    cursor.skip_space();
    if !cursor.eat(')') {
        return Err(cursor.unexpected("an expansion cannot go on like this", "`;` or `)`"));
    }
    Ok(())
}

/// Adds an expansion to those that are there. Of two for one navigation, one may have options.
pub(super) fn merge(cursor: &Cursor<'_>, expands: &mut Vec<Expand>, new: Expand) -> Result<()> {
    let Some(known) =
        expands.iter_mut().find(|known| known.navigation.value == new.navigation.value)
    else {
        expands.push(new);
        return Ok(());
    };
    let own = |options: &QueryOptions| QueryOptions { expand: Vec::new(), ..options.clone() };
    if !own(&known.options).is_empty() && !own(&new.options).is_empty() {
        let what = format!("{} is expanded twice with options", new.navigation.value.name);
        return Err(cursor.error(new.navigation.span, what).hint("join them with `;`"));
    }
    let (below, own_of_new) = (new.options.expand.clone(), own(&new.options));
    if !own_of_new.is_empty() {
        let below_known = std::mem::take(&mut known.options.expand);
        known.options = QueryOptions { expand: below_known, ..own_of_new };
    }
    below.into_iter().try_for_each(|expand| merge(cursor, &mut known.options.expand, expand))
}
