//! A server with a rule file and users.

use rustix::process::Signal;

use crate::{Client, Kind, Request, Response, Server, Tree, until};

/// Four users in GPAC's own form; the password of NAME is `NAME-secret`. `bob` is in `staff`,
/// `carol` in `encoders`.
pub const USERS: &str = "\
[alice]
password=1a8a9cc8859183f50ce2bedd59544f9e21415203b796c4c2098740b4769a7c9b
salt=05101b26313c47525d68737e89949faab5c0cbd6e1ecf7020d18232e39444f5a
[bob]
password=99003ba334971734b656fb0a62ce1ef84efabcebef08eda699427eb7aea7ad53
salt=2a35404b56616c77828d98a3aeb9c4cfdae5f0fb06111c27323d48535e69747f
[carol]
password=624228be5e93ce91ca99e2c695d5ccc58e55e45cb450c86deaf0b2ed0c6a66b6
salt=4f5a65707b86919ca7b2bdc8d3dee9f4ff0a15202b36414c57626d78838e99a4
[dave]
password=813834e388f06498b37f1a91817fff87866b97bb36fb0e0e0935296cc0e5bd56
salt=747f8a95a0abb6c1ccd7e2edf8030e19242f3a45505b66717c87929da8b3bec9
[groups]
users=alice,bob,carol,dave
staff=bob
encoders=carol
";

/// A server whose read directory is the rule file `rules.ini` of a temporary tree, with [`USERS`]
/// in `users.cfg`.
#[derive(Debug)]
pub struct Ruled {
    /// The server.
    pub server: Server,
    /// The tree; the rule file lies at its top, so the sections name directories below it.
    pub tree: Tree,
}

impl Ruled {
    /// Starts it over a tree that has been filled before, with more options.
    #[track_caller]
    pub fn over(tree: Tree, kind: Kind, rules: &str, args: &[&str]) -> Self {
        tree.write("rules.ini", rules);
        tree.write("users.cfg", USERS);
        Self::start(tree, kind, args)
    }

    /// The same where the tree holds `rules.ini` and `users.cfg` already.
    #[track_caller]
    pub fn start(tree: Tree, kind: Kind, args: &[&str]) -> Self {
        let (rules, users) = (tree.arg("rules.ini"), tree.arg("users.cfg"));
        let own = ["--rdirs", &rules, "--users", &users, "--maxc", "0", "--maxp", "0"];
        let admin = ["--admin", "127.0.0.1:0", "--max_client_errors", "0"];
        let server = Server::start(kind, &[&own[..], &admin, args].concat());
        Self { server, tree }
    }

    /// A new connection.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.server.client()
    }

    /// One request on a connection of its own, and the whole answer.
    #[track_caller]
    pub fn ask(&self, request: &Request) -> Response {
        self.server.ask(request)
    }

    /// Sends SIGHUP, and waits until the files were read again, or refused; true if they were read.
    #[track_caller]
    pub fn reload(&self) -> bool {
        let counts = || {
            ["done", "failed"].map(|result| {
                self.server.counter(&format!("httpout_reloads_total{{result=\"{result}\"}}"))
            })
        };
        let before = counts();
        self.server.signal(Signal::HUP);
        let after = until("the files are read anew", || Some(counts()).filter(|&c| c != before));
        after[0] > before[0]
    }

    /// How many passwords were checked and right, checked and wrong, and not checked.
    #[track_caller]
    pub fn checks(&self) -> [u64; 3] {
        ["right", "wrong", "refused"].map(|result| {
            self.server.counter(&format!("httpout_password_checks_total{{result=\"{result}\"}}"))
        })
    }

    /// Waits until no unfinished part of an upload is left on the disk.
    #[track_caller]
    pub fn no_parts_left(&self) {
        until("the unfinished parts of uploads are removed", || {
            self.tree.parts().is_empty().then_some(())
        });
    }
}

/// The value of `Authorization` for `NAME:PASSWORD`, or for any other bytes (RFC 7617 §2).
pub fn basic(credentials: impl AsRef<[u8]>) -> String {
    format!("Basic {}", base64(credentials.as_ref()))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | usize::from(*group.get(i).unwrap_or(&0)));
        let letter = move |i: usize| match i <= group.len() {
            true => char::from(LETTERS[bits >> (18 - 6 * i) & 63]),
            false => '=',
        };
        (0..4).map(letter).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_encoded() {
        assert_eq!(basic("Aladdin:open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic("a:b"), "Basic YTpi");
        assert_eq!(basic("ab:c"), "Basic YWI6Yw==");
    }
}
