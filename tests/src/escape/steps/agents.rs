//! The outside's own programs: the one that enters a sandbox, the one that serves in it, and what they take a name for.

use std::thread;

use anyhow::{Result, ensure};

use super::super::attempt::{Outcome, program, python};
use super::super::bait::Bait;
use super::super::place::{Order, Place};
use crate::wait;

/// Entries while the tenant lies in wait for the program that makes them, where that does not stand still.
const ENTRIES: usize = 150;

/// The script that is to be executed by it, there from when the tenant lies in wait until it has caught something.
const SCRIPT: &str = "/tmp/entry";

/// Longest until a program inside says that it has begun.
const BEGIN_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

/// Users that are not root, in notations that have been taken for root.
const USERS: [&str; 12] =
    ["1", "1:1", "01", "+1", " 1", "1 ", "-1", "4294967295", "4294967296", "0x1", "daemon", "nobody"];

/// Overwrites the program that enters the sandbox, caught while it runs inside.
pub(in super::super) fn overwrite_entry(place: &dyn Place, bait: &Bait) -> Result<Outcome> {
    let source = include_str!("../../../escape/overwrite_entry.py");
    place.exec(&Order::new(&["/bin/rm", "-f", SCRIPT]))?;
    let waits = || {
        let seen = place.exec(&Order::new(&["/usr/bin/test", "-e", SCRIPT]));
        seen.is_ok_and(|ended| ended.code == Some(0))
    };
    thread::scope(|scope| {
        let lying = scope.spawn(|| program(place, bait, source, &[("ENTRY", place.entry())]));
        let began = wait::within(BEGIN_LIMIT, || (lying.is_finished() || waits()).then_some(()));
        ensure!(began.is_some(), "it does not lie in wait");
        for _ in 0..ENTRIES {
            // It is a script without an interpreter of its own; whether and how it fails does not matter.
            let _ = place.exec(&Order::new(&[SCRIPT]));
            if lying.is_finished() || !waits() {
                break;
            }
        }
        // From here on nobody enters, so that a program that was caught is in use no longer.
        lying.join().map_err(|_| anyhow::anyhow!("the waiting thread panicked"))?
    })
}

/// Takes the place of the process that serves the outside's requests.
pub(in super::super) fn take_over(place: &dyn Place, bait: &Bait) -> Result<Outcome> {
    let outcome = program(place, bait, include_str!("../../../escape/take_over_agent.py"), &[])?;
    if let Outcome::Refused(_) = outcome {
        let ended = place.exec(&Order::new(&["/bin/echo", "the truth"]))?;
        ensure!(ended.stdout == "the truth\n", "it does not answer any more: {ended:?}");
    }
    Ok(outcome)
}

/// Listens on whatever the outside may dial, and waits until it does.
pub(in super::super) fn squat(place: &dyn Place, bait: &Bait) -> Result<Outcome> {
    let dialed = place.dials().map(|port| port.to_string()).unwrap_or_default();
    place.exec(&Order::new(&["/bin/rm", "-f", "/tmp/squatting", "/tmp/enough"]))?;
    let order = [("DIALED", dialed)];
    thread::scope(|scope| {
        let squatting =
            scope.spawn(|| program(place, bait, include_str!("../../../escape/squat.py"), &order));
        let began = wait::within(BEGIN_LIMIT, || {
            let seen = place.exec(&Order::new(&["/usr/bin/test", "-e", "/tmp/squatting"]));
            seen.is_ok_and(|ended| ended.code == Some(0)).then_some(())
        });
        ensure!(began.is_some() || squatting.is_finished(), "it does not begin to listen");
        // What the outside does in everyday life, now that the ports are taken.
        if let Some(port) = place.dials() {
            let _ = std::net::TcpStream::connect(("127.0.0.1", port));
        }
        place.write_file("/tmp/copied", b"in")?;
        place.read_file("/tmp/copied")?;
        place.exec(&Order::new(&["/usr/bin/python3", "-c", "print(1)"]))?;
        place.exec(&Order::new(&["/usr/bin/touch", "/tmp/enough"]))?;
        squatting.join().map_err(|_| anyhow::anyhow!("the squatting thread panicked"))?
    })
}

/// Asks for users by numbers and names that a careless parser takes for root.
pub(in super::super) fn user_names(place: &dyn Place, bait: &Bait) -> Result<Outcome> {
    let mut refused = 0;
    for user in USERS {
        let order = Order { user: Some(user.to_owned()), ..Order::new(&["/usr/bin/id", "-u"]) };
        match place.exec(&order) {
            Ok(ended) if ended.stdout.trim() == "0" => {
                return Ok(Outcome::Reached(format!("user {user:?} is root")));
            }
            Ok(ended) if ended.code == Some(0) => {}
            _ => refused += 1,
        }
    }
    let order = Order {
        user: Some("1".to_owned()),
        ..python(place, bait, include_str!("../../../escape/inherited_capabilities.py"), &[])?
    };
    let ended = place.exec(&order)?;
    if ended.stdout.starts_with("reached") {
        return Ok(Outcome::Reached(format!("as user 1: {}", ended.stdout.trim())));
    }
    Ok(Outcome::Refused(format!("{refused} of {} refused, the others are not root", USERS.len())))
}
