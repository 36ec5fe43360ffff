//! Arbitrary bytes through the reader of separated text; its invariants are in `intake::fuzz_csv`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| intake::fuzz_csv(bytes));
