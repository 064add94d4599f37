//! Images whose maker wants the start of a sandbox, or the unpacking before it, to reach the host's files.

use anyhow::Result;

use super::super::archive::Archive;
use super::super::attempt::Outcome;
use super::super::bait::Bait;
use super::super::place::{Order, Place};

/// Directories that a runtime mounts on or writes into while it can still see the host.
const DIRECTORIES: [&str; 5] = ["proc", "dev", "sys", "etc", "mnt"];

/// What runtimes cover with their null device.
const MASKED: [&str; 6] = [
    "/proc/keys",
    "/proc/kcore",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/latency_stats",
];

/// An image with a link to the host's folder in place of a directory of the start: mounts and device links land there.
pub(in super::super) fn directories_are_links(place: &dyn Place, bait: &Bait) -> Result<Outcome> {
    let mut refusals = Vec::new();
    for linked in DIRECTORIES {
        let mut archive = Archive::create(&bait.scratch().join(format!("linked-{linked}.tar")))?;
        for folder in DIRECTORIES.into_iter().filter(|&folder| folder != linked).chain(["tmp"]) {
            archive.folder(folder)?;
        }
        archive.link(linked, &bait.decoy().to_string_lossy())?;
        archive.probe(bait.scratch())?;
        let archive = archive.done()?;
        let started = place.with_image(&archive);
        let damage = bait.damage()?;
        match started {
            Ok(started) => drop(started),
            Err(error) => refusals.push(format!("/{linked}: {error}")),
        }
        if let Some(damage) = damage {
            return Ok(Outcome::Reached(format!("/{linked} as a link: {damage}")));
        }
    }
    let refused = format!("{} of {} images did not start", refusals.len(), DIRECTORIES.len());
    Ok(Outcome::Refused(format!("{refused}; the host's folder is as it was")))
}

/// An image with links in place of `/dev/null`, which masks are made of, and of `/dev/console`, which a terminal goes to.
pub(in super::super) fn device_files_are_links(place: &dyn Place, bait: &Bait) -> Result<Outcome> {
    let mut archive = Archive::create(&bait.scratch().join("linked-devices.tar"))?;
    for folder in DIRECTORIES.into_iter().chain(["tmp"]) {
        archive.folder(folder)?;
    }
    archive.link("dev/null", &bait.file().to_string_lossy())?;
    archive.link("dev/console", &bait.decoy().join("ptmx").to_string_lossy())?;
    archive.probe(bait.scratch())?;
    let archive = archive.done()?;
    let started = match place.with_image(&archive) {
        Ok(started) => started,
        Err(error) => return Ok(Outcome::Refused(format!("it does not start: {error}"))),
    };
    for masked in MASKED {
        let shown = started.exec(&Order::new(&["/probe", "read", masked]))?;
        if shown.stdout.contains(bait.secret()) {
            return Ok(Outcome::Reached(format!("{masked} shows {}", bait.secret())));
        }
    }
    match bait.damage()? {
        Some(damage) => Ok(Outcome::Reached(format!("/dev/console as a link: {damage}"))),
        None => Ok(Outcome::Refused("masks and terminals follow no link of the image".to_owned())),
    }
}

/// An archive whose entries go through links of its own, or are links to the host's files.
pub(in super::super) fn entries_through_links(place: &dyn Place, bait: &Bait) -> Result<Outcome> {
    let mut archive = Archive::create(&bait.scratch().join("through-links.tar"))?;
    for folder in DIRECTORIES.into_iter().chain(["tmp"]) {
        archive.folder(folder)?;
    }
    archive.link("way", &bait.decoy().to_string_lossy())?;
    archive.file("way/planted", b"planted", 0o644)?;
    archive.file("way/.wh.ptmx", b"", 0o644)?;
    archive.probe(bait.scratch())?;
    let archive = archive.done()?;
    let started = place.with_image(&archive).map(drop);
    match (bait.damage()?, started) {
        (Some(damage), _) => Ok(Outcome::Reached(damage)),
        (None, Ok(())) => Ok(Outcome::Refused("the entries stay within the image".to_owned())),
        (None, Err(error)) => Ok(Outcome::Refused(format!("the archive is refused: {error}"))),
    }
}
