//! Attempts to get out: none may succeed in a sandbox of ours, and each must where there are no walls.

#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use lazaret_tests::Server;
use lazaret_tests::escape::place::{Ours, Place, Weak};
use lazaret_tests::escape::{Attempt, Bait, Family, Outcome, attempts};

/// Makes each attempt of a family in a fresh sandbox of ours and in the weak control.
#[track_caller]
fn check(family: Family) -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let bait = Bait::lay()?;
    let mut wrong = Vec::new();
    for attempt in attempts(family) {
        let ours = Ours::create(&native)?;
        if let Some(fault) = judge_ours(attempt, &ours, &bait)? {
            wrong.push(fault);
        }
        drop(ours);
        let weak = Weak::create()?;
        if let Some(fault) = judge_weak(attempt, &weak, &bait)? {
            wrong.push(fault);
        }
    }
    ensure!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// Refused is right. That this kernel has nothing of the kind must be so outside as well, which the control shows.
fn judge_ours(attempt: &Attempt, ours: &dyn Place, bait: &Bait) -> Result<Option<String>> {
    let outcome = attempt.make(ours, bait)?;
    println!("ours: {}: {outcome}", attempt.name);
    Ok(matches!(outcome, Outcome::Reached(_)).then(|| format!("AN ESCAPE: {}: {outcome}", attempt.name)))
}

/// Success is right. One that the kernel has nothing of is said aloud, because it proves nothing here.
fn judge_weak(attempt: &Attempt, weak: &dyn Place, bait: &Bait) -> Result<Option<String>> {
    let outcome = attempt.make(weak, bait)?;
    println!("weak: {}: {outcome}", attempt.name);
    Ok(match outcome {
        Outcome::Reached(proof) if !proof.contains("(without the secret)") => None,
        Outcome::Absent(why) => {
            eprintln!("NOTICE: {} cannot be tried on this kernel: {why}", attempt.name);
            None
        }
        outcome => Some(format!("the control does not catch {}: {outcome}", attempt.name)),
    })
}

#[test]
fn no_attempt_on_the_hosts_files_succeeds_and_the_control_catches_each() -> Result<()> {
    check(Family::Files)
}

#[test]
fn no_attempt_on_the_kernel_succeeds_and_the_control_catches_each() -> Result<()> {
    check(Family::Kernel)
}

#[test]
fn no_attempt_on_other_processes_and_networks_succeeds_and_the_control_catches_each() -> Result<()> {
    check(Family::Others)
}

#[test]
fn no_hostile_image_reaches_the_host_and_the_control_catches_each() -> Result<()> {
    check(Family::Images)
}

#[test]
fn nothing_that_is_done_for_a_sandbox_leads_out_and_the_control_catches_each() -> Result<()> {
    check(Family::Service)
}
