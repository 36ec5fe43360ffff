//! Work on several threads whose results are taken in order, so that a file does not tell how many
//! there were.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

/// Results that may wait for an earlier one, for each thread.
const AHEAD_PER_THREAD_MAX: usize = 8;

struct Shelf<T> {
    ready: BTreeMap<usize, T>,
    /// The number that is taken next.
    next: usize,
}

/// Makes `0..count` on the threads and takes the results in that order on this one. Ends early when
/// taking fails.
pub fn in_order<T: Send, E>(
    count: usize,
    threads: usize,
    make: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let window = threads.max(1) * AHEAD_PER_THREAD_MAX;
    let claimed = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let shelf = Mutex::new(Shelf { ready: BTreeMap::new(), next: 0 });
    let changed = Condvar::new();
    let locked = || shelf.lock().expect("no thread panics while it holds the shelf");
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                // A panic in `make` must not leave the taker waiting: the guard says so.
                let _guard = OnPanic(|| {
                    stopped.store(true, Ordering::Relaxed);
                    drop(shelf.lock());
                    changed.notify_all();
                });
                loop {
                    let number = claimed.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let held = changed
                        .wait_while(locked(), |shelf| {
                            number >= shelf.next + window && !stopped.load(Ordering::Relaxed)
                        })
                        .expect("no thread panics while it holds the shelf");
                    drop(held);
                    if stopped.load(Ordering::Relaxed) {
                        break;
                    }
                    let made = make(number);
                    locked().ready.insert(number, made);
                    changed.notify_all();
                }
            });
        }
        for number in 0..count {
            let mut held = changed
                .wait_while(locked(), |shelf| {
                    !shelf.ready.contains_key(&number) && !stopped.load(Ordering::Relaxed)
                })
                .expect("no thread panics while it holds the shelf");
            let Some(made) = held.ready.remove(&number) else { break };
            held.next = number + 1;
            drop(held);
            changed.notify_all();
            if let Err(error) = take(made) {
                stopped.store(true, Ordering::Relaxed);
                drop(locked());
                changed.notify_all();
                return Err(error);
            }
        }
        Ok(())
    })
}

struct OnPanic<F: Fn()>(F);

impl<F: Fn()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn results_come_in_order_on_any_number_of_threads() {
        for threads in [1, 2, 7] {
            let mut taken = Vec::new();
            let make = |number: usize| {
                std::thread::sleep(std::time::Duration::from_micros((number as u64 * 37) % 300));
                number * number
            };
            let result: Result<(), ()> = in_order(200, threads, make, |made| {
                taken.push(made);
                Ok(())
            });
            assert_eq!(result, Ok(()));
            assert!(taken.iter().copied().eq((0..200).map(|number| number * number)));
        }
    }

    #[test]
    fn a_failure_ends_it() {
        let take = |made: usize| if made < 5 { Ok(()) } else { Err(made) };
        assert_eq!(in_order(10_000, 3, |number| number, take), Err(5));
    }
}
