//! Push mode over TLS: whom it trusts, and what it shows of itself.

use httpout_tests::authority::{Authority, Subject};
use httpout_tests::{Kind, Pusher, Server, Site, Tree, both};

both! {
    a_server_of_a_known_authority_is_trusted,
    an_authority_that_is_not_named_is_not_trusted,
    a_certificate_for_another_name_is_refused,
    an_expired_certificate_is_refused,
    insecure_takes_any_and_warns,
    a_client_certificate_is_shown,
    without_a_client_certificate_it_says_so,
    a_server_without_tls_is_told,
    streams_and_large_files_go_over_tls,
    what_is_wrong_with_its_files_is_told,
}

/// A server with a certificate for this, its authority in `ca.pem`, and a file `a`.
fn secured(kind: Kind, subject: &Subject<'_>, more: &[&str]) -> (Server, Tree, Authority) {
    let (tree, authority) = (Tree::new(), Authority::new("an authority"));
    let issued = authority.issue(subject);
    tree.write("cert.pem", issued.cert);
    tree.write("key.pem", issued.key);
    tree.write("ca.pem", authority.pem());
    tree.write("a", "secret");
    tree.dir("www");
    let (cert, key, www) = (tree.arg("cert.pem"), tree.arg("key.pem"), tree.arg("www"));
    let args = ["--cert", &cert, "--pkey", &key, "--rdirs", &www, "--wdir", &www];
    let server = Server::start(kind, &[&args[..], more].concat());
    (server, tree, authority)
}

/// The command line that uploads `a`.
fn args(server: &Server, tree: &Tree, more: &[&str]) -> Vec<String> {
    let own = ["-i".into(), tree.arg("a"), "-o".into(), server.url("/a")];
    own.into_iter().chain(more.iter().map(|&arg| arg.to_owned())).collect()
}

fn pushed(kind: Kind, server: &Server, tree: &Tree, more: &[&str]) -> httpout_tests::Exit {
    let args = args(server, tree, more);
    Pusher::run(kind, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn a_server_of_a_known_authority_is_trusted(kind: Kind) {
    let (server, tree, _) = secured(kind, &Subject::default(), &[]);
    let exit = pushed(kind, &server, &tree, &["--ca", &tree.arg("ca.pem"), "--verify"]);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(tree.read("www/a").as_deref(), Some(&b"secret"[..]));
}

fn an_authority_that_is_not_named_is_not_trusted(kind: Kind) {
    let (server, tree, _) = secured(kind, &Subject::default(), &[]);
    pushed(kind, &server, &tree, &[]).failed(&["not trusted", "--ca FILE"]);
    tree.write("other.pem", Authority::new("another").pem());
    let other = tree.arg("other.pem");
    pushed(kind, &server, &tree, &["--ca", &other]).failed(&["not trusted", "--ca FILE"]);
    assert!(!tree.has("www/a"));
}

fn a_certificate_for_another_name_is_refused(kind: Kind) {
    let subject = Subject { names: &["elsewhere.example"], ..Subject::default() };
    let (server, tree, _) = secured(kind, &subject, &[]);
    let exit = pushed(kind, &server, &tree, &["--ca", &tree.arg("ca.pem")]);
    exit.failed(&["for another name", "in the URL"]);
    assert!(!tree.has("www/a"));
}

fn an_expired_certificate_is_refused(kind: Kind) {
    // Our server would not start with it: another authority of the same name has signed a good one
    // instead.
    let subject = Subject { days: [-1, 30], ..Subject::default() };
    let (server, tree, authority) = secured(kind, &subject, &[]);
    let expired = authority.issue(&Subject { days: [-30, -1], ..Subject::default() });
    tree.write("own.pem", expired.cert);
    tree.write("own.key", expired.key);
    let (ca, cert, key) = (tree.arg("ca.pem"), tree.arg("own.pem"), tree.arg("own.key"));
    let exit = pushed(kind, &server, &tree, &["--ca", &ca, "--cert", &cert, "--pkey", &key]);
    exit.failed(&["error: cert: ", "expired"]);
}

fn insecure_takes_any_and_warns(kind: Kind) {
    let site = Site::with(kind, &["--self-signed"]);
    site.tree.write("a", "secret");
    let exit = pushed(kind, &site.server, &site.tree, &["--insecure"]);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(exit.stderr.contains("--insecure"), "{exit:?}");
    assert_eq!(site.read("a").as_deref(), Some(&b"secret"[..]));
}

/// A server that asks its clients for a certificate of the authority `clients`.
fn mutual(kind: Kind) -> (Server, Tree, Authority) {
    let clients = Authority::new("of clients");
    let file = Tree::new();
    file.write("clients.pem", clients.pem());
    let (server, tree, _) =
        secured(kind, &Subject::default(), &["--client-ca", &file.arg("clients.pem")]);
    (server, tree, clients)
}

fn a_client_certificate_is_shown(kind: Kind) {
    let (server, tree, clients) = mutual(kind);
    let issued = clients.issue(&Subject { common: "encoder", names: &[], ..Subject::default() });
    tree.write("own.pem", issued.cert);
    tree.write("own.key", issued.key);
    let (ca, cert, key) = (tree.arg("ca.pem"), tree.arg("own.pem"), tree.arg("own.key"));
    let exit = pushed(kind, &server, &tree, &["--ca", &ca, "--cert", &cert, "--pkey", &key]);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(tree.read("www/a").as_deref(), Some(&b"secret"[..]));
}

fn without_a_client_certificate_it_says_so(kind: Kind) {
    let (server, tree, _) = mutual(kind);
    let args = args(&server, &tree, &["--ca", &tree.arg("ca.pem"), "--grace", "0"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut pusher = Pusher::start(kind, &args);
    pusher.says("client certificate");
    pusher.exit().failed(&["--cert"]);
    assert!(!tree.has("www/a"));
}

fn a_server_without_tls_is_told(kind: Kind) {
    let site = Site::new(kind);
    site.tree.write("a", "x");
    let url = site.server.url("/a").replace("http://", "https://");
    let exit = Pusher::run(kind, &["-i", &site.tree.arg("a"), "-o", &url]);
    exit.failed(&["speaks no TLS", "http://"]);
}

fn streams_and_large_files_go_over_tls(kind: Kind) {
    let (server, tree, _) = secured(kind, &Subject::default(), &[]);
    let content: Vec<u8> = (0..9 << 20).map(|n: u32| (n % 251) as u8).collect();
    tree.write("a", &content);
    let ca = tree.arg("ca.pem");
    let exit = pushed(kind, &server, &tree, &["--ca", &ca]);
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(tree.read("www/a").is_some_and(|read| read == content));
    let url = server.url("/b");
    let (pusher, mut input) = Pusher::fed(kind, &["-i", "-", "-o", &url, "--ca", &ca]);
    std::io::Write::write_all(&mut input, &content).expect("it is read");
    drop(input);
    pusher.ok();
    assert!(tree.read("www/b").is_some_and(|read| read == content));
}

fn what_is_wrong_with_its_files_is_told(kind: Kind) {
    let tree = Tree::new();
    tree.write("a", "x");
    for (option, said) in [("--ca", "error: ca: "), ("--cert", "error: cert: ")] {
        let args = ["-i", &tree.arg("a"), "-o", "https://127.0.0.1:9/a", option, &tree.arg("a")];
        Pusher::run(kind, &args).failed(&[said, "PEM"]);
    }
}
