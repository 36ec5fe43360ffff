//! Runs the CSV fuzz entry without a fuzzer: mutates the seeds of `fuzz/corpus/csv` for a time.
//!
//! `cargo run -p intake --example fuzz -- [SECONDS] [SEED]`. What coverage-guided fuzzing finds
//! sooner, this finds on any stable compiler; a panic prints the input that led to it.

#![allow(clippy::unwrap_used, reason = "a testing tool")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Inputs grow no longer than this.
const INPUT_BYTES_MAX: usize = 4096;
const PIECES: [&[u8]; 16] = [
    b",",
    b"\"",
    b"\n",
    b"\"\"",
    b"\r\n",
    b";",
    b"\t",
    b"NA",
    b"-",
    b"1e9",
    b".",
    b"\xff",
    "万".as_bytes(),
    b"2024-02-30",
    b"POLYGON((0 0",
    b"\0",
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(600, |text| text.parse().unwrap());
    let seed: u64 = arguments.next().map_or(1, |text| text.parse().unwrap());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/csv");
    let seeds: Vec<Vec<u8>> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(!seeds.is_empty(), "there are seeds in {folder}");
    let mut random = Random(seed.max(1));
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut runs = 0u64;
    while Instant::now() < until {
        let input = mutate(&seeds, &mut random);
        if catch_unwind(AssertUnwindSafe(|| intake::fuzz_csv(&input))).is_err() {
            println!("failed after {runs} runs on {:?}", input.escape_ascii().to_string());
            std::process::exit(1);
        }
        runs += 1;
    }
    println!("{runs} runs in {seconds} s without a failure");
}

fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut pick = |below: usize| random.below(below);
    let mut input = seeds[pick(seeds.len())].clone();
    for _ in 0..=pick(8) {
        let at = pick(input.len() + 1);
        match pick(6) {
            0 => input.truncate(at),
            1 => {
                let piece = PIECES[pick(PIECES.len())];
                input.splice(at..at, piece.iter().copied());
            }
            2 if at < input.len() => input[at] = u8::try_from(pick(256)).unwrap(),
            3 if at < input.len() => drop(input.remove(at)),
            4 => {
                let other = &seeds[pick(seeds.len())];
                let from = pick(other.len());
                let piece = other[from..(from + pick(64)).min(other.len())].to_vec();
                input.splice(at..at, piece);
            }
            _ => {
                let end = (at + pick(64)).min(input.len());
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

/// Marsaglia's xorshift64: any seed but 0 runs through all other states.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % limit.max(1)
    }
}
