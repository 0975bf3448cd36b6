use proptest::prelude::*;

use super::*;

#[track_caller]
fn files(path: &str, text: &str) -> Vec<String> {
    Manifest::parse(path, text.as_bytes()).expect("it is a manifest").files
}

/// Directory, quality and number of segments.
#[track_caller]
fn windows(path: &str, text: &str) -> Vec<(String, String, usize)> {
    Manifest::parse(path, text.as_bytes()).expect("it is a manifest").windows
}

fn mpd(attributes: &str, periods: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" \
         profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" {attributes}>{periods}</MPD>"
    )
}

/// A period with one adaptation set.
fn set(content: &str) -> String {
    format!("<Period id=\"0\"><AdaptationSet id=\"0\">{content}</AdaptationSet></Period>")
}

#[test]
fn playlists_name_segments_headers_parts_and_renditions() {
    let master = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"audio/a.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=75900,CODECS=\"avc1.4d4015\"\r\nm-stream0.m3u8\r\n\
        #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"iframes.m3u8\"\n";
    assert_eq!(
        files("live/master.m3u8", master),
        ["live/audio/a.m3u8", "live/iframes.m3u8", "live/m-stream0.m3u8"]
    );
    let media = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n\
        #EXT-X-MAP:URI=\"m-stream0.m4s\",BYTERANGE=\"826@0\"\n#EXTINF:2.000000,\n#EXT-X-BYTERANGE:35134@826\n\
        m-stream0.m4s\n#EXTINF:2.000000,\n#EXT-X-BYTERANGE:36187@35960\nm-stream0.m4s\n#EXT-X-ENDLIST\n";
    assert_eq!(files("live/m-stream0.m3u8", media), ["live/m-stream0.m4s"]);
    let low_latency = "\u{FEFF}#EXTM3U\n#EXT-X-PART:DURATION=0.5,URI=\"p-7.0.mp4\"\n#EXTINF:2,title\n\n\
        s-6.mp4?token=x#t\n# a comment\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p-7.1.mp4\"\n";
    assert_eq!(files("l.m3u8", low_latency), ["p-7.0.mp4", "p-7.1.mp4", "s-6.mp4"]);
}

#[test]
fn names_are_resolved_as_urls() {
    for (uri, expected) in [
        ("s.ts", &["a/b/s.ts"][..]),
        ("./c//s%201.ts", &["a/b/c/s 1.ts"]),
        ("../s.ts", &["a/s.ts"]),
        ("../../../../s.ts", &["s.ts"]),
        ("../../../live/s.ts", &["live/s.ts", "s.ts"]),
        ("/live/a/s.ts", &["a/s.ts", "live/a/s.ts", "s.ts"]),
        ("http://host:8080/live/a/s.ts", &["a/s.ts", "live/a/s.ts", "s.ts"]),
        (
            "https://u:p@[::1]:8443/1/2/3/4/5/s.ts?x#y",
            &["1/2/3/4/5/s.ts", "2/3/4/5/s.ts", "3/4/5/s.ts", "4/5/s.ts", "5/s.ts"],
        ),
        ("HTTPS://host/s.ts", &["s.ts"]),
        ("//host/live/s.ts", &["live/s.ts", "s.ts"]),
        ("s.ts?a=/b#c", &["a/b/s.ts"]),
        ("Streams(video:1).cmfv", &["a/b/Streams(video:1).cmfv"]),
        ("dir/", &[]),
        ("http://host", &[]),
        ("data:text/plain,s", &[]),
        ("a%2Fs.ts", &[]),
        ("%ff.ts", &[]),
        ("?only=query", &[]),
    ] {
        assert_eq!(files("a/b/l.m3u8", &format!("#EXTM3U\n{uri}\n")), expected, "{uri}");
    }
}

#[test]
fn an_mpd_names_one_file_for_each_representation() {
    // As ffmpeg writes it with -single_file 1, and GPAC for on-demand profiles.
    let ffmpeg = |id| {
        format!(
            "<Representation id=\"{id}\" bandwidth=\"143810\"><BaseURL>m-stream{id}.mp4</BaseURL>\
             <SegmentList timescale=\"1000000\" duration=\"2000000\" startNumber=\"1\">\
             <Initialization range=\"0-813\" /><SegmentURL mediaRange=\"814-35947\" indexRange=\"814-865\" />\
             </SegmentList></Representation>"
        )
    };
    let text = mpd("type=\"static\"", &set(&[0, 1, 6].map(ffmpeg).concat()));
    let expected = ["d/m-stream0.mp4", "d/m-stream1.mp4", "d/m-stream6.mp4"];
    assert_eq!(files("d/live.mpd", &text), expected);
    assert_eq!(windows("d/live.mpd", &text), []);
    let gpac = "<Representation id=\"1\"><BaseURL>film_track1_dashinit.mp4</BaseURL>\
        <SegmentBase indexRangeExact=\"true\" indexRange=\"911-1006\"><Initialization range=\"0-910\"/></SegmentBase>\
        </Representation><Representation id=\"2\"><BaseURL>film_track2.mp4</BaseURL></Representation>";
    let text = format!("<BaseURL>vod/</BaseURL>{}", set(gpac));
    let expected = ["vod/film_track1_dashinit.mp4", "vod/film_track2.mp4"];
    assert_eq!(files("film.mpd", &mpd("", &text)), expected);
}

#[test]
fn an_mpd_names_the_segments_of_its_lists_and_timelines() {
    let list = "<SegmentList duration=\"2\"><Initialization sourceURL=\"i.mp4\"/><SegmentURL media=\"s-4.m4s\"/>\
        <SegmentURL media=\"s-5.m4s\" index=\"s-5.sidx\"/></SegmentList><Representation id=\"v\"/>";
    let expected = ["i.mp4", "s-4.m4s", "s-5.m4s", "s-5.sidx"];
    assert_eq!(files("l.mpd", &mpd("type=\"dynamic\"", &set(list))), expected);

    let timeline = "<SegmentTemplate timescale=\"10\" initialization=\"$RepresentationID$/i.mp4\" \
        media=\"$RepresentationID$/$Number%05d$-$Time$-$Bandwidth$$$.m4s\" startNumber=\"7\">\
        <SegmentTimeline><S t=\"100\" d=\"20\" r=\"1\"/><S d=\"5\"/><S t=\"200\" d=\"10\" r=\"-1\"/><S t=\"220\" d=\"1\"/>\
        </SegmentTimeline></SegmentTemplate><Representation id=\"v\" bandwidth=\"9\"/>\
        <Representation id=\"w\"><SegmentTemplate media=\"w-$Number$.m4s\" startNumber=\"1\"><SegmentTimeline><S d=\"1\"/>\
        </SegmentTimeline></SegmentTemplate></Representation>";
    let expected = [
        "v/00007-100-9$.m4s",
        "v/00008-120-9$.m4s",
        "v/00009-140-9$.m4s",
        "v/00010-200-9$.m4s",
        "v/00011-210-9$.m4s",
        "v/00012-220-9$.m4s",
        "v/i.mp4",
        "w-1.m4s",
        "w/i.mp4",
    ];
    assert_eq!(files("l.mpd", &mpd("type=\"dynamic\"", &set(timeline))), expected);
}

#[test]
fn an_mpd_names_so_many_segments_of_a_template() {
    let template = "<SegmentTemplate timescale=\"1000000\" duration=\"2000000\" \
        initialization=\"init-stream$RepresentationID$.m4s\" media=\"chunk-stream$RepresentationID$-$Number%05d$.m4s\" \
        startNumber=\"1\"/><Representation id=\"0\"/>";
    let quality = |most| ("d".to_owned(), "chunk-stream0-/.m4s".to_owned(), most);
    for (attributes, most) in [
        ("type=\"dynamic\" timeShiftBufferDepth=\"PT6S\"", 4),
        ("type=\"dynamic\" timeShiftBufferDepth=\"PT7.5S\"", 5),
        ("type=\"dynamic\" timeShiftBufferDepth=\"P0Y0M0DT0H1M0.000S\"", 31),
        ("type=\"dynamic\"", usize::MAX),
        ("type=\"dynamic\" timeShiftBufferDepth=\"soon\"", usize::MAX),
        ("type=\"static\" timeShiftBufferDepth=\"PT6S\"", usize::MAX),
    ] {
        let text = mpd(attributes, &set(template));
        assert_eq!(windows("d/l.mpd", &text), [quality(most)], "{attributes}");
        assert_eq!(files("d/l.mpd", &text), ["d/init-stream0.m4s"]);
    }
    let of = |media: &str| {
        let template = format!("<SegmentTemplate duration=\"2\" media=\"{media}\"/>");
        windows("l.mpd", &mpd("", &set(&format!("{template}<Representation id=\"0\"/>"))))
    };
    // As GPAC writes them.
    assert_eq!(
        of("film_dash_track1_$Number$.m4s"),
        [(String::new(), "film_dash_track1_/.m4s".into(), usize::MAX)]
    );
    // Each of these segments is a quality of its own.
    assert_eq!(of("$Number$_v1.m4s"), []);
    for bad in ["$Number.m4s", "$Number%x$.m4s", "$SubNumber$.m4s", "$$.m4s"] {
        assert_eq!(of(bad), [], "{bad}");
    }
    let endless = "<SegmentTemplate timescale=\"1\" media=\"s-$Number$.m4s\"><SegmentTimeline><S t=\"0\" d=\"2\" r=\"-1\"/>\
        </SegmentTimeline></SegmentTemplate><Representation id=\"0\"/>";
    let text = mpd("type=\"dynamic\" timeShiftBufferDepth=\"PT6S\"", &set(endless));
    assert_eq!(windows("l.mpd", &text), [(String::new(), "s-/.m4s".into(), 4)]);
}

#[test]
fn what_is_no_manifest_names_nothing() {
    for text in [
        "",
        "text",
        "#EXTINF:1,\ns.ts",
        "<html/>",
        "<MPD>",
        "<!DOCTYPE MPD [<!ENTITY a \"b\">]><MPD>&a;</MPD>",
    ] {
        assert_eq!(Manifest::parse("l.mpd", text.as_bytes()), None, "{text}");
    }
    assert_eq!(Manifest::parse("l.m3u8", b"#EXTM3U\n\xFF"), None);
}

#[test]
fn what_a_manifest_names_is_bounded() {
    let run =
        "<S t=\"0\" d=\"1\" r=\"18446744073709551615\"/><S d=\"1\" r=\"9223372036854775807\"/>";
    let timeline = format!(
        "<SegmentTemplate media=\"$Number%099d$-$Time$.m4s\" startNumber=\"18446744073709551615\"><SegmentTimeline>{run}\
         </SegmentTimeline></SegmentTemplate>{}",
        "<Representation id=\"0\"/>".repeat(100)
    );
    assert!(files("l.mpd", &mpd("", &set(&timeline))).len() <= MOST_NAMES);
    let lines: String = (0..MOST_NAMES + 10).map(|number| format!("{number}.ts\n")).collect();
    assert_eq!(files("l.m3u8", &format!("#EXTM3U\n{lines}")).len(), MOST_NAMES);
}

proptest! {
    #[test]
    fn any_text_is_read(text in "(#EXTM3U\n)?[<>/\"a-zA-Z:=%$#\\. \n]{0,200}") {
        let _ = Manifest::parse("a/l.mpd", text.as_bytes());
    }

    #[test]
    fn names_lie_below_the_root(uri in "[a-c:/\\.%2F?]{0,30}") {
        for file in files("a/l.m3u8", &format!("#EXTM3U\n{uri}\n")) {
            prop_assert!(file.split('/').all(|name| !matches!(name, "" | "." | "..")), "{file}");
        }
    }
}
