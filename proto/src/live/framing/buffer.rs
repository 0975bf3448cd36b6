//! Input in pieces, read as if it were in one. What lies in one piece is never copied.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// The input that is in no packet yet.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// The beginning, copied together, if it lies across pieces.
    joined: BytesMut,
    /// So many bytes at the end of `joined` are still at the front of `pieces` too.
    overlap: usize,
    pieces: VecDeque<Bytes>,
    len: usize,
}

impl Buffer {
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push_back(piece);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The beginning: at least `need` bytes, or all.
    pub(super) fn join(&mut self, need: usize) -> &[u8] {
        if self.joined.is_empty() {
            match self.pieces.front() {
                Some(piece) if piece.len() < need => {
                    self.joined.extend_from_slice(piece);
                    self.pieces.pop_front();
                }
                Some(_) | None => return self.pieces.front().map_or(&[], |piece| piece),
            }
        }
        while self.joined.len() < need
            && let Some(piece) = self.pieces.front()
        {
            let end = piece.len().min(self.overlap + need - self.joined.len());
            self.joined.extend_from_slice(&piece[self.overlap..end]);
            self.overlap = end;
            if end == piece.len() {
                self.pieces.pop_front();
                self.overlap = 0;
            }
        }
        &self.joined
    }

    /// Takes the first `len` bytes of what `join` gave.
    pub(super) fn take(&mut self, len: usize) -> Bytes {
        self.len -= len;
        if self.joined.is_empty() {
            let Some(piece) = self.pieces.front_mut() else { return Bytes::new() };
            let taken = piece.split_to(len);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            return taken;
        }
        let taken = self.joined.split_to(len).freeze();
        // What is left was only copied to look at it: on with the piece itself.
        if self.joined.len() <= self.overlap
            && let Some(piece) = self.pieces.front_mut()
        {
            piece.advance(self.overlap - self.joined.len());
            self.joined.clear();
            self.overlap = 0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_one_stream(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..10),
            steps in prop::collection::vec((0usize..40, 0usize..40), 0..40),
        ) {
            let expected = pieces.concat();
            let mut buffer = Buffer::default();
            for piece in pieces {
                buffer.push(piece.into());
            }
            let mut at = 0;
            for (need, take) in steps {
                let rest = &expected[at..];
                prop_assert_eq!(buffer.len(), rest.len());
                let view = buffer.join(need);
                prop_assert!(view.len() >= need.min(rest.len()) && rest.starts_with(view));
                let take = take.min(view.len());
                prop_assert_eq!(buffer.take(take), &rest[..take]);
                at += take;
            }
        }
    }

    #[test]
    fn what_lies_in_one_piece_is_not_copied() {
        let (a, b) = (Bytes::from(vec![1; 10]), Bytes::from(vec![2; 10]));
        let mut buffer = Buffer::default();
        buffer.push(a.clone());
        buffer.push(b.clone());
        assert_eq!(buffer.join(4).len(), 10);
        assert_eq!(buffer.take(4).as_ptr(), a.as_ptr());
        assert_eq!(buffer.join(12).len(), 12);
        assert_eq!(buffer.take(8), [&[1; 6][..], &[2; 2]].concat());
        assert_eq!(buffer.join(1).len(), 8);
        assert_eq!(buffer.take(8).as_ptr(), b[2..].as_ptr());
    }
}
