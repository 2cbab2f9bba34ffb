//! The body of an object: read in pieces beside the runtime, one piece ahead of what is sent.
//!
//! Before each piece it is asked again whether the grant stands and shows the object: one that is withdrawn or over, and a contract that
//! is taken away, end the body in the middle, which the reader sees as a connection that broke.

use std::future::Future as _;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use s3s::StdError;
use s3s::stream::{ByteStream, RemainingLength};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::Gate;
use crate::key::Key;
use crate::objects::Input;
use crate::sessions::Session;

/// A range of an object, on its way.
pub(crate) struct Reading {
    gate: Arc<Gate>,
    session: Arc<Session>,
    key: Key,
    input: Arc<Input>,
    /// What nobody has begun to read.
    rest: Range<u64>,
    /// The piece that is being read.
    piece: Option<(JoinHandle<io::Result<Vec<u8>>>, u64)>,
}

impl Reading {
    /// Begins to read.
    pub(crate) fn start(gate: Arc<Gate>, session: Arc<Session>, key: Key, input: Input, range: Range<u64>) -> Self {
        let mut reading = Self { gate, session, key, input: Arc::new(input), rest: range, piece: None };
        reading.read_on();
        reading
    }

    fn read_on(&mut self) {
        // To where a whole piece begins: so no chunk of a sealed object is opened twice.
        let len = (self.rest.end - self.rest.start).min(PIECE_BYTES - self.rest.start % PIECE_BYTES);
        if len > 0 {
            let (input, at) = (Arc::clone(&self.input), self.rest.start);
            let bytes = usize::try_from(len).expect("a piece is small");
            self.rest.start += len;
            self.piece = Some((spawn_blocking(move || input.read(at, bytes)), len));
        }
    }

    /// Tells whether this may be read in this very moment.
    fn is_shown(&self) -> bool {
        let grant = &self.session.grant;
        grant.stands(self.gate.clock.now_ms()) && self.gate.shown_to(grant).has(&self.key)
    }

    fn left(&self) -> u64 {
        self.rest.end - self.rest.start + self.piece.as_ref().map_or(0, |(_, len)| *len)
    }

    /// Gives up: the connection ends before the length that was promised.
    fn end(&mut self, why: StdError) -> Poll<Option<Result<Bytes, StdError>>> {
        self.rest.start = self.rest.end;
        Poll::Ready(Some(Err(why)))
    }
}

impl Stream for Reading {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some((piece, _)) = &mut self.piece else { return Poll::Ready(None) };
        let read = ready!(Pin::new(piece).poll(context));
        self.piece = None;
        let bytes = match read {
            Ok(Ok(bytes)) if self.is_shown() => Bytes::from(bytes),
            Ok(Ok(_)) => return self.end(io::Error::from(io::ErrorKind::PermissionDenied).into()),
            Ok(Err(error)) => return self.end(error.into()),
            Err(error) => return self.end(error.into()),
        };
        self.read_on();
        let count = u64::try_from(bytes.len()).unwrap_or(0);
        self.session.add_bytes(count);
        self.gate.metrics.gate_bytes.inc_by(count);
        Poll::Ready(Some(Ok(bytes)))
    }
}

impl ByteStream for Reading {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left()).map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}

/// Large enough that going to another thread costs nothing beside reading, small enough for many readers at once.
const PIECE_BYTES: u64 = 256 << 10;
