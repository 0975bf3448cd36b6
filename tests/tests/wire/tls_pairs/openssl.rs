//! With the command openssl.

use httpout_tests::run;

use super::*;

both! { a_certificate_for_development_is_made }

fn a_certificate_for_development_is_made(kind: Kind) {
    let tree = Tree::new();
    tree.dir("www");
    tree.write("www/a.txt", "hello");
    let server = Server::start(kind, &["--rdirs", &tree.arg("www"), "--self-signed"]);
    let address = server.address().to_string();
    // Nobody vouches for it; who takes it from the server as it is finds the right names in it.
    let shown = run("openssl", &["s_client", "-connect", &address, "-showcerts"], b"").ok();
    let begin = shown.find("-----BEGIN").expect("a certificate is shown");
    let end = shown.find("-----END CERTIFICATE-----").expect("a certificate is shown");
    tree.write("ca.pem", format!("{}-----END CERTIFICATE-----\n", &shown[begin..end]));
    let curl = |args: &[&str]| run("curl", &[&["-sS", "--max-time", "60"], args].concat(), b"");
    assert_eq!(curl(&[&server.url("/a.txt")]).code, Some(60));
    let ca = tree.arg("ca.pem");
    assert_eq!(curl(&["--cacert", &ca, &server.url("/a.txt")]).ok(), "hello");
    let port = server.address().port();
    let by_name = format!("https://localhost:{port}/a.txt");
    assert_eq!(curl(&["--cacert", &ca, "--ipv4", &by_name]).ok(), "hello");
}
