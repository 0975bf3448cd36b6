//! Where an input is cut. The places are told by the end of the input itself, so that its beginning
//! is plain text that a dictionary fits.

use bytes::Bytes;

/// Most cuts.
const MOST: usize = 7;

/// An input up to this length is also given byte by byte.
const BYTE_BY_BYTE: usize = 1024;

/// Takes from the end of `data` a number (one byte), and so many places (two bytes each).
pub(crate) fn take(data: &[u8]) -> (&[u8], Vec<usize>) {
    let Some((&count, mut rest)) = data.split_last() else { return (data, Vec::new()) };
    let mut places = Vec::new();
    for _ in 0..usize::from(count) % (MOST + 1) {
        let Some((before, &place)) = rest.split_last_chunk::<2>() else { break };
        places.push(usize::from(u16::from_le_bytes(place)));
        rest = before;
    }
    (rest, places)
}

/// `data` in every manner in which it is to be given: whole, cut at `places`, byte by byte.
pub(crate) fn manners(data: &[u8], places: &[usize]) -> Vec<Vec<Bytes>> {
    let mut manners = vec![vec![Bytes::copy_from_slice(data)], cut(data, places)];
    if data.len() <= BYTE_BY_BYTE {
        manners.push(cut(data, &(0..data.len()).collect::<Vec<_>>()));
    }
    manners
}

/// `data` cut at `places`, modulo its length. No piece is empty.
pub(crate) fn cut(data: &[u8], places: &[usize]) -> Vec<Bytes> {
    let mut places: Vec<_> = places.iter().map(|place| place % (data.len() + 1)).collect();
    places.sort_unstable();
    let mut rest = Bytes::copy_from_slice(data);
    let mut pieces = Vec::new();
    let mut start = 0;
    for place in places {
        pieces.push(rest.split_to(place - start));
        start = place;
    }
    pieces.push(rest);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}
