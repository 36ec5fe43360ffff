//! Peak memory of a process, and of a family of processes such as PostgreSQL's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a family is looked at. Shorter peaks are missed; the report says it is sampled.
const SAMPLE_MS: u64 = 100;

/// This process's peak resident set, as the kernel kept it.
pub fn own_peak_mib() -> f64 {
    kib_of("/proc/self/status", "VmHWM:").map_or(f64::NAN, mib)
}

/// Another process's peak resident set; `None` where there is no such process.
pub fn peak_mib(pid: u32) -> Option<f64> {
    kib_of(&format!("/proc/{pid}/status"), "VmHWM:").map(mib)
}

/// Its resident set as it is now.
pub fn resident_mib(pid: u32) -> Option<f64> {
    kib_of(&format!("/proc/{pid}/status"), "VmRSS:").map(mib)
}

/// Looks at a process and all below it until dropped or asked.
#[derive(Debug)]
pub struct FamilyWatch {
    stop: Arc<AtomicBool>,
    peak_kib: Arc<AtomicU64>,
    watcher: Option<JoinHandle<()>>,
}

impl FamilyWatch {
    pub fn start(root_pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let peak_kib = Arc::new(AtomicU64::new(0));
        let (stopped, peak) = (Arc::clone(&stop), Arc::clone(&peak_kib));
        let watcher = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                peak.fetch_max(family_kib(root_pid), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(SAMPLE_MS));
            }
        });
        Self { stop, peak_kib, watcher: Some(watcher) }
    }

    pub fn peak_mib(mut self) -> f64 {
        self.finish();
        mib(self.peak_kib.load(Ordering::Relaxed))
    }

    fn finish(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            // A watcher that panicked has nothing more to say than the peak it left.
            let _ = watcher.join();
        }
    }
}

impl Drop for FamilyWatch {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Proportional set sizes added up, so that shared buffers count once.
fn family_kib(root: u32) -> u64 {
    let parents = parents();
    let belongs = |mut pid: u32| {
        // A family tree is a few levels deep; the bound holds even if a pid is reused meanwhile.
        for _ in 0..16 {
            if pid == root {
                return true;
            }
            match parents.get(&pid) {
                Some(&parent) if parent > 1 => pid = parent,
                _ => return false,
            }
        }
        false
    };
    let members = parents.keys().copied().filter(|&pid| belongs(pid));
    members.filter_map(|pid| kib_of(&format!("/proc/{pid}/smaps_rollup"), "Pss:")).sum()
}

fn parents() -> BTreeMap<u32, u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // pid (name, which may hold anything) state ppid …
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect()
}

fn kib_of(file: &str, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn mib(kib: u64) -> f64 {
    let kib = u32::try_from(kib).unwrap_or(u32::MAX);
    f64::from(kib) / 1024.0
}

#[cfg(test)]
mod tests {
    use super::{FamilyWatch, own_peak_mib};

    #[test]
    fn sees_its_own_memory_grow() {
        let before = own_peak_mib();
        let ballast = vec![1_u8; 64 << 20];
        let watch = FamilyWatch::start(std::process::id());
        std::thread::sleep(std::time::Duration::from_millis(250));
        assert!(watch.peak_mib() > 64.0);
        assert!(own_peak_mib() >= before.max(64.0));
        assert_eq!(ballast[ballast.len() - 1], 1);
    }
}
