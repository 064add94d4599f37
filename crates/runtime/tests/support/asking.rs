//! Asking a guest in its own protocol, without the adapter: what a test of the runtime needs and no more.

use std::sync::atomic::Ordering;

use lazaret_core::SandboxId;
use lazaret_core::ports::Runtime as _;
use lazaret_protocol::exec::{Background, Exec};
use lazaret_protocol::frame::Decoder;
use lazaret_protocol::guest_message::GuestMessage;
use lazaret_protocol::host_message::HostMessage;
use lazaret_protocol::request::{Request, RequestBody};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Host, NEXT, PATIENCE};

impl Host {
    /// Looks that the guest answers.
    pub(crate) async fn ping(&self, id: SandboxId) {
        let mut answers = 0;
        self.ask(id, RequestBody::Hello, |message| {
            assert!(matches!(message, GuestMessage::Hello(_)), "{message:?}");
            answers += 1;
            true
        })
        .await;
        assert_eq!(answers, 1);
    }

    /// Runs a shell command inside and returns what it wrote, to either stream.
    pub(crate) async fn shell(&self, id: SandboxId, command: &str) -> String {
        let mut output = Vec::new();
        self.ask(id, exec(&format!("exec 2>&1; {command}"), None), |message| match message {
            GuestMessage::Stdout(bytes) | GuestMessage::Stderr(bytes) => {
                output.extend_from_slice(bytes);
                false
            }
            GuestMessage::Started(_) => false,
            GuestMessage::Exited(_) => true,
            other => panic!("{other:?}"),
        })
        .await;
        String::from_utf8_lossy(&output).into_owned()
    }

    /// Runs a shell command that goes on when the connection is closed.
    pub(crate) async fn background(&self, id: SandboxId, command: &str) {
        let number = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let background = Background {
            id: number.into_bytes().into(),
            retain_bytes: Some(0),
            label: None,
            spool_bytes: None,
        };
        self.ask(id, exec(command, Some(background)), |message| match message {
            GuestMessage::Started(_) => true,
            other => panic!("{other:?}"),
        })
        .await;
    }

    /// Sends a request and hands every answer on until one is the last.
    async fn ask(&self, id: SandboxId, body: RequestBody, mut is_last: impl FnMut(GuestMessage<'_>) -> bool) {
        let mut stream = self.runtime().connect(id).await.unwrap();
        let mut request = Vec::new();
        HostMessage::Request(Request::new(body)).encode(&mut request).unwrap();
        let exchange = async {
            stream.write_all(&request).await.unwrap();
            let mut decoder = Decoder::new();
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let length = stream.read(&mut buffer).await.unwrap();
                assert!(length > 0, "the guest closed the connection");
                let mut input = &buffer[..length];
                while let Some(frame) = decoder.next(&mut input).unwrap() {
                    if is_last(GuestMessage::decode(frame).unwrap()) {
                        return;
                    }
                }
            }
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap();
    }
}

fn exec(command: &str, background: Option<Background>) -> RequestBody {
    let argv = ["/bin/sh", "-c", command].map(|word| word.as_bytes().to_vec().into()).to_vec();
    RequestBody::Exec(Box::new(Exec { argv, background, ..Exec::default() }))
}
