//! From a request to its answer.

use lazaret_protocol::git::{Answer, Operation, Problem, Request, VERSION};

use crate::failure::{Failure, Outcome};
use crate::transport::Network;
use crate::work::{branches, clone, config, inspect, pull, push, remotes, restore, stage};

/// Does what is asked.
pub(crate) fn answer(request: Request) -> Answer {
    let secret = request.credentials.as_ref().map(|credentials| credentials.password.clone());
    carry_out(request).unwrap_or_else(|failure| Answer::Failed(without(failure, secret.as_deref()).into()))
}

fn carry_out(request: Request) -> Outcome<Answer> {
    let Request { needs, operation, credentials, insecure_skip_tls, .. } = request;
    let operation = operation.filter(|_| needs <= VERSION).ok_or_else(|| {
        Failure::new(Problem::Unsupported, format!("this sandbox's git speaks version {VERSION} only"))
    })?;
    let net = Network::prepare(credentials, insecure_skip_tls)?;
    Ok(match operation {
        Operation::Clone(wanted) => done(clone::run(&net, &wanted)?),
        Operation::Init(wanted) => done(clone::init(&wanted)?),
        Operation::Status(path) => Answer::Status(inspect::status(&path)?),
        Operation::Branches(path) => Answer::Branches(branches::list(&path)?),
        Operation::CreateBranch(wanted) => done(branches::create(&wanted)?),
        Operation::DeleteBranch(wanted) => done(branches::delete(&wanted)?),
        Operation::Checkout(wanted) => done(branches::checkout(&wanted)?),
        Operation::Add(wanted) => done(stage::add(&wanted)?),
        Operation::Commit(wanted) => Answer::Committed(stage::commit(&wanted)?),
        Operation::Push(wanted) => done(push::run(&net, &wanted)?),
        Operation::Pull(wanted) => done(pull::run(&net, &wanted)?),
        Operation::Log(wanted) => Answer::History(inspect::history(&wanted)?),
        Operation::Remotes(path) => Answer::Remotes(remotes::list(&path)?),
        Operation::AddRemote(wanted) => done(remotes::add(&net, &wanted)?),
        Operation::Reset(wanted) => done(restore::reset(&wanted)?),
        Operation::Restore(wanted) => done(restore::restore(&wanted)?),
        Operation::GetConfig(wanted) => Answer::Value(config::get(&wanted)?),
        Operation::SetConfig(wanted) => done(config::set(&wanted)?),
    })
}

fn done((): ()) -> Answer {
    Answer::Done
}

/// The failure without the password, should a remote have put it into a sentence of its own.
fn without(failure: Failure, secret: Option<&str>) -> Failure {
    match secret.filter(|secret| !secret.is_empty()) {
        Some(secret) => Failure { detail: failure.detail.replace(secret, "***"), ..failure },
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_a_newer_host_is_refused_and_not_half_understood() {
        let request = Request { needs: VERSION + 1, ..Request::new(Operation::Status("/".to_owned())) };
        let Answer::Failed(failed) = answer(request) else { panic!("it was carried out") };
        assert_eq!(failed.problem, Problem::Unsupported);
    }

    #[test]
    fn a_failure_never_repeats_the_password() {
        let failure = Failure::new(Problem::RemoteRejected, "remote: bad token s3cret!");
        assert_eq!(without(failure, Some("s3cret")).detail, "remote: bad token ***!");
    }
}
