//! How long one call takes, alone and among many.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use lazaret_tests::wait::timed;

use super::{Api, ByTurns};
use crate::bench::samples::{Load, Samples};

/// Rounds of the single calls, and the time that each kind may take.
const ALONE: Load = Load { rounds: 200, budget: Duration::from_secs(20) };

/// Creates that start at the same moment, each on a connection of its own.
const AT_ONCE: usize = 100;

/// From the request that creates a sandbox to the answer of `true` run in it; its deletion is not counted.
pub(super) fn create(api: &Api) -> Result<Samples> {
    ALONE.collect(|| to_first_output(api, Api::create))
}

/// The same without a network and with one.
pub(super) fn create_networked(api: &Api) -> Result<ByTurns> {
    by_turns(api, Api::create_networked)
}

/// The same from an image of one layer and from one of many.
pub(super) fn create_layered(api: &Api) -> Result<ByTurns> {
    by_turns(api, Api::create_layered)
}

/// By turns, so that whatever else the machine does falls on both alike.
fn by_turns(api: &Api, with: fn(&Api) -> Result<String>) -> Result<ByTurns> {
    let mut without = Vec::new();
    let with = ALONE.collect(|| {
        without.push(to_first_output(api, Api::create)?);
        to_first_output(api, with)
    })?;
    // The rounds that only fill caches, as in the others.
    Ok(ByTurns { without: Samples::new(without.split_off(without.len() - with.count()))?, with })
}

fn to_first_output(api: &Api, create: fn(&Api) -> Result<String>) -> Result<Duration> {
    let (created, took) = timed(|| {
        let id = create(api)?;
        api.exec_true(&id).map(|()| id)
    });
    api.delete(&created?)?;
    Ok(took)
}

/// `true` in a running sandbox.
pub(super) fn exec(api: &Api) -> Result<Samples> {
    let id = api.create()?;
    let samples = exec_in(api, &id)?;
    api.delete(&id)?;
    Ok(samples)
}

pub(super) fn exec_in(api: &Api, id: &str) -> Result<Samples> {
    ALONE.collect(|| {
        let (done, took) = timed(|| api.exec_true(id));
        done.map(|()| took)
    })
}

/// `print(1)` through the run call, in a sandbox that has run Python before.
pub(super) fn python(api: &Api) -> Result<Samples> {
    let id = api.create()?;
    let samples = ALONE.collect(|| {
        let (done, took) = timed(|| api.run_python(&id));
        done.map(|()| took)
    })?;
    api.delete(&id)?;
    Ok(samples)
}

/// Many creates at once, each timed to the answer of its first `true`. One failure fails the measurement.
pub(super) fn burst(api: &Api) -> Result<Samples> {
    let start = Barrier::new(AT_ONCE);
    let one = || -> Result<(Duration, String)> {
        let api = api.clone();
        start.wait();
        let (created, took) = timed(|| {
            let id = api.create()?;
            api.exec_true(&id).map(|()| id)
        });
        Ok((took, created?))
    };
    let done: Vec<Result<(Duration, String)>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(one)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a thread of the burst panicked"))?)
            .collect()
    });
    let mut durations = Vec::with_capacity(AT_ONCE);
    for result in done {
        let (took, id) = result?;
        api.delete(&id)?;
        durations.push(took);
    }
    Samples::new(durations)
}
