//! The bytes that a watch sends in one go.

use bytes::Bytes;

/// What is sent in one go: a single event as it is shared, several in a copy.
#[derive(Default)]
pub(super) struct Piece {
    first: Option<Bytes>,
    out: Vec<u8>,
}

impl Piece {
    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.first.is_none() && self.out.is_empty() {
            self.first = Some(bytes);
        } else {
            self.to_mut().extend_from_slice(&bytes);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.first.as_ref().map_or(0, Bytes::len) + self.out.len()
    }

    pub(super) fn to_mut(&mut self) -> &mut Vec<u8> {
        if let Some(first) = self.first.take() {
            self.out.extend_from_slice(&first);
        }
        &mut self.out
    }

    pub(super) fn finish(self) -> Option<Bytes> {
        self.first.or_else(|| (!self.out.is_empty()).then(|| self.out.into()))
    }
}
