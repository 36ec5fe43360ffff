//! The stores: three independent rooms that know nothing of one another, nor of what rows mean.
//!
//! * [`lake`]: rows that machines append (write-ahead log → hot Arrow → Delta).

pub mod lake;
