//! With ffmpeg.

use super::*;

both! { a_late_listener_begins_with_a_frame }

/// All whole frames of what was written: the rest of the last one is still to come.
#[track_caller]
fn early_frames(listener: &mut Client, written: &[u8]) -> Vec<u8> {
    let mut whole = 0;
    // The length of a frame stands in its header (ISO 13818-7 §6.2).
    let length = |at: usize| {
        let head = written.get(at..at + 7)?;
        let [a, b, c] = [head[3], head[4], head[5]].map(usize::from);
        Some((a & 3) << 11 | b << 3 | c >> 5)
    };
    while let Some(end) = length(whole).map(|len| whole + len).filter(|end| *end <= written.len()) {
        whole = end;
    }
    listener.content(whole)
}

fn a_late_listener_begins_with_a_frame(kind: Kind) {
    // Written in pieces that are no frames.
    let stream = media("tone.aac");
    let (first, rest) = stream.split_at(3_001);
    let mut live = Fed::at("/live.aac", kind, &["--burst", "0"]);
    let mut early = live.listen();
    live.write(first);
    let before = early_frames(&mut early, first);
    let late = live.listen();
    live.write(rest);
    live.end();
    let [early, late] = [early, late].map(|mut client| client.rest().expect("it is whole"));
    assert!(before.len() + early.len() == stream.len() && early == late);
    assert_eq!(late[..2], [0xff, 0xf1], "no ADTS header");
    decodes("aac", &late);
}
