//! A file as a request's body, read while it is sent: it may be larger than memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

const PIECE_BYTES: usize = 1 << 20;
/// Pieces read ahead of what is sent.
const PIECES_AHEAD_MAX: usize = 2;

/// The body of one file.
pub struct Upload {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    bytes_left: u64,
}

impl Upload {
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let bytes_left = file.metadata()?.len();
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD_MAX);
        tokio::task::spawn_blocking(move || {
            loop {
                let piece = piece(&mut file);
                if piece.as_ref().is_ok_and(Bytes::is_empty) {
                    return;
                }
                let failed = piece.is_err();
                // A request that is over has nobody to read for.
                if sender.blocking_send(piece).is_err() || failed {
                    return;
                }
            }
        });
        Ok(Self { pieces, bytes_left })
    }
}

fn piece(file: &mut File) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(PIECE_BYTES);
    file.take(PIECE_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        this.pieces.poll_recv(cx).map(|piece| {
            Some(piece?.map(|bytes| {
                this.bytes_left = this.bytes_left.saturating_sub(bytes.len() as u64);
                Frame::data(bytes)
            }))
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes_left)
    }
}
