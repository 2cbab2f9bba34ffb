//! Answers that are no problems: JSON mostly, a file at times.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::{Response, StatusCode};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::api::rights::Parcel;

/// The body of every answer.
pub(crate) type Payload = Either<Full<Bytes>, FileBody>;

/// An answer that is no problem.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) media: &'static str,
    /// What a browser would save it as.
    pub(crate) name: Option<&'static str>,
    /// Where the request that was taken in is looked up.
    pub(crate) location: Option<Bytes>,
    pub(crate) content: Content,
}

/// What is answered.
pub(crate) enum Content {
    Bytes(Bytes),
    File(Arc<Parcel>),
}

impl Reply {
    /// Answers with JSON.
    pub(crate) const fn json(body: Bytes) -> Self {
        Self {
            status: StatusCode::OK,
            media: "application/json",
            name: None,
            location: None,
            content: Content::Bytes(body),
        }
    }

    /// Says that a request is taken in, and where to look it up.
    pub(crate) fn accepted(location: Bytes) -> Self {
        let body = Bytes::from_static(b"{\"state\":\"waiting\"}");
        Self { status: StatusCode::ACCEPTED, location: Some(location), ..Self::json(body) }
    }

    /// Answers with something to save.
    pub(crate) const fn saved(media: &'static str, name: &'static str, content: Content) -> Self {
        Self { status: StatusCode::OK, media, name: Some(name), location: None, content }
    }
}

impl Content {
    /// Returns the body and an answer around it.
    pub(crate) fn into_response(self) -> Response<Payload> {
        Response::new(match self {
            Self::Bytes(bytes) => Either::Left(Full::new(bytes)),
            Self::File(parcel) => Either::Right(FileBody { parcel, sent: 0, reading: None }),
        })
    }
}

/// A file, a piece at a time; it is read on threads that may wait.
pub(crate) struct FileBody {
    parcel: Arc<Parcel>,
    sent: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.is_end_stream() {
            return Poll::Ready(None);
        }
        let (parcel, at) = (&this.parcel, this.sent);
        let reading = this.reading.get_or_insert_with(|| {
            let parcel = Arc::clone(parcel);
            spawn_blocking(move || parcel.piece(at))
        });
        let read = ready!(Pin::new(reading).poll(context));
        this.reading = None;
        let piece = read
            .map_err(io::Error::other)
            .flatten()
            .and_then(|piece| if piece.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(piece) });
        Poll::Ready(Some(piece.map(|piece| {
            this.sent += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            Frame::data(piece)
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.sent >= self.parcel.bytes()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.parcel.bytes().saturating_sub(self.sent))
    }
}
