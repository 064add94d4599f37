//! The steps of a start that have to be taken back when a later one fails.

use crate::error::SetupError;

/// What takes one step back.
type Step = Box<dyn FnOnce() -> Result<(), SetupError>>;

/// Undos, in the order of their steps. Dropping it without [`Undo::run`] keeps what was done.
#[derive(Default)]
pub(crate) struct Undo {
    steps: Vec<Step>,
}

impl Undo {
    /// Remembers how to take the step back that has just been done.
    pub(crate) fn push(&mut self, step: impl FnOnce() -> Result<(), SetupError> + 'static) {
        self.steps.push(Box::new(step));
    }

    /// Takes every step back, the last one first; one that fails does not keep the others from being tried.
    pub(crate) fn run(self) -> Vec<SetupError> {
        self.steps.into_iter().rev().filter_map(|step| step().err()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use rustix::io::Errno;

    use super::*;
    use crate::error::{At, Step};

    #[test]
    fn steps_are_taken_back_in_reverse_and_a_failing_undo_stops_none_of_the_others() {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let mut undo = Undo::default();
        for name in ["socket", "cgroup", "clone"] {
            let seen = seen.clone();
            undo.push(move || {
                seen.borrow_mut().push(name);
                if name == "cgroup" { Err(Errno::BUSY).at(Step::Cgroup, "rmdir", name) } else { Ok(()) }
            });
        }
        let failures = undo.run();
        assert_eq!(*seen.borrow(), ["clone", "cgroup", "socket"]);
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].errno, Errno::BUSY);
    }
}
