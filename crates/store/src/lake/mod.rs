//! The lake: rows that machines append, acknowledged after an fsync and visible at once.
