//! The stores: three independent rooms that know nothing of one another, nor of what rows mean.
//!
//! * [`blobs`]: photos and attachments, named by their content.
//! * [`lake`]: rows that machines append (write-ahead log → hot Arrow → Delta).
//! * [`records`]: what people edit (SQLite or PostgreSQL).

pub mod blobs;
pub mod lake;
pub mod records;
pub mod testing;
