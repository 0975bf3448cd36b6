//! What holds for any split, any cut and any damage.

use proptest::{prelude::*, sample::Index};

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_gives_the_same(which in 0..MEDIA.len(), places in prop::collection::vec(any::<Index>(), 0..200)) {
        let (format, _, data) = MEDIA[which];
        prop_assert_eq!(frame(format, split(data, &places)), frame(format, [data]));
    }

    #[test]
    fn a_cut_stream_gives_whole_frames(which in 0..MEDIA.len(), place in any::<Index>()) {
        let (format, _, data) = MEDIA[which];
        let whole = frame(format, [data]);
        let end = place.index(data.len());
        let cut = frame(format, [&data[..end]]);
        prop_assert_eq!(&cut.error, &None);
        prop_assert_eq!(joined(&cut).len() + cut.leftover, end);
        // A run of TS packets, or the beginning of a Cluster, may be shorter at the end.
        let same = cut.packets.len().saturating_sub(1);
        prop_assert_eq!(&cut.packets[..same], &whole.packets[..same]);
        if let Some((last, _)) = cut.packets.last() {
            prop_assert!(whole.packets[same].0.data.starts_with(&last.data));
            let shorter = match format {
                Format::MpegTs => last.data.len() % 188 == 0,
                Format::WebM => last.data.starts_with(&[0x1F, 0x43, 0xB6, 0x75]),
                Format::MpegAudio | Format::Adts | Format::Fmp4 | Format::Ogg | Format::Raw => false,
            };
            prop_assert!(shorter || last.data.len() == whole.packets[same].0.data.len());
        }
    }

    #[test]
    fn damage_does_no_harm(
        which in 0..MEDIA.len(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..20),
        places in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let (format, _, data) = MEDIA[which];
        let mut data = data.to_vec();
        for (place, byte) in changes {
            *place.get_mut(&mut data) = byte;
        }
        let cut = frame(format, split(&data, &places));
        prop_assert_eq!(&cut, &frame(format, [&data[..]]));
        prop_assert!(data.starts_with(&joined(&cut)));
        prop_assert!(cut.error.is_some() || joined(&cut).len() + cut.leftover == data.len());
    }

    #[test]
    fn garbage_does_no_harm(
        format in prop::sample::select(&FRAMED[..]),
        data in prop::collection::vec(any::<u8>(), 0..3000),
        places in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let cut = frame(format, split(&data, &places));
        prop_assert!(data.starts_with(&joined(&cut)));
        prop_assert_eq!(cut, frame(format, [&data[..]]));
    }
}

fn split<'a>(data: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places.iter().map(|place| place.index(data.len() + 1)).collect();
    places.extend([0, data.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &data[pair[0]..pair[1]]).collect()
}
