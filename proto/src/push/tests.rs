mod rig;

use std::time::Duration;

use self::rig::{BLOB, Rig, put, unrewindable};
use super::*;
use crate::error::PeerError;

const CREATED: &str = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";

#[test]
fn two_uploads_share_a_connection() {
    let mut rig = Rig::default();
    rig.add(put(1, "/a", b"hello", Some(5)));
    rig.add(put(2, "/b", b"world", None));
    assert_eq!(
        rig.wrote(),
        "PUT /a HTTP/1.1\r\nHost: h:8080\r\nUser-Agent: t\r\nContent-Length: 5\r\n\r\nhello"
    );
    rig.answer(CREATED);
    assert_eq!(
        rig.wrote(),
        "PUT /b HTTP/1.1\r\nHost: h:8080\r\nUser-Agent: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n"
    );
    rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: \"x\"\r\n\r\nok");
    rig.finish();
    assert_eq!(rig.log(), ["dial http://h:8080", "1 stored 201 5", "2 stored 200 5", "hang up", "closed"]);
}
