//! A socket on which no message can be longer than it may be.
//!
//! The wire library gathers a message whole before anybody sees it, up to a gigabyte, and from
//! strangers too. So bytes are counted as they are read: whoever has sent more than one message
//! may have, without ending it, is cut off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream with bytes to read until the next message must have been whole.
#[derive(Debug)]
pub struct Metered<S> {
    io: S,
    bytes_max: usize,
    bytes_left: usize,
}

impl<S> Metered<S> {
    /// Nothing may be read before [`Metered::allow`].
    pub fn new(io: S) -> Self {
        Self { io, bytes_max: 0, bytes_left: 0 }
    }

    /// A new message may begin, of so many bytes at most. What was read ahead of it is not
    /// counted: it is one buffer's worth.
    pub fn allow(&mut self, bytes_max: usize) {
        (self.bytes_max, self.bytes_left) = (bytes_max, bytes_max);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.bytes_left == 0 {
            let reason = format!("a message may have {} bytes at most here", this.bytes_max);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        this.bytes_left = this.bytes_left.saturating_sub(buf.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_message_that_does_not_end_is_cut_off() {
        let sent = vec![b'x'; 100];
        let mut metered = Metered::new(sent.as_slice());
        let mut got = [0; 40];
        metered.allow(50);
        metered.read_exact(&mut got).await.unwrap();
        metered.allow(50);
        metered.read_exact(&mut got).await.unwrap();
        let refused = metered.read_exact(&mut got).await;
        assert!(refused.is_err(), "60 bytes of one message came through");
        let mut fresh = Metered::new(sent.as_slice());
        assert!(fresh.read_u8().await.is_err(), "nothing was allowed yet");
    }
}
