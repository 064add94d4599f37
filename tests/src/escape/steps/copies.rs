//! What the outside does with files of a sandbox, and what a sandbox can make of it.

use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};

use super::super::attempt::{Outcome, python};
use super::super::bait::Bait;
use super::super::place::{Order, Place};

/// Reads and writes against one flipping link, enough for a few to fall into every gap between two system calls.
const RACES: usize = 60;

/// How long the link is flipped at most; the races are over before.
const FLIP_S: &str = "20";

/// Highest descriptor that is tried as a way out; runtimes leak low ones.
const DESCRIPTORS: u32 = 16;

/// The bit of CAP_SYS_ADMIN, which no program of a tenant holds.
const SYS_ADMIN: u64 = 1 << 21;

/// Copies in and out while the tenant exchanges a directory with a link to the host's folder.
pub(in super::super) fn race_with_copies(place: &dyn Place, bait: &Bait) -> Result<Outcome> {
    let source = include_str!("../../../escape/flip.py");
    let flip = python(place, bait, source, &[("SECONDS", FLIP_S.to_owned())])?;
    place.exec(&Order::new(&["/bin/rm", "-rf", "/tmp/race"]))?;
    thread::scope(|scope| {
        let flipping = scope.spawn(|| place.exec(&flip));
        let mut found = None;
        for _ in 0..RACES {
            if place
                .read_file("/tmp/race/folder/secret")
                .is_ok_and(|content| content == bait.secret().as_bytes())
            {
                found = Some(format!("a copy brought {}", bait.secret()));
                break;
            }
            let planted = format!("/tmp/race/folder/{}/planted", "decoy");
            let _ = place.write_file(&planted, b"planted");
            if let Some(damage) = bait.damage()? {
                found = Some(damage);
                break;
            }
        }
        place.exec(&Order::new(&["/usr/bin/pkill", "-f", "RENAME_EXCHANGE"]))?;
        let flipped = flipping.join().map_err(|_| anyhow::anyhow!("the flipping thread panicked"))??;
        ensure!(flipped.stdout.starts_with("flipping"), "nothing was flipped: {flipped:?}");
        Ok(match found {
            Some(proof) => Outcome::Reached(proof),
            None => Outcome::Refused(format!("{RACES} copies each way stayed inside")),
        })
    })
}

/// A library that the tenant makes every program load, in the hope that a helper of the host is one of them.
pub(in super::super) fn library_of_helper(place: &dyn Place, bait: &Bait) -> Result<Outcome> {
    let (source, library) = (bait.scratch().join("library.c"), bait.scratch().join("library.so"));
    std::fs::write(&source, include_str!("../../../escape/loaded_library.c"))?;
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source);
    ensure!(compile.status().context("run cc")?.success(), "compile a library");
    place.write_file("/tmp/library.so", &std::fs::read(library)?)?;
    place.exec(&Order::new(&[
        "/bin/sh",
        "-c",
        "rm -f /tmp/loaded-*; echo /tmp/library.so > /etc/ld.so.preload",
    ]))?;
    // Everything that the outside can be asked for, after the trap is set.
    place.write_file("/tmp/copied", b"in")?;
    ensure!(place.read_file("/tmp/copied")? == b"in", "copies do not work");
    place.exec(&Order { user: Some("nobody".to_owned()), ..Order::new(&["/usr/bin/true"]) })?;
    let list = place.exec(&Order::new(&["/bin/sh", "-c", "rm /etc/ld.so.preload; ls /tmp; id -u"]))?;
    let marks: Vec<&str> = list.stdout.lines().filter_map(|name| name.strip_prefix("loaded-")).collect();
    ensure!(!marks.is_empty(), "not even the tenant's own programs loaded it: {list:?}");
    for mark in &marks {
        let (capabilities, process) = mark.split_once('-').context("a mark has two parts")?;
        let held = u64::from_str_radix(capabilities, 16).unwrap_or_default();
        if held & SYS_ADMIN != 0 || process == "1" {
            return Ok(Outcome::Reached(format!("process {process} with {capabilities} loaded it")));
        }
    }
    Ok(Outcome::Refused(format!("only {} programs of the tenant's loaded it", marks.len())))
}

/// Working directories and paths by way of descriptors that the entering program may have left open.
pub(in super::super) fn working_directory(place: &dyn Place, bait: &Bait) -> Result<Outcome> {
    let up = "../".repeat(12);
    let secret = bait.file();
    let secret = secret.to_string_lossy();
    let climbing = format!("{up}{}", secret.trim_start_matches('/'));
    for number in 3..DESCRIPTORS {
        let cwd = format!("/proc/self/fd/{number}");
        // A runtime may refuse such a directory instead of entering it.
        if let Ok(ended) = place.exec(&Order { cwd: Some(cwd), ..Order::new(&["/bin/cat", &climbing]) })
            && ended.stdout.contains(bait.secret())
        {
            return Ok(Outcome::Reached(format!("by descriptor {number}: {}", bait.secret())));
        }
        for base in ["self", "1", "thread-self"] {
            let path = format!("/proc/{base}/fd/{number}/{climbing}");
            if place.read_file(&path).is_ok_and(|content| content == bait.secret().as_bytes()) {
                return Ok(Outcome::Reached(format!("{path}: {}", bait.secret())));
            }
        }
    }
    Ok(Outcome::Refused(format!("descriptors 3 to {} lead nowhere", DESCRIPTORS - 1)))
}

/// Links left behind for the next start, in place of what a start mounts on or writes to.
pub(in super::super) fn links_across_restart(place: &dyn Place, bait: &Bait) -> Result<Outcome> {
    let decoy = bait.decoy();
    let plant = format!(
        "for name in /mnt /srv /opt /home /root /run; do rm -rf $name; ln -s {0} $name; done; \
         for name in /etc/resolv.conf /etc/hosts /etc/hostname; do rm -f $name; ln -s {0}/written $name; done",
        decoy.display()
    );
    place.exec(&Order::new(&["/bin/sh", "-c", &plant]))?;
    let restarted = place.restart();
    match (bait.damage()?, restarted) {
        (Some(damage), _) => Ok(Outcome::Reached(damage)),
        (None, Ok(())) => Ok(Outcome::Refused("it starts again and follows none of them".to_owned())),
        (None, Err(error)) => Ok(Outcome::Refused(format!("it does not start again: {error}"))),
    }
}

/// A file of the image changed in one sandbox, looked for in another of the same image.
pub(in super::super) fn shared_lower(place: &dyn Place, _bait: &Bait) -> Result<Outcome> {
    let twin = place.twin()?;
    let change = "echo planted >> /etc/passwd; echo planted > /etc/planted; echo planted > /usr/planted; \
                  chmod 4777 /etc/group; true";
    place.exec(&Order::new(&["/bin/sh", "-c", change]))?;
    let look = "grep -l planted /etc/passwd /etc/planted /usr/planted; find /etc/group -perm 4777";
    let seen = twin.exec(&Order::new(&["/bin/sh", "-c", look]))?.stdout;
    let host = std::path::Path::new("/usr/planted").exists();
    if seen.is_empty() && !host {
        return Ok(Outcome::Refused("the other sandbox has the image as it was".to_owned()));
    }
    Ok(Outcome::Reached(format!("the other sandbox has {seen}, the host {host}")))
}
