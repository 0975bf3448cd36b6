//! Clients with certificates: who is let in, and as whom.

use std::sync::Arc;

use httpout_tests::authority::{Authority, Issued, Subject};
use httpout_tests::{Client, Kind, Response, Ruled, Tree, both, get, put};
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};

#[cfg(feature = "tools")]
mod curl;
#[cfg(feature = "tools")]
mod ffmpeg;

both! {
    a_client_without_a_certificate_is_refused,
    a_certificate_of_another_authority_is_refused,
    a_certificate_that_is_not_valid_is_refused,
    rules_know_a_client_by_its_certificate,
    a_resumed_session_has_the_same_name,
    credentials_go_before_the_certificate,
    without_a_certificate_a_password_will_do,
    rules_need_no_users_file,
    the_log_tells_the_name,
    authorities_are_read_anew,
}

const RULES: &str = "\
[www]
wu=encoder.example,eve@example.com
[www/private]
ru=encoder.example,alice
[www/staff]
rg=staff
";

/// A server with certificates of its own authority, and another authority for its clients.
struct Mutual {
    site: Ruled,
    server: Authority,
    clients: Authority,
}

fn start(kind: Kind, args: &[&str]) -> Mutual {
    let [server, clients] = ["of the server", "of clients"].map(Authority::new);
    let tree = Tree::new();
    for name in ["www/a.txt", "www/private/a.txt", "www/staff/a.txt"] {
        tree.write(name, name);
    }
    let issued = server.issue(&Subject::default());
    tree.write("cert.pem", issued.cert);
    tree.write("key.pem", issued.key);
    tree.write("ca.pem", clients.pem());
    let (cert, key, ca) = (tree.arg("cert.pem"), tree.arg("key.pem"), tree.arg("ca.pem"));
    let log = tree.arg("access.log");
    let own = ["--cert", &cert, "--pkey", &key, "--client-ca", &ca, "--access-log", &log];
    let site = Ruled::over(tree, kind, RULES, &[&own[..], args].concat());
    Mutual { site, server, clients }
}

impl Mutual {
    fn named(&self, common: &str, names: &[&str]) -> Issued {
        self.clients.issue(&Subject { common, names, ..Subject::default() })
    }

    fn config(&self, own: Option<&Issued>) -> Arc<ClientConfig> {
        self.server.client(&[&TLS13], own)
    }

    fn connect(&self, own: Option<&Issued>) -> Client {
        let client = Client::connect_tls(self.site.server.address(), self.config(own));
        client.expect("a handshake")
    }

    #[track_caller]
    fn ask(&self, own: Option<&Issued>, path: &str) -> Response {
        self.connect(own).ask(&get(path))
    }

    /// What the client is told instead of an answer. In TLS 1.3, it has finished the handshake by
    /// then.
    #[track_caller]
    fn refusal(&self, own: Option<&Issued>) -> [String; 2] {
        [&TLS12, &TLS13].map(|version| {
            let config = self.server.client(&[version], own);
            match Client::connect_tls(self.site.server.address(), config) {
                Err(error) => error.to_string(),
                Ok(mut client) => {
                    let _ = client.try_send(get("/a.txt").bytes());
                    client.try_end().expect_err("the client was let in")
                }
            }
        })
    }
}

fn a_client_without_a_certificate_is_refused(kind: Kind) {
    let mutual = start(kind, &[]);
    let [old, new] = mutual.refusal(None);
    assert!(old.contains("CertificateRequired"), "{old}");
    assert!(new.contains("CertificateRequired"), "{new}");
    mutual.ask(Some(&mutual.named("anybody", &[])), "/a.txt").status_is(200);
}

fn a_certificate_of_another_authority_is_refused(kind: Kind) {
    for auth in ["required", "optional"] {
        let mutual = start(kind, &["--client-auth", auth]);
        let forged = Authority::new("of clients");
        let issued = forged.issue(&Subject { common: "alice", names: &[], ..Subject::default() });
        for said in mutual.refusal(Some(&issued)) {
            assert!(said.contains("fatal alert"), "{said}");
        }
        // That of the server says nothing about clients.
        let issued = mutual.server.issue(&Subject { common: "alice", ..Subject::default() });
        for said in mutual.refusal(Some(&issued)) {
            assert!(said.contains("UnknownCA"), "{said}");
        }
    }
}

fn a_certificate_that_is_not_valid_is_refused(kind: Kind) {
    let mutual = start(kind, &[]);
    for days in [[-30, -1], [1, 30]] {
        let subject = Subject { common: "alice", days, ..Subject::default() };
        for said in mutual.refusal(Some(&mutual.clients.issue(&subject))) {
            assert!(said.contains("CertificateExpired"), "{said}");
        }
    }
}

fn rules_know_a_client_by_its_certificate(kind: Kind) {
    let mutual = start(kind, &[]);
    // By the common name; without one, by the first alternative name. An address is no name.
    let encoders = [
        mutual.named("encoder.example", &[]),
        mutual.named("encoder.example", &["alice"]),
        mutual.named("", &["encoder.example", "alice"]),
        mutual.named("", &["192.0.2.1", "encoder.example"]),
    ];
    for issued in &encoders {
        mutual.connect(Some(issued)).ask(&put("/new.txt", "new")).status_in(&[200, 201]);
        mutual.ask(Some(issued), "/private/a.txt").status_is(200);
        mutual.ask(Some(issued), "/staff/a.txt").status_is(403);
    }
    let mail = mutual.named("", &["eve@example.com"]);
    mutual.connect(Some(&mail)).ask(&put("/new.txt", "new")).status_is(200);
    mutual.ask(Some(&mail), "/private/a.txt").status_is(403);
    // A user of the file, by groups too.
    mutual.ask(Some(&mutual.named("bob", &[])), "/staff/a.txt").status_is(200);
    // Somebody, but nobody in particular.
    for issued in [mutual.named("mallory", &["alice"]), mutual.named("", &["192.0.2.1"])] {
        mutual.ask(Some(&issued), "/a.txt").status_is(200);
        mutual.ask(Some(&issued), "/private/a.txt").status_in(&[401, 403]);
        mutual.connect(Some(&issued)).ask(&put("/new.txt", "x")).status_in(&[401, 403]);
    }
    let odd = mutual.named("alice\n", &[]);
    mutual.ask(Some(&odd), "/private/a.txt").status_is(401);
}

fn a_resumed_session_has_the_same_name(kind: Kind) {
    let mutual = start(kind, &[]);
    let encoder = mutual.named("encoder.example", &[]);
    for version in [&TLS12, &TLS13] {
        let config = mutual.server.client(&[version], Some(&encoder));
        for resumed in [false, true] {
            let client = Client::connect_tls(mutual.site.server.address(), config.clone());
            let mut client = client.expect("a handshake");
            client.ask(&get("/private/a.txt")).status_is(200);
            let kind = client.tls().handshake_kind();
            assert_eq!(kind == Some(rustls::HandshakeKind::Resumed), resumed, "{kind:?}");
        }
    }
}

fn credentials_go_before_the_certificate(kind: Kind) {
    let mutual = start(kind, &[]);
    let encoder = mutual.named("encoder.example", &[]);
    let mut client = mutual.connect(Some(&encoder));
    client.ask(&get("/private/a.txt").of("alice")).status_is(200);
    client.ask(&get("/staff/a.txt").of("bob")).status_is(200);
    client.ask(&get("/private/a.txt").of("bob")).status_is(403);
    client.ask(&get("/private/a.txt").by("alice", "wrong")).status_is(401);
    client.ask(&get("/private/a.txt")).status_is(200);
}

fn without_a_certificate_a_password_will_do(kind: Kind) {
    let mutual = start(kind, &["--client-auth", "optional"]);
    mutual.ask(None, "/a.txt").status_is(200);
    mutual.ask(None, "/private/a.txt").status_is(401);
    mutual.connect(None).ask(&get("/private/a.txt").of("alice")).status_is(200);
    mutual.ask(Some(&mutual.named("alice", &[])), "/private/a.txt").status_is(200);
}

fn rules_need_no_users_file(kind: Kind) {
    let mutual = start(kind, &[]);
    let Mutual { site: Ruled { server, tree }, .. } = mutual;
    let args = |ca: &'static [&str]| {
        let of = |name: &str| tree.arg(name);
        let mut args = vec!["--rdirs".to_owned(), of("rules.ini")];
        args.extend(["--cert".into(), of("cert.pem"), "--pkey".into(), of("key.pem")]);
        args.extend(ca.iter().map(|&word| if word == "ca.pem" { of(word) } else { word.into() }));
        args
    };
    drop(server);
    let start = |args: &[String]| {
        let mut command = httpout_tests::Server::command(kind, &["--port", "auto"]);
        command.args(args).env("HOME", tree.root()).env_remove("XDG_CONFIG_HOME");
        command
    };
    let exit = httpout_tests::Server::ends(start(&args(&[])));
    assert!(exit.stderr.contains("there is no users file"), "{exit:?}");
    let exit = httpout_tests::Server::run(start(&args(&["--client-ca", "ca.pem"]))).stop();
    assert!(!exit.stderr.contains("does not have"), "{exit:?}");
}

fn the_log_tells_the_name(kind: Kind) {
    let mutual = start(kind, &[]);
    mutual.ask(Some(&mutual.named("encoder.example", &[])), "/a.txt").status_is(200);
    let Ruled { server, tree } = mutual.site;
    server.stop();
    let log = String::from_utf8(tree.read("access.log").expect("a log")).expect("text");
    assert!(log.contains(" - encoder.example ["), "{log}");
}

fn authorities_are_read_anew(kind: Kind) {
    let mutual = start(kind, &[]);
    let encoder = mutual.named("encoder.example", &[]);
    let resumes = mutual.config(Some(&encoder));
    let connect = || Client::connect_tls(mutual.site.server.address(), resumes.clone());
    connect().expect("a handshake").ask(&get("/a.txt")).status_is(200);
    mutual.site.tree.write("ca.pem", Authority::new("another").pem());
    assert!(mutual.site.reload());
    // Not by a session of before, either.
    let said = match connect() {
        Err(error) => error.to_string(),
        Ok(mut client) => client.try_end().expect_err("the client was let in"),
    };
    assert!(said.contains("fatal alert"), "{said}");
}
