//! A stream whose bytes are counted and whose silence can be waited for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::tenant::Counters;

/// A sandbox's end of a connection: what is read from it was sent by the sandbox, what is written to it is received.
pub(crate) struct Metered<S> {
    stream: S,
    counters: Arc<Counters>,
    pulse: Arc<Pulse>,
}

/// When a byte last moved.
#[derive(Debug)]
pub(crate) struct Pulse {
    since: Instant,
    last_ms: AtomicU64,
}

impl<S> Metered<S> {
    pub(crate) fn new(stream: S, counters: Arc<Counters>, pulse: Arc<Pulse>) -> Self {
        Self { stream, counters, pulse }
    }
}

impl Pulse {
    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self { since: Instant::now(), last_ms: AtomicU64::new(0) })
    }

    fn beat(&self) {
        self.last_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns when no byte has moved for `idle`, or after `life` in all.
    pub(crate) async fn stops(&self, idle: Duration, life: Duration) {
        let end = self.since + life;
        loop {
            let quiet_at = self.since + Duration::from_millis(self.last_ms.load(Ordering::Relaxed)) + idle;
            let now = Instant::now();
            if now >= quiet_at || now >= end {
                return;
            }
            tokio::time::sleep_until(quiet_at.min(end)).await;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        let count = buffer.filled().len() - before;
        if count > 0 {
            this.counters.sent(count);
            this.pulse.beat();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(context, buffer);
        if let Poll::Ready(Ok(count)) = polled {
            this.counters.received(count);
            this.pulse.beat();
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_are_counted_by_direction_and_keep_the_connection_from_idling_out() {
        let (mut far, near) = tokio::io::duplex(64);
        let (counters, pulse) = (Arc::new(Counters::default()), Pulse::start());
        let mut metered = Metered::new(near, Arc::clone(&counters), Arc::clone(&pulse));
        far.write_all(b"request").await.unwrap();
        let mut read = [0; 7];
        metered.read_exact(&mut read).await.unwrap();
        metered.write_all(b"an answer").await.unwrap();
        let usage = counters.usage();
        assert_eq!((usage.sent_bytes, usage.received_bytes), (7, 9));

        let (idle, life) = (Duration::from_secs(60), Duration::from_secs(100));
        let started = Instant::now();
        let watch = pulse.stops(idle, life);
        let beat = async {
            tokio::time::sleep(Duration::from_secs(50)).await;
            metered.write_all(b"x").await.unwrap();
        };
        tokio::join!(watch, beat);
        // Not at 60, because of the byte at 50, and not at 110, because of the life of 100.
        assert_eq!(started.elapsed().as_secs(), 100);
    }
}
