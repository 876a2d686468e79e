//! gzip for large responses (k8s.io/apiserver pkg/endpoints/handlers/responsewriters/writers.go).

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, VARY};
use http::{Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;

use super::body::{self, Body};
use super::respond;

/// Bodies of objects above this size are compressed, in bytes.
pub const OBJECTS: usize = 128 << 10;
/// The same for OpenAPI v2, which others serve through (github.com/NYTimes/gziphandler).
pub const OPENAPI: usize = 1400;

/// Compresses a body whose bytes are all there if they are more than `threshold`; a stream stays as it is.
pub async fn gzip(response: Response<Body>, threshold: usize) -> Response<Body> {
    let size = response.body().size_hint().exact().unwrap_or(0);
    let small = usize::try_from(size).is_ok_and(|size| size <= threshold);
    if small || response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let plain = match body.collect().await {
        // one piece: nothing is copied
        Ok(collected) => collected.to_bytes(),
        Err(error) => return respond::broken_off(&error),
    };
    let kept = plain.clone();
    let packed = tokio::task::spawn_blocking(move || pack(&plain)).await;
    let Ok(Ok(packed)) = packed else {
        tracing::error!("a body cannot be compressed");
        return Response::from_parts(head, body::full(kept));
    };
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, body::full(packed))
}

/// The fastest level: it costs little and saves nearly as much as the others.
fn pack(plain: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 6), Compression::fast());
    encoder.write_all(plain)?;
    Ok(encoder.finish()?.into())
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_no_success() {
        let frames = stream::iter([Ok(Frame::data(Bytes::from_static(b"half"))), Err("gone".into())]);
        // Its size is known, as that of a body whose bytes are all there.
        let body = http_body_util::combinators::UnsyncBoxBody::new(Known(StreamBody::new(frames)));
        let answer = gzip(Response::new(body), 100).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    struct Known<B>(B);

    impl<B: http_body::Body + Unpin> http_body::Body for Known<B> {
        type Data = B::Data;
        type Error = B::Error;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<B::Data>, B::Error>>> {
            std::pin::Pin::new(&mut self.0).poll_frame(context)
        }

        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(1000)
        }
    }
}
