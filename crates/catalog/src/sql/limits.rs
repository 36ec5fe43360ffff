//! How much one query, one principal and the whole process may take.

use std::time::Duration;

/// Bounds on SQL from people. Over any of them the one query fails, with the bound's name.
#[derive(Debug, Clone)]
pub struct Limits {
    pub statement_bytes_max: usize,
    pub plan_nodes_max: usize,
    pub plan_depth_max: usize,
    pub query_memory_bytes_max: usize,
    /// All queries together.
    pub process_memory_bytes_max: usize,
    /// Disk that all queries together may spill to.
    pub spill_bytes_max: u64,
    pub output_rows_max: u64,
    pub output_bytes_max: u64,
    /// From admission to the last row taken.
    pub time_max: Duration,
    pub concurrent_max: usize,
    /// No principal holds more of `concurrent_max` than this.
    pub concurrent_per_principal_max: usize,
    /// How long a query waits for a place before it is turned away.
    pub admission_wait_max: Duration,
    /// Partitions that one query is spread over.
    pub partitions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            statement_bytes_max: 256 << 10,
            plan_nodes_max: 2_000,
            plan_depth_max: 100,
            query_memory_bytes_max: 512 * MIB,
            process_memory_bytes_max: 2_048 * MIB,
            spill_bytes_max: 20 << 30,
            output_rows_max: 5_000_000,
            output_bytes_max: 1 << 30,
            time_max: Duration::from_secs(60),
            concurrent_max: 32,
            concurrent_per_principal_max: 8,
            admission_wait_max: Duration::from_secs(5),
            partitions: std::thread::available_parallelism().map_or(2, usize::from),
        }
    }
}
