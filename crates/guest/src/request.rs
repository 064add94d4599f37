//! One connection from its first frame to its last.

use std::time::Duration;

use lazaret_protocol::guest_message::Hello;
use lazaret_protocol::version::OLDEST_SUPPORTED;
use lazaret_protocol::{
    ErrorKind, Failure, GuestMessage, HostMessage, PROTOCOL_VERSION, Request, RequestBody,
};

use crate::connection::{Connection, Lost};
use crate::serve::Guest;
use crate::{dial, exec, files};

/// How long a host may take from connecting to the end of its request. A live host needs microseconds.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// Why a request ended without an answer of its own.
#[derive(Debug)]
pub(crate) enum Stop {
    /// To be told to the host.
    Failed(Failure),
    /// The host is gone.
    Lost,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Lost> for Stop {
    fn from(_: Lost) -> Self {
        Self::Lost
    }
}

/// Answers the one request of a connection.
pub(crate) fn answer(guest: &Guest, mut connection: Connection) {
    // A connection that is lost before it said what it wants has nobody to be told so.
    let Ok(request) = receive(&mut connection) else { return };
    let result = match check(request) {
        Ok(body) => dispatch(guest, &mut connection, body),
        Err(failure) => Err(failure.into()),
    };
    if let Err(Stop::Failed(failure)) = result {
        connection.refuse(failure);
    }
}

fn receive(connection: &mut Connection) -> Result<Request, Lost> {
    connection.limit_receive(Some(REQUEST_TIME))?;
    let request = connection.expect(|message| match message {
        HostMessage::Request(request) => Some(request),
        _ => None,
    })?;
    connection.limit_receive(None)?;
    Ok(request)
}

fn check(request: Request) -> Result<RequestBody, Failure> {
    let unsupported = |sentence: String| Err(Failure::new(ErrorKind::Unsupported, sentence));
    if request.version < OLDEST_SUPPORTED {
        return unsupported(format!("the guest answers hosts from version {OLDEST_SUPPORTED} on"));
    }
    match request.body {
        Some(body) if request.needs <= PROTOCOL_VERSION => Ok(body),
        _ => unsupported(format!("the guest speaks version {PROTOCOL_VERSION} of the protocol only")),
    }
}

fn dispatch(guest: &Guest, connection: &mut Connection, body: RequestBody) -> Result<(), Stop> {
    match body {
        RequestBody::Hello => {
            let hello = Hello { version: PROTOCOL_VERSION, oldest_host: OLDEST_SUPPORTED };
            connection.send(&GuestMessage::Hello(hello))?;
        }
        RequestBody::Exec(exec) => exec::run(guest, connection, &exec)?,
        RequestBody::RunProgram(program) => exec::run_program(guest, connection, &program)?,
        RequestBody::Attach(attach) => exec::attach::run(guest, connection, &attach)?,
        RequestBody::ListExecs => {
            for state in guest.background.list() {
                connection.queue(&GuestMessage::ExecState(state))?;
            }
            connection.send(&GuestMessage::Done)?;
        }
        RequestBody::SignalExec(signal) => {
            guest.background.signal(&guest.processes, &signal.id, signal.signal)?;
            connection.send(&GuestMessage::Done)?;
        }
        RequestBody::RemoveExec(remove) => {
            guest.background.remove(&guest.processes, &remove.id, remove.gently == Some(true))?;
            connection.send(&GuestMessage::Done)?;
        }
        RequestBody::Stat(stat) => files::inspect::stat(connection, &stat)?,
        RequestBody::List(list) => files::list::run(connection, &list)?,
        RequestBody::Walk(walk) => files::walk::run(connection, &walk)?,
        RequestBody::Read(read) => files::read::run(connection, &read)?,
        RequestBody::Write(write) => files::write::run(guest, connection, &write)?,
        RequestBody::Find(find) => files::find::run(connection, &find)?,
        RequestBody::ReplaceText(replace) => files::replace::run(guest, connection, &replace)?,
        RequestBody::Move(moved) => done(connection, files::moving::run(&moved))?,
        RequestBody::Readlink(readlink) => files::inspect::readlink(connection, &readlink)?,
        RequestBody::Mkdir(mkdir) => done(connection, files::tree::mkdir(&mkdir))?,
        RequestBody::Remove(remove) => done(connection, files::tree::remove(&remove))?,
        RequestBody::Rename(rename) => done(connection, files::change::rename(&rename))?,
        RequestBody::Chmod(chmod) => done(connection, files::change::chmod(guest, &chmod))?,
        RequestBody::Chown(chown) => done(connection, files::change::chown(&chown))?,
        RequestBody::Dial(dial) => dial::run(connection, &dial)?,
        RequestBody::Symlink(symlink) => done(connection, files::change::symlink(&symlink))?,
    }
    Ok(())
}

fn done(connection: &mut Connection, result: Result<(), Failure>) -> Result<(), Stop> {
    result?;
    Ok(connection.send(&GuestMessage::Done)?)
}
