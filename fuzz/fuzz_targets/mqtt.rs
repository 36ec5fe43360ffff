//! Arbitrary bytes through the broker's reader of packets, in every version of the protocol; what
//! must hold for them is in `mqtt::fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mqtt::fuzz(bytes));
