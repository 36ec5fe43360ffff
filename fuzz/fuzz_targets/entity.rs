//! Arbitrary bytes as a body of every SensorThings entity, as a change of it and as observations in
//! bulk; what must hold for them is in `sensing::entity::fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sensing::entity::fuzz(bytes));
