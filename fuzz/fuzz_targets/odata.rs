//! Arbitrary text as a SensorThings request; what must hold for it is in `sensing::odata::fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| sensing::odata::fuzz(text));
