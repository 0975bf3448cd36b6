//! With MPD, which sends by libshout and tells each title.

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::UnixStream;

use httpout_tests::{Background, Piece};

use super::*;

both! { mpd_sends_names_and_titles, mpd_sends_where_rules_ask_for_its_password }

/// An ID3v2.4 tag of frames in UTF-8.
fn tag(frames: &[(&str, &str)]) -> Vec<u8> {
    let size = |len: usize| [21, 14, 7, 0].map(|shift| (len >> shift) as u8 & 0x7f);
    let mut body = Vec::new();
    for (id, text) in frames {
        body.extend([id.as_bytes(), &size(text.len() + 1), &[0, 0, 3], text.as_bytes()].concat());
    }
    [b"ID3\x04\0\0", &size(body.len())[..], &body].concat()
}

/// An MPD that plays a song again and again.
struct Mpd {
    _process: Background,
    tree: Tree,
}

impl Mpd {
    #[track_caller]
    fn start(server: &Server, mount: &str, user: &str, password: &str) -> Self {
        let tree = Tree::new();
        let tag = tag(&[("TIT2", "Café Zürich"), ("TPE1", "Künstler")]);
        // Without its own tags, of which the last one has 128 bytes.
        let song = media("cbr.mp3");
        let frames = song.windows(2).position(|two| two[0] == 0xff && two[1] >= 0xe0);
        let frames = &song[frames.expect("a frame")..song.len() - 128];
        tree.write("song.mp3", [tag, frames.repeat(20)].concat());
        let output = format!(
            "bind_to_address \"{}\"\nlog_file \"{}\"\naudio_output {{\ntype \"shout\"\n\
             name \"Café\"\ngenre \"Rock\"\nhost \"127.0.0.1\"\nport \"{}\"\nmount \"{mount}\"\n\
             user \"{user}\"\npassword \"{password}\"\nencoder \"lame\"\nbitrate \"64\"\n\
             format \"44100:16:2\"\n}}\n",
            tree.arg("socket"),
            tree.arg("log"),
            server.address().port(),
        );
        tree.write("mpd.conf", output);
        let process = Background::start("mpd", &["--no-daemon", &tree.arg("mpd.conf")]);
        let mpd = Self { _process: process, tree };
        mpd.play();
        mpd
    }

    #[track_caller]
    fn play(&self) {
        let socket = self.tree.path("socket");
        let socket = until("MPD listens", || UnixStream::connect(&socket).ok());
        let mut mpd = BufReader::new(socket);
        let song = format!("add \"file://{}\"\n", self.tree.arg("song.mp3"));
        let mut line = String::new();
        mpd.read_line(&mut line).expect("MPD greets");
        for command in [&song, "repeat 1\n", "play\n"] {
            mpd.get_mut().write_all(command.as_bytes()).expect("MPD listens");
            line.clear();
            mpd.read_line(&mut line).expect("MPD answers");
            assert_eq!(line, "OK\n", "{command}");
        }
    }
}

fn mpd_sends_names_and_titles(kind: Kind) {
    let server = server(kind, &[]);
    let _mpd = Mpd::start(&server, "/live.mp3", "source", "hackme");
    until("MPD sends", || (server.ask(&head("/live.mp3")).status == 200).then_some(()));
    let mut listener = server.client();
    let answer = listener.begin(&get("/live.mp3").field("Icy-MetaData", "1"));
    let name: String = "Café".bytes().map(char::from).collect();
    answer.status_is(200).field_is("icy-name", &name).field_is("icy-genre", "Rock");
    let title = "StreamTitle='Künstler - Café Zürich';".as_bytes();
    let mut got = Vec::new();
    while !got.windows(title.len()).any(|part| part == title) {
        assert!(got.len() < 200_000, "no title in {} bytes", got.len());
        match listener.piece() {
            Piece::Data(data) => got.extend(data),
            Piece::ChunkEnd => {}
            other @ (Piece::End | Piece::Cut(_)) => panic!("{other:?}"),
        }
    }
}

fn mpd_sends_where_rules_ask_for_its_password(kind: Kind) {
    let site = ruled(kind, &["--ice"]);
    let path = "/radio/live.mp3";
    let _mpd = Mpd::start(&site.server, path, "alice", "alice-secret");
    until("MPD sends", || (site.ask(&head(path).of("bob")).status == 200).then_some(()));
}
