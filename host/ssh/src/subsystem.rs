//! The stream of a subsystem's channel, and what its program says besides.
//!
//! Owns that the channel is closed with the stream, that its place among the connection's channels is kept so long, and that
//! standard error is heard: a login shell that refuses to run a program says so there. Knows no SFTP.

use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use parking_lot::Mutex;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use scout_machine::line;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_util::io::StreamReader;

use crate::pool::slots::Slot;

/// Kept of what the program says.
const WORDS_BYTES: usize = 400;
/// How long its last words and its status may take once it says nothing more on its output.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a program says on its standard error, and how it ends; shared with the stream that hears it.
#[derive(Clone, Default)]
pub(crate) struct SubsystemDiagnostics(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    words: Vec<u8>,
    status: Option<u32>,
}

impl SubsystemDiagnostics {
    /// It in words, made harmless, to be added to a message; `None` if there was nothing.
    pub(crate) fn told(&self) -> Option<String> {
        let heard = self.0.lock();
        let (words, mut told) = (line(&heard.words, WORDS_BYTES), String::new());
        if !words.is_empty() {
            // Writing to a string does not fail.
            let _ = write!(told, "; it said \"{words}\"");
        }
        if let Some(status) = heard.status.filter(|status| *status != 0) {
            let _ = write!(told, "; its program ended with exit status {status}");
        }
        (!told.is_empty()).then_some(told)
    }

    /// Keeps what this says, if it says something.
    pub(crate) fn hear(&self, message: &ChannelMsg) {
        let mut heard = self.0.lock();
        match message {
            ChannelMsg::ExtendedData { data, .. } => {
                // One more than is shown tells that there is more.
                let room = (WORDS_BYTES + 1).saturating_sub(heard.words.len());
                heard.words.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
            }
            ChannelMsg::ExitStatus { exit_status } => heard.status = Some(*exit_status),
            _ => {}
        }
    }
}

/// Standard input and output of a subsystem.
pub(crate) struct SubsystemStream {
    output: StreamReader<Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>, Bytes>,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    /// Until it is closed.
    channel: Option<(ChannelWriteHalf<Msg>, Option<Slot>)>,
}

impl SubsystemStream {
    /// Takes over a channel whose subsystem has been accepted.
    pub(crate) fn new(channel: Channel<Msg>, slot: Option<Slot>, diagnostics: &SubsystemDiagnostics) -> Self {
        let (read, write) = channel.split();
        let output: Pin<Box<dyn Stream<Item = _> + Send>> =
            Box::pin(stream::unfold((read, diagnostics.clone()), |(mut read, diagnostics)| async move {
                let data = next(&mut read, &diagnostics).await?;
                Some((Ok(data), (read, diagnostics)))
            }));
        let input = Box::pin(write.make_writer());
        Self { output: StreamReader::new(output), input, channel: Some((write, slot)) }
    }
}

/// The next piece of the output; `None` at its end, and then the last words have been heard.
async fn next(read: &mut ChannelReadHalf, diagnostics: &SubsystemDiagnostics) -> Option<Bytes> {
    loop {
        match read.wait().await? {
            ChannelMsg::Data { data } if !data.is_empty() => return Some(data),
            ChannelMsg::Close => return None,
            ChannelMsg::Eof => break,
            other => diagnostics.hear(&other),
        }
    }
    let rest = async {
        while let Some(message) = read.wait().await {
            diagnostics.hear(&message);
            if matches!(message, ChannelMsg::Close) {
                break;
            }
        }
    };
    // A program may close its output and go on.
    let _ = timeout(LAST_WORDS, rest).await;
    None
}

impl Drop for SubsystemStream {
    fn drop(&mut self) {
        let Some((channel, slot)) = self.channel.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // Whoever drops it does not wait.
                let _ = timeout(LAST_WORDS, channel.close()).await;
                drop(slot);
            });
        }
    }
}

impl AsyncRead for SubsystemStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buf)
    }
}

impl AsyncWrite for SubsystemStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.input.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.as_mut().poll_shutdown(cx)
    }
}
