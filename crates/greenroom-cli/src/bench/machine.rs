//! What the machine is, and what this process has used of it, as Linux tells under `/proc`.

use std::fs;
use std::time::Duration;

/// The clock ticks of `/proc/self/stat` per second: USER_HZ, which is 100 on every Linux.
const TICKS_PER_S: u64 = 100;

/// Processor and cores, on one line.
pub(super) fn machine() -> String {
    let n_cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, model)| model);
    let build = if cfg!(debug_assertions) { ", debug build: figures mean nothing" } else { "" };
    format!("{n_cores} × {model}, {}{build}", std::env::consts::OS)
}

/// The processor time of every thread so far, finished ones included; zero where nobody tells.
pub(super) fn cpu_time() -> Duration {
    exact().or_else(in_ticks).unwrap_or_default()
}

/// To the nanosecond, when no thread has finished: threads that have are not in the list.
fn exact() -> Option<Duration> {
    let mut nanos = None;
    for thread in fs::read_dir("/proc/self/task").ok()? {
        // A thread may end while it is looked at.
        let Ok(schedule) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else {
            continue;
        };
        *nanos.get_or_insert(0) += schedule.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    nanos.map(Duration::from_nanos)
}

fn in_ticks() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_S))
}

/// Starts counting the peak of resident memory anew, where that is possible.
pub(super) fn reset_peak_memory() {
    // 5 resets the peak: see proc(5), clear_refs.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most resident memory since the last reset, in MiB.
pub(super) fn peak_memory() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn processor_time_grows_with_work_and_both_readings_agree() {
        let begun = cpu_time();
        let mut sum = 0_u64;
        while cpu_time() < begun + Duration::from_millis(50) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let (exact, in_ticks) = (exact().expect("Linux"), in_ticks().expect("Linux"));
        // Ticks are of 10 ms, and threads of other tests may have finished.
        assert!(in_ticks + Duration::from_millis(30) > exact, "{in_ticks:?} {exact:?}");
        assert!(peak_memory().expect("Linux") > 1.0);
    }
}
