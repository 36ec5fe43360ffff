//! The web UI inside the program, as `make web` built it. A program that is compiled without it
//! serves everything else and says so.

use rust_embed::Embed;
use server::http::{Ui, UiFile};

#[derive(Debug, Embed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Files;

/// Files of `web/dist` at the time of compiling.
#[derive(Debug)]
pub struct EmbeddedUi;

impl Ui for EmbeddedUi {
    fn file(&self, name: &str) -> Option<UiFile> {
        let file = Files::get(name)?;
        Some(UiFile { content: file.data, sha256: file.metadata.sha256_hash() })
    }
}
