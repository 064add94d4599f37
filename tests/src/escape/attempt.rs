//! One attempt, what it proves, and how it ended.

use std::fmt;

use anyhow::{Context, Result, bail};

use super::bait::Bait;
use super::place::{Ended, Order, Place};

/// What an attempt has to show for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The secret that only the outside holds.
    Secret,
    /// A word for what the kernel or the host allowed it.
    Word,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It got what a sandbox must not have.
    Reached(String),
    /// Every way failed; how.
    Refused(String),
    /// This kernel or machine has nothing of the kind, or the place cannot be asked.
    Absent(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Reached(proof) => write!(out, "reached: {proof}"),
            Outcome::Refused(why) => write!(out, "refused: {why}"),
            Outcome::Absent(why) => write!(out, "absent: {why}"),
        }
    }
}

/// Steps that take more than one program.
pub(super) type Steps = fn(&dyn Place, &Bait) -> Result<Outcome>;

/// What is done.
#[derive(Debug)]
pub(super) enum Way {
    /// A program of `tests/escape` that runs inside.
    Program(&'static str),
    /// A sequence that acts from inside and outside.
    Steps(Steps),
}

/// One attempt.
#[derive(Debug)]
pub struct Attempt {
    /// What it tries, as the table of the threat model says it.
    pub name: &'static str,
    /// The numbers of the vulnerabilities that it stands for; empty for a class without one.
    pub cves: &'static str,
    /// What success looks like.
    pub proof: Proof,
    pub(super) way: Way,
}

/// What every program begins with.
const PRELUDE: &str = include_str!("../../escape/prelude.py");

/// The program that runs the Python sources, in every place.
const PYTHON: &str = "/usr/bin/python3";

impl Attempt {
    /// Makes the attempt in `place`.
    ///
    /// # Errors
    /// If it cannot be made, or ends in another way than the three that it may: it is broken then.
    pub fn make(&self, place: &dyn Place, bait: &Bait) -> Result<Outcome> {
        let made = match self.way {
            Way::Program(source) => program(place, bait, source, &[]),
            Way::Steps(steps) => steps(place, bait),
        };
        let outcome = made.with_context(|| format!("{} in {}", self.name, place.name()))?;
        match &outcome {
            Outcome::Reached(proof) if self.proof == Proof::Secret && !proof.contains(bait.secret()) => {
                // A word instead of the secret is a success all the same, but not the one that the control must show.
                Ok(Outcome::Reached(format!("{proof} (without the secret)")))
            }
            _ => Ok(outcome),
        }
    }
}

/// Runs one Python source after the prelude and reads how it ended.
pub(super) fn program(
    place: &dyn Place,
    bait: &Bait,
    source: &str,
    more: &[(&str, String)],
) -> Result<Outcome> {
    let ended = place.exec(&python(place, bait, source, more)?)?;
    read(&ended)
}

/// The order to run a Python source with all that the bait tells.
pub(super) fn python(place: &dyn Place, bait: &Bait, source: &str, more: &[(&str, String)]) -> Result<Order> {
    let mut order = Order::new(&[PYTHON, "-c", &format!("{PRELUDE}\n{source}")]);
    order.env = bait.environment()?;
    order.env.push(("AGENT".to_owned(), place.agent().to_string()));
    order.env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Ok(order)
}

fn read(ended: &Ended) -> Result<Outcome> {
    let last = ended.stdout.lines().next_back().unwrap_or_default();
    let (word, rest) = last.split_once(' ').unwrap_or((last, ""));
    match word {
        "reached" => Ok(Outcome::Reached(rest.to_owned())),
        "refused" => Ok(Outcome::Refused(rest.to_owned())),
        "absent" => Ok(Outcome::Absent(rest.to_owned())),
        _ => bail!("a broken attempt: {ended:?}"),
    }
}
