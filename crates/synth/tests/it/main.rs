//! The synthetic city from outside: what its files say, held against what was published.

#![allow(clippy::unwrap_used, reason = "tests")]

mod areas;
mod city;
mod contracts;
mod figures;
mod network;
mod readings;
mod things;
