//! A large file up and down through the file API, with the server's memory watched.

use std::fs;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lazaret_tests::Native;
use lazaret_tests::wait::{self, timed};
use serde_json::json;
use ureq::SendBody;
use ureq::http::Method;

use super::{Api, IMAGE};

/// What is sent each way.
const BYTES: u64 = 1 << 30;

/// A disk that holds it with room for the file system's own.
const DISK_BYTES: u64 = 3 << 30;

/// Where it goes in the sandbox.
const FILE: &str = "/tmp/large";

/// Longest that the memory is watched; `done` ends the watch long before, whatever comes of the work.
const WATCH_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How fast a large file travels and what the server needs for it.
pub(crate) struct Transfer {
    pub(crate) upload: Duration,
    pub(crate) download: Duration,
    /// Resident memory of the server before anything was sent.
    pub(crate) rss_before_bytes: u64,
    /// The most that was seen while the file travelled.
    pub(crate) rss_peak_bytes: u64,
    /// After both ways.
    pub(crate) rss_after_bytes: u64,
}

impl Transfer {
    /// Megabytes (10⁶) a second for a way that took `duration`.
    pub(crate) fn megabytes_per_second(duration: Duration) -> f64 {
        // 2³⁰ is exact in a float.
        #[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
        let megabytes = BYTES as f64 / 1e6;
        megabytes / duration.as_secs_f64()
    }
}

/// Sends a file to a fresh sandbox and fetches it back, watching the memory of the server with process id `pid`.
pub(super) fn measure(api: &Api, pid: u32) -> Result<Transfer> {
    let id = api.native.create(&json!({ "image": IMAGE, "resources": { "disk_bytes": DISK_BYTES } }))?;
    let path = Native::file_url(&id, FILE.as_bytes());
    let rss_before_bytes = rss_bytes(pid)?;
    let (upload, rss_during_upload) = watched(pid, || upload(api, &path))?;
    let (download, rss_during_download) = watched(pid, || download(api, &path))?;
    let rss_after_bytes = rss_bytes(pid)?;
    api.delete(&id)?;
    let rss_peak_bytes = rss_during_upload.max(rss_during_download);
    Ok(Transfer { upload, download, rss_before_bytes, rss_peak_bytes, rss_after_bytes })
}

fn upload(api: &Api, path: &str) -> Result<Duration> {
    let mut source = std::io::repeat(b'x').take(BYTES);
    let length = BYTES.to_string();
    let (answer, took) = timed(|| {
        let headers = [("content-length", length.as_str()), ("content-type", "application/octet-stream")];
        api.native.client().send(Method::PUT, path, &headers, SendBody::from_reader(&mut source))
    });
    let answer = answer?;
    ensure!(answer.status == 200 && answer.json()["bytes"] == BYTES, "upload: {answer}");
    Ok(took)
}

fn download(api: &Api, path: &str) -> Result<Duration> {
    let (length, took) = timed(|| api.native.client().drain(path));
    let length = length?;
    ensure!(length == BYTES, "download: {length} bytes came back");
    Ok(took)
}

/// Does `work` while another thread samples the server's memory; gives both results.
pub(super) fn watched<T>(pid: u32, work: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let value = thread::scope(|scope| {
        scope.spawn(|| {
            wait::within(WATCH_LIMIT, || {
                peak.fetch_max(rss_bytes(pid).unwrap_or(0), Ordering::Relaxed);
                done.load(Ordering::Relaxed).then_some(())
            })
        });
        let value = work();
        done.store(true, Ordering::Relaxed);
        value
    })?;
    Ok((value, peak.into_inner()))
}

pub(super) fn rss_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("read the server's status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS line")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}
