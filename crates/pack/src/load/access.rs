//! Reads the access rules.
//!
//! Judges nothing but that they are Cedar; what they name is `check`'s.

use std::sync::Arc;

use miette::Diagnostic as _;

use super::DraftRules;
use crate::access::Rules;
use crate::check::access::start;
use crate::diagnostics::Diagnostic;
use crate::reader::Faults;
use crate::source::SourceFile;

pub(super) fn read(file: &Arc<SourceFile>, faults: &Faults) -> Option<DraftRules> {
    match Rules::parse(&file.text) {
        Ok(rules) => Some(DraftRules { rules, file: file.clone() }),
        Err(errors) => {
            for error in errors.iter() {
                let place = file.place(start(error).unwrap_or(0));
                let fault = Diagnostic::new(place, error.to_string());
                faults.borrow_mut().push(match error.help() {
                    Some(help) => fault.mend(help.to_string()),
                    None => fault,
                });
            }
            None
        }
    }
}
