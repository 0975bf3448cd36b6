//! With curl.

use httpout_tests::run;

use super::*;

both! { curl_shows_its_certificate }

fn curl_shows_its_certificate(kind: Kind) {
    let mutual = start(kind, &[]);
    let tree = &mutual.site.tree;
    let alice = mutual.named("alice", &[]);
    tree.write("client.pem", alice.cert + &alice.key);
    tree.write("server-ca.pem", mutual.server.pem());
    let (cert, ca) = (tree.arg("client.pem"), tree.arg("server-ca.pem"));
    let url = mutual.site.server.url("/private/a.txt");
    for version in ["1.2", "1.3"] {
        let args = ["-sS", "--max-time", "60", "--cacert", &ca, "--tls-max", version, &url];
        assert_eq!(
            run("curl", &[&args[..], &["-E", &cert]].concat(), b"").ok(),
            "www/private/a.txt"
        );
        // The alert is read, not lost in a reset.
        let refused = run("curl", &args, b"");
        assert!(refused.stderr.contains("alert certificate required"), "{refused:?}");
    }
}
