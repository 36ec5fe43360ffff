//! Arbitrary text as SQL, asked by three people who may see different things. Nothing may panic,
//! and no answer or refusal may hold what its reader must not see.

#![no_main]

// The city that the catalogue's own tests are held in.
#[path = "../../crates/catalog/tests/it/support.rs"]
#[allow(dead_code)]
mod support;

use std::sync::{Arc, OnceLock};

use catalog::sql::{CatalogOptions, Limits};
use catalog::{Catalog, SqlError};

/// Plans are walked by recursion, as deep as the server's threads allow.
const STACK_BYTES: usize = 16 * 1024 * 1024;
/// A text that runs longer than this tells nothing new.
const SECONDS_MAX: u64 = 2;
/// Printing more rows than this would take longer than answering them.
const ROWS_MAX: u64 = 2_000;

/// Whole values that only their owners see: identity numbers, telephone numbers, another
/// department's plan.
const OWNERS_ONLY: [&str; 3] = ["51010419800101000", "1380000000", "a tunnel"];

libfuzzer_sys::fuzz_target!(|sql: &str| {
    let sql = sql.to_owned();
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let run = thread.spawn(move || run(&sql)).expect("the system starts a thread");
    run.join().expect("no text panics");
});

fn city() -> &'static Arc<Catalog> {
    static CITY: OnceLock<Arc<Catalog>> = OnceLock::new();
    CITY.get_or_init(|| {
        let limits = Limits {
            partitions: 1,
            output_rows_max: ROWS_MAX,
            time_max: std::time::Duration::from_secs(SECONDS_MAX),
            ..Limits::default()
        };
        let options = CatalogOptions { limits, ..support::options() };
        support::catalog_with(support::city_pack(), support::rows(), options)
    })
}

fn run(sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system has files left");
    for person in ["street", "university", "ecology"] {
        let answer = runtime.block_on(support::ask(city(), &support::session(person), sql));
        let shown = match answer {
            Ok(batches) => {
                arrow::util::pretty::pretty_format_batches(&batches).expect("it prints").to_string()
            }
            Err(SqlError::Internal { code: "panic", .. }) => panic!("a panic was caught: {sql}"),
            Err(error) => error.to_string(),
        };
        for secret in OWNERS_ONLY {
            // Who writes a value into the question sees it in the answer.
            assert!(!shown.contains(secret) || sql.contains(secret), "{person} sees {secret}: {sql}");
        }
    }
}
