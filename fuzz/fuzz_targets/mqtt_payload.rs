//! Arbitrary bytes as a producer's message, its topic and its payload; what must hold for them is
//! in `sensing::entity::fuzz_message`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sensing::entity::fuzz_message(bytes));
