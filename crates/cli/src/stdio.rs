//! Blocking work on standard streams, without holding up the program's end.
//!
//! A read of a terminal or a pipe cannot be cancelled. Plain threads end with the process; those of the async runtime's
//! blocking pool would be waited for.

use std::io::{self, Read as _};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;

/// Bytes read at a time: half of the API's largest frame.
const CHUNK_BYTES: usize = 32 * 1024;
/// Chunks read ahead of the network.
const CHUNKS_AHEAD: usize = 4;

/// Reads standard input on a thread of its own. The channel closes at its end; an error is the last item.
pub(crate) fn read_stdin() -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let item = match stdin.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => Ok(Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let last = item.is_err();
            if sender.blocking_send(item).is_err() || last {
                return;
            }
        }
    })?;
    Ok(receiver)
}

/// Does `work`, which blocks on standard streams, on a thread of its own.
pub(crate) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().name("streams".to_owned()).spawn(move || {
        // A receiver that is gone was interrupted and wants no result.
        let _unwanted = sender.send(work());
    })?;
    receiver.await.map_err(|_| Failure::new("the thread that copied broke off"))?
}
