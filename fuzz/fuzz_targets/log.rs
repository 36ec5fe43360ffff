//! Arbitrary bytes through the reader of the lake's log; its invariants are in `store::lake::fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| store::lake::fuzz_log(bytes));
