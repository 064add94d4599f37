//! Which verb is possible in which state: pure, so that a test can list every answer.

use std::fmt;
use std::str::FromStr;

/// Where a sandbox is in its life. The picture is in the parent module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Being made; nothing can be asked of it yet.
    Creating,
    /// The guest answers.
    Running,
    /// Frozen, with its memory.
    Paused,
    /// Being ended.
    Stopping,
    /// Ended, with its disk.
    Stopped,
    /// Out of time; its disk is gone and only the record stays.
    Expired,
    /// Ended; its disk is being packed away.
    Archiving,
    /// Ended, with its disk packed away.
    Archived,
    /// Something broke; the reason says what.
    Error,
    /// Gone.
    Deleted,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Creating,
        Self::Running,
        Self::Paused,
        Self::Stopping,
        Self::Stopped,
        Self::Expired,
        Self::Archiving,
        Self::Archived,
        Self::Error,
        Self::Deleted,
    ];

    /// The state's word, in answers, tables and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Expired => "expired",
            Self::Archiving => "archiving",
            Self::Archived => "archived",
            Self::Error => "error",
            Self::Deleted => "deleted",
        }
    }

    /// A guest process exists.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Stopping)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a state")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// What can be asked of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Run an exec or touch a file.
    Use,
    /// Make another with a copy of its disk.
    Fork,
    /// Make an image of what it has become.
    Commit,
    /// Bring a stopped sandbox back.
    Start,
    /// End the processes and keep the disk.
    Stop,
    /// Freeze.
    Pause,
    /// Thaw.
    Resume,
    /// Pack the disk away.
    Archive,
    /// Change labels, time limits and the like.
    Update,
    /// Change bounds.
    Resize,
    /// End for good and keep the record.
    Expire,
    /// Forget, with everything it held.
    Delete,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 12] = [
        Self::Use,
        Self::Fork,
        Self::Commit,
        Self::Start,
        Self::Stop,
        Self::Pause,
        Self::Resume,
        Self::Archive,
        Self::Update,
        Self::Resize,
        Self::Expire,
        Self::Delete,
    ];
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Use => "use it",
            Self::Fork => "fork",
            Self::Commit => "make an image of it",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Archive => "archive",
            Self::Update => "change",
            Self::Resize => "resize",
            Self::Expire => "expire",
            Self::Delete => "delete",
        })
    }
}

/// The answer to a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Do it; it ends in this state.
    Go(State),
    /// Nothing to do, and that is success.
    AlreadyThere,
    /// It cannot be done in this state.
    Refuse,
}

impl State {
    /// Judges `verb`. Repeats succeed.
    ///
    /// The driver handles one verb at a time, so `Creating`, `Stopping` and `Archiving` are met only by a caller that does not go
    /// through the driver ([`Verb::Use`]) and after a server died half-way.
    pub const fn judge(self, verb: Verb) -> Decision {
        use Decision::{AlreadyThere, Go, Refuse};
        match (self, verb) {
            (Self::Deleted, Verb::Delete) | (Self::Expired, Verb::Expire) => AlreadyThere,
            (Self::Deleted, _) => Refuse,
            (_, Verb::Delete) => Go(Self::Deleted),
            (Self::Expired, _) => Refuse,
            (_, Verb::Expire) => Go(Self::Expired),

            (Self::Running, Verb::Use | Verb::Start | Verb::Resume) => AlreadyThere,
            (Self::Running, Verb::Pause) => Go(Self::Paused),
            (Self::Paused, Verb::Pause) => AlreadyThere,
            (Self::Paused, Verb::Resume) => Go(Self::Running),
            (Self::Running | Self::Paused | Self::Stopping | Self::Error, Verb::Stop) => Go(Self::Stopped),
            (Self::Stopped | Self::Archived, Verb::Stop) => AlreadyThere,
            // It stays what it is.
            (Self::Stopped, Verb::Fork | Verb::Commit) => AlreadyThere,
            (Self::Running | Self::Stopped, Verb::Resize) => AlreadyThere,
            (
                Self::Running | Self::Paused | Self::Stopping | Self::Stopped | Self::Archived | Self::Error,
                Verb::Update,
            ) => AlreadyThere,
            (Self::Stopped, Verb::Archive) => Go(Self::Archived),
            (Self::Archived, Verb::Archive) => AlreadyThere,
            (Self::Stopped | Self::Archived | Self::Error, Verb::Start) => Go(Self::Running),

            (Self::Creating | Self::Archiving, _)
            | (_, Verb::Fork | Verb::Commit | Verb::Archive | Verb::Resize)
            | (Self::Paused, Verb::Use | Verb::Start)
            | (Self::Stopping, Verb::Use | Verb::Start | Verb::Pause | Verb::Resume)
            | (Self::Stopped | Self::Archived | Self::Error, Verb::Use | Verb::Pause | Verb::Resume) => {
                Refuse
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verb: Verb, want: [Decision; 10]) {
        let got = State::ALL.map(|state| state.judge(verb));
        assert_eq!(got, want, "{verb:?} in {:?}", State::ALL);
    }

    #[test]
    fn every_verb_has_its_answer_in_every_state() {
        use Decision::{AlreadyThere as There, Go, Refuse};
        let (run, pause, stop) = (Go(State::Running), Go(State::Paused), Go(State::Stopped));
        let (end, gone) = (Go(State::Expired), Go(State::Deleted));
        let (no, kept) = (Refuse, Go(State::Archived));
        //             creating running paused stopping stopped expired archiving archived error deleted
        check(Verb::Use, [no, There, no, no, no, no, no, no, no, no]);
        check(Verb::Fork, [no, no, no, no, There, no, no, no, no, no]);
        check(Verb::Commit, [no, no, no, no, There, no, no, no, no, no]);
        check(Verb::Start, [no, There, no, no, run, no, no, run, run, no]);
        check(Verb::Stop, [no, stop, stop, stop, There, no, no, There, stop, no]);
        check(Verb::Pause, [no, pause, There, no, no, no, no, no, no, no]);
        check(Verb::Resume, [no, There, run, no, no, no, no, no, no, no]);
        check(Verb::Archive, [no, no, no, no, kept, no, no, There, no, no]);
        check(Verb::Update, [no, There, There, There, There, no, no, There, There, no]);
        check(Verb::Resize, [no, There, no, no, There, no, no, no, no, no]);
        check(Verb::Expire, [end, end, end, end, end, There, end, end, end, no]);
        check(Verb::Delete, [gone, gone, gone, gone, gone, gone, gone, gone, gone, There]);
    }

    #[test]
    fn every_state_reads_back_from_its_name() {
        for state in State::ALL {
            assert_eq!(state.name().parse(), Ok(state));
        }
    }
}
