//! Names and passwords: what is asked for, what is taken, how often it is checked, and what clients
//! make of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use httpout_tests::{
    Client, Kind, Request, Response, Ruled, Server, Tree, USERS, basic, both, delete, get, head,
    put,
};

#[cfg(feature = "tools")]
mod curl;
#[cfg(feature = "tools")]
mod ffmpeg;

both! {
    wrong_credentials_are_asked_for_again,
    a_right_password_without_the_right_is_403,
    malformed_credentials_are_400,
    other_schemes_are_no_credentials,
    a_wrong_password_is_answered_after_a_second,
    a_wrong_password_keeps_nobody_else_waiting,
    a_user_that_does_not_exist_is_not_told,
    guessers_are_429,
    a_password_is_checked_once_a_minute,
    pipelined_requests_are_judged_one_by_one,
    passwords_are_taken_over_loopback_only,
    insecure_auth_takes_passwords_from_everywhere,
    users_made_with_creds,
    users_of_htpasswd,
    users_without_a_password_cannot_come_in,
    the_users_file_of_the_configuration_directory_is_read,
    a_rule_that_names_users_needs_a_users_file,
    a_faulty_users_file_is_refused_with_its_line,
}

const RULES: &str = "\
[www]
[www/private]
ru=alice
wu=alice
[www/staff]
rg=staff
wg=encoders
";

fn tree() -> Tree {
    let tree = Tree::new();
    tree.write("www/hello.txt", "hello\n");
    tree.write("www/private/a.txt", "private\n");
    tree.dir("www/staff");
    tree
}

fn site(kind: Kind) -> Ruled {
    Ruled::over(tree(), kind, RULES, &[])
}

#[track_caller]
fn is_prompt(answer: &Response) {
    answer.status_is(401);
    answer.field_is("www-authenticate", "Basic realm=\"httpout\", charset=\"UTF-8\"");
    assert!(answer.get("content-length").is_some(), "a 401 without a length: {answer:?}");
}

/// A request of a name and a password that are not right.
fn wrong(number: u32) -> Request {
    get("/private/a.txt").by("alice", &format!("guess-{number}"))
}

fn wrong_credentials_are_asked_for_again(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    is_prompt(&client.ask(&get("/private/a.txt")));
    // All on one connection, which is kept.
    for (user, password) in [
        ("alice", "wrong"),
        ("alice", ""),
        ("Alice", "alice-secret"),
        ("alice ", "alice-secret"),
        ("", ""),
    ] {
        is_prompt(&client.ask(&get("/private/a.txt").by(user, password)));
    }
    is_prompt(&client.ask(&head("/private/a.txt").by("alice", "alice-secret ")));
    is_prompt(&client.ask(&put("/private/a.txt", "x").by("bob", "alice-secret")));
    is_prompt(&client.ask(&delete("/private/a.txt").by("alice", "bob-secret")));
    client.ask(&get("/private/a.txt").of("alice")).is(200, "private\n");
    assert_eq!(site.checks()[1], 8);
}

fn a_right_password_without_the_right_is_403(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    for request in [get("/private/a.txt"), get("/private/none"), put("/private/a.txt", "x")] {
        let answer = client.ask(&request.of("bob"));
        answer.status_is(403).field_is_absent("www-authenticate");
    }
    // Its password is right, which costs no second.
    assert_eq!(site.checks(), [1, 0, 0]);
}

fn malformed_credentials_are_400(kind: Kind) {
    let site = site(kind);
    let ask = |value: &str| site.ask(&get("/private/a.txt").field("Authorization", value));
    for value in [
        "Basic",
        "Basic !!!!",
        "Basic YWxpY2U",
        "Basic YWxpY2U6YWxpY2Utc2VjcmV0 x",
        "Basic YWxpY2U6YWxpY2Utc2VjcmV0,Basic YWxpY2U6YWxpY2Utc2VjcmV0",
        "Basic\tYWxpY2U6YWxpY2Utc2VjcmV0",
        "Basic YWxpY2U6-_-_",
        &basic("no colon"),
        &basic(b"alice:\xff\xfe"),
        &basic(b"al\x00ice:alice-secret"),
        &basic(b"alice:alice-secret\n"),
        &basic("alice:".to_owned() + &"x".repeat(2000)),
        &basic("x".repeat(2000) + ":alice-secret"),
    ] {
        ask(value).status_in(&[400, 401]);
    }
    let twice = get("/private/a.txt").of("alice").of("alice");
    site.ask(&twice).status_is(400);
    let other = get("/private/a.txt").of("alice").of("bob");
    site.ask(&other).status_is(400);
    let longest = basic("alice:".to_owned() + &"x".repeat(20_000));
    site.ask(&get("/private/a.txt").field("Authorization", longest)).status_is(431);
    assert_eq!(site.checks(), [0, 0, 0], "what is malformed is checked");
    // The scheme is written as one likes (RFC 9110 §11.1), and there may be more than one space
    // behind it.
    let token = basic("alice:alice-secret");
    let token = token.strip_prefix("Basic ").expect("it begins with the scheme");
    for scheme in ["basic ", "BASIC ", "Basic   "] {
        ask(&format!("{scheme}{token}")).is(200, "private\n");
    }
}

fn other_schemes_are_no_credentials(kind: Kind) {
    let site = site(kind);
    for value in
        ["Bearer abc", "Digest username=\"alice\"", "Basically YWxpY2U6YWxpY2Utc2VjcmV0", "x"]
    {
        let answer = site.ask(&get("/private/a.txt").field("Authorization", value));
        is_prompt(&answer);
    }
    // Nor is what a proxy would be told.
    let request = get("/private/a.txt").field("Proxy-Authorization", basic("alice:alice-secret"));
    is_prompt(&site.ask(&request));
    assert_eq!(site.checks(), [0, 0, 0]);
}

fn a_wrong_password_is_answered_after_a_second(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    for (user, password) in [("alice", "wrong"), ("nobody", "wrong")] {
        let began = Instant::now();
        is_prompt(&client.ask(&get("/private/a.txt").by(user, password)));
        assert!(began.elapsed() >= Duration::from_secs(1), "{user}: after {:?}", began.elapsed());
    }
    // Who hangs up meanwhile leaves nothing behind.
    let mut hasty = site.client();
    hasty.send(wrong(1).bytes());
    hasty.abort();
    client.ask(&get("/private/a.txt").of("alice")).is(200, "private\n");
}

fn a_wrong_password_keeps_nobody_else_waiting(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    // A server that waits answers one request in that second, each time; one that does not may be
    // slow now and then.
    let served_meanwhile = (0..5).any(|round| {
        let mut guesser = site.client();
        let began = Instant::now();
        guesser.send(wrong(round).bytes());
        let mut asked = 0;
        while began.elapsed() < Duration::from_secs(1) {
            client.ask(&get("/private/a.txt").of("alice")).is(200, "private\n");
            asked += 1;
        }
        is_prompt(&guesser.response("GET"));
        asked > 1
    });
    assert!(served_meanwhile, "others waited for the answer to a wrong password");
}

fn a_user_that_does_not_exist_is_not_told(kind: Kind) {
    let site = site(kind);
    let shown = |answer: &Response| {
        let fields = answer.fields.iter().filter(|(name, _)| name != "Date").cloned();
        (answer.status, fields.collect::<Vec<_>>(), answer.text())
    };
    let mut client = site.client();
    let known = client.ask(&get("/private/a.txt").by("alice", "wrong"));
    for user in ["nobody", "groups", "staff", "$ALL", "$NONE"] {
        let unknown = client.ask(&get("/private/a.txt").by(user, "wrong"));
        assert_eq!(shown(&unknown), shown(&known), "{user}");
    }
}

fn guessers_are_429(kind: Kind) {
    let site = site(kind);
    let mut known = site.client();
    known.ask(&get("/private/a.txt").of("alice")).is(200, "private\n");
    // Ten of them, not all at once: no more than eight of one peer may wait to be checked.
    for numbers in [0..5, 5..10] {
        let mut guesses: Vec<_> = numbers.map(|number| (number, site.client())).collect();
        for (number, client) in &mut guesses {
            client.send(wrong(*number).bytes());
        }
        for (_, client) in &mut guesses {
            is_prompt(&client.response("GET"));
        }
    }
    let mut client = site.client();
    for request in
        [wrong(10), wrong(0), get("/private/a.txt").of("bob"), put("/private/x", "x").of("carol")]
    {
        let answer = client.ask(&request);
        let seconds: u64 = answer.status_is(429).need("retry-after").parse().expect("seconds");
        assert!((1..=60).contains(&seconds), "{answer:?}");
        answer.field_is_absent("www-authenticate");
    }
    // What this peer has proven before still holds, and what needs no password is served.
    known.ask(&get("/private/a.txt").of("alice")).is(200, "private\n");
    client.ask(&get("/hello.txt")).is(200, "hello\n");
    is_prompt(&client.ask(&get("/private/a.txt")));
    // Another address is not touched by it.
    let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let mut other = Client::connect_from(other, site.server.address());
    other.ask(&get("/private/a.txt").of("bob")).status_is(403);
    other.ask(&get("/private/a.txt").of("alice")).is(200, "private\n");
    let checks = site.checks();
    assert_eq!(checks[1..], [10, 4], "{checks:?}");
}

fn a_password_is_checked_once_a_minute(kind: Kind) {
    let tree = tree();
    let users = tree.arg("users.cfg");
    // Our own hash: argon2id, tens of milliseconds and 19 MiB a check.
    let words = ["creds", "--users", &users, "+alice:password=alice-secret"];
    assert_eq!(Server::fails(kind, &words).code, Some(0));
    tree.write("rules.ini", RULES.replace("rg=staff\nwg=encoders\n", "wu=$NONE\n"));
    let site = Ruled::start(tree, kind, &[]);
    let (began, address) = (Instant::now(), site.server.address());
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(move || {
                let mut client = Client::connect(address);
                for _ in 0..10 {
                    client.ask(&get("/private/a.txt").of("alice")).is(200, "private\n");
                }
            });
        }
    });
    let [right, wrong, refused] = site.checks();
    assert!(right >= 1 && right <= 1 + began.elapsed().as_secs() / 60, "{right} checks");
    assert_eq!([wrong, refused], [0, 0]);
}

fn pipelined_requests_are_judged_one_by_one(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    let requests = [
        (get("/private/a.txt"), 401),
        (get("/private/a.txt").of("alice"), 200),
        (get("/private/a.txt"), 401),
        (put("/private/b.txt", "b").of("alice"), 201),
        (get("/private/b.txt").of("bob"), 403),
        (get("/private/b.txt").by("alice", "wrong"), 401),
        (get("/private/b.txt").of("alice"), 200),
        (get("/hello.txt"), 200),
        (delete("/private/b.txt"), 401),
        (delete("/private/b.txt").of("alice"), 200),
        (get("/private/a.txt"), 401),
    ];
    let all: Vec<u8> = requests.iter().flat_map(|(request, _)| request.bytes()).collect();
    client.send(all);
    for (request, status) in &requests {
        let answer = client.response(request.method());
        assert_eq!(answer.status, *status, "{request:?}: {answer:?}");
    }
    assert!(!site.tree.has("www/private/b.txt"));
}

/// An address of this machine that others can reach it by, if it has one. Nothing is sent to find
/// it.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// A server on all addresses.
fn on_all_addresses(kind: Kind, tree: &Tree, args: &[&str]) -> Server {
    tree.write("rules.ini", RULES.to_owned() + "[www/drop]\nru=$NONE\nwu=$ALL\n");
    tree.write("users.cfg", USERS);
    tree.dir("www/drop");
    let (rules, users) = (tree.arg("rules.ini"), tree.arg("users.cfg"));
    let own = ["--port", "auto", "--rdirs", &rules, "--users", &users];
    Server::launch(kind, &[&own[..], args].concat())
}

fn passwords_are_taken_over_loopback_only(kind: Kind) {
    let tree = tree();
    let server = on_all_addresses(kind, &tree, &[]);
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, server.address().port()));
    Client::connect(local).ask(&get("/private/a.txt").of("alice")).is(200, "private\n");
    is_prompt(&Client::connect(local).ask(&get("/private/a.txt")));
    if let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        drop(listener);
        let local = SocketAddr::from((Ipv6Addr::LOCALHOST, local.port()));
        Client::connect(local).ask(&get("/private/a.txt").of("alice")).is(200, "private\n");
    }
    // A machine that has no other address cannot be asked from elsewhere.
    let Some(address) = outward() else { return };
    let mut client = Client::connect(SocketAddr::from((address, local.port())));
    for request in [
        get("/private/a.txt"),
        get("/private/a.txt").of("alice"),
        get("/private/a.txt").by("alice", "wrong"),
        get("/private/a.txt").field("Authorization", "Basic !"),
        head("/private/none"),
        put("/private/x", "x").of("alice"),
        delete("/private/a.txt").of("alice"),
    ] {
        client.ask(&request).status_is(403).field_is_absent("www-authenticate");
    }
    // No header makes it local.
    for name in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
        let request = get("/private/a.txt").of("alice").field(name, "127.0.0.1");
        client.ask(&request).status_is(403);
    }
    // What needs no password is for all.
    client.ask(&get("/hello.txt")).is(200, "hello\n");
    client.ask(&put("/drop/x", "x")).status_is(201);
    assert_eq!(tree.read("www/private/a.txt").as_deref(), Some(&b"private\n"[..]));
}

fn insecure_auth_takes_passwords_from_everywhere(kind: Kind) {
    let tree = tree();
    let server = on_all_addresses(kind, &tree, &["--insecure-auth"]);
    let address = outward().unwrap_or_else(|| Ipv4Addr::LOCALHOST.into());
    let mut client = Client::connect(SocketAddr::from((address, server.address().port())));
    is_prompt(&client.ask(&get("/private/a.txt")));
    client.ask(&get("/private/a.txt").of("alice")).is(200, "private\n");
    // The operator is told what that means.
    let exit = server.stop();
    assert!(exit.stdout.contains("--insecure-auth"), "{exit:?}");
}

fn users_made_with_creds(kind: Kind) {
    let tree = tree();
    let users = tree.arg("users.cfg");
    let creds = |words: &[&str]| {
        let exit = Server::fails(kind, &[&["creds", "--users", &users], words].concat());
        assert_eq!(exit.code, Some(0), "{words:?}: {exit:?}");
        exit.stdout
    };
    creds(&["+alice:password=alice-secret", "+bob:password=bob-secret"]);
    creds(&["+carol:password=carol-secret", "@+staff:bob", "@+encoders:carol"]);
    let text = String::from_utf8(tree.read("users.cfg").expect("made")).expect("text");
    assert!(text.contains("hash=$argon2id$") && !text.contains("-secret"), "{text}");
    tree.write("rules.ini", RULES);
    tree.write("www/staff/a.txt", "staff\n");
    let site = Ruled::start(tree, kind, &[]);
    site.ask(&get("/private/a.txt").of("alice")).is(200, "private\n");
    site.ask(&get("/staff/a.txt").of("bob")).is(200, "staff\n");
    site.ask(&put("/staff/b.txt", "b").of("carol")).status_is(201);
    site.ask(&get("/private/a.txt").of("bob")).status_is(403);
    is_prompt(&site.ask(&get("/private/a.txt").by("alice", "bob-secret")));
    // A password is changed while the server runs.
    creds(&["_alice:password=another-secret", "-bob", "@+encoders:alice"]);
    assert!(site.reload());
    is_prompt(&site.ask(&get("/private/a.txt").of("alice")));
    is_prompt(&site.ask(&get("/staff/a.txt").of("bob")));
    site.ask(&get("/private/a.txt").by("alice", "another-secret")).is(200, "private\n");
    site.ask(&put("/staff/b.txt", "b").of("carol")).status_is(403);
    site.ask(&put("/staff/b.txt", "b").by("alice", "another-secret")).status_is(200);
}

/// bcrypt as crypt(3) computes it, in the two spellings that are about, and the SHA-1 that
/// `htpasswd -s` writes.
const HTPASSWD: &str = "\
# made long ago
alice:$2b$05$abcdefghijklmnopqrstuuNKmzjZDVRx9ZJS0K0KwGym0eLsRc7uK

bob:$2y$05$abcdefghijklmnopqrstuuNKmzjZDVRx9ZJS0K0KwGym0eLsRc7uK
carol:{SHA}xkAW0DT+/NEmPjZHIJwM16XWYoU=
";

fn users_of_htpasswd(kind: Kind) {
    let tree = tree();
    tree.write("rules.ini", "[www]\n[www/private]\nru=alice,bob,carol\n");
    for text in [HTPASSWD.to_owned(), HTPASSWD.replace('\n', "\r\n")] {
        tree.write("users.cfg", text);
        let args = ["--rdirs", &tree.arg("rules.ini"), "--users", &tree.arg("users.cfg")];
        let server = Server::start(kind, &args);
        let mut client = server.client();
        for (user, password) in
            [("alice", "bcrypt password"), ("bob", "bcrypt password"), ("carol", "secret of eve")]
        {
            client.ask(&get("/private/a.txt").by(user, password)).is(200, "private\n");
            is_prompt(&client.ask(&get("/private/a.txt").by(user, "bcrypt passwore")));
        }
    }
}

fn users_without_a_password_cannot_come_in(kind: Kind) {
    let tree = tree();
    tree.write("rules.ini", "[www]\n[www/private]\nru=new,GHOST\n");
    tree.write("users.cfg", "[new]\nemail=new@example.com\n[groups]\nusers=new\n");
    let site = Ruled::start(tree, kind, &[]);
    for password in ["", "new", "new@example.com"] {
        is_prompt(&site.ask(&get("/private/a.txt").by("new", password)));
    }
    is_prompt(&site.ask(&get("/private/a.txt").by("GHOST", "")));
    // Whom the file does not have is warned of.
    let exit = site.server.stop();
    assert!(exit.stderr.contains("GHOST") && exit.stderr.contains("WARN"), "{exit:?}");
}

fn the_users_file_of_the_configuration_directory_is_read(kind: Kind) {
    let tree = tree();
    tree.write("rules.ini", RULES);
    tree.write("config/httpout/users.cfg", USERS);
    let args = ["--port", "auto", "--ifce", "127.0.0.1", "--rdirs", &tree.arg("rules.ini")];
    let mut command = Server::command(kind, &args);
    command.env("XDG_CONFIG_HOME", tree.path("config")).env_remove("CONFIGURATION_DIRECTORY");
    let server = Server::run(command);
    server.ask(&get("/private/a.txt").of("alice")).is(200, "private\n");
}

fn a_rule_that_names_users_needs_a_users_file(kind: Kind) {
    let tree = tree();
    let start = |rules: &str| {
        tree.write("rules.ini", rules);
        let rules = tree.arg("rules.ini");
        let args = ["--port", "auto", "--ifce", "127.0.0.1", "--rdirs", &rules];
        let mut command = Server::command(kind, &args);
        command.env("XDG_CONFIG_HOME", tree.path("none")).env("HOME", tree.path("none"));
        command.env_remove("CONFIGURATION_DIRECTORY");
        command
    };
    for rules in ["[www]\nru=alice\n", "[www]\nwg=staff\n"] {
        let exit = Server::ends(start(rules));
        assert_eq!(exit.code, Some(78), "{exit:?}");
        assert!(exit.stderr.starts_with("error: "), "{exit:?}");
        assert!(exit.stderr.contains("--users"), "it does not say what to do: {exit:?}");
    }
    let server = Server::run(start("[www]\nru=$ALL\nwu=$NONE\n"));
    server.ask(&get("/hello.txt")).is(200, "hello\n");
    drop(server);
    // One that is named must be there.
    tree.write("rules.ini", "[www]\nru=$ALL\n");
    let args =
        ["--port", "auto", "--rdirs", &tree.arg("rules.ini"), "--users", &tree.arg("nofile")];
    let exit = Server::fails(kind, &args);
    assert!(exit.code != Some(0) && exit.stderr.contains("nofile"), "{exit:?}");
}

fn a_faulty_users_file_is_refused_with_its_line(kind: Kind) {
    let tree = tree();
    tree.write("rules.ini", RULES);
    let (rules, users) = (tree.arg("rules.ini"), tree.arg("users.cfg"));
    let hex = "ab".repeat(32);
    for (text, line) in [
        ("[alice]\npassword=plain\nsalt=00\n".to_owned(), 2),
        (format!("[alice]\npassword={hex}\n"), 2),
        (format!("[alice]\npassword={hex}\nsalt=zz\n"), 3),
        ("[alice]\nhash=plain\n".to_owned(), 2),
        ("[alice]\n[bob]\n[alice]\n".to_owned(), 3),
        ("[alice\n".to_owned(), 1),
        ("alice:plain\n".to_owned(), 1),
        ("# x\nalice:$apr1$abcdefgh$abcdefghijklmnopqrstuv\n".to_owned(), 2),
        ("alice:$2y$05$short\n".to_owned(), 1),
        ("alice:{SHA}xkAW0DT+/NEmPjZHIJwM16XWYoU=\nbob\n".to_owned(), 2),
        (
            "alice:{SHA}xkAW0DT+/NEmPjZHIJwM16XWYoU=\nalice:{SHA}xkAW0DT+/NEmPjZHIJwM16XWYoU=\n"
                .to_owned(),
            2,
        ),
    ] {
        tree.write("users.cfg", &text);
        let exit = Server::fails(kind, &["--port", "auto", "--rdirs", &rules, "--users", &users]);
        assert_eq!(exit.code, Some(78), "{text:?}: {exit:?}");
        let place = format!("{users} line {line}: ");
        assert!(exit.stderr.contains(&place), "{text:?}: {exit:?}");
        assert!(!exit.stderr.contains("plain"), "it shows what may be a password: {exit:?}");
    }
    tree.write("users.cfg", b"[al\xffice]\n");
    let exit = Server::fails(kind, &["--port", "auto", "--rdirs", &rules, "--users", &users]);
    assert!(exit.code != Some(0) && exit.stderr.contains(&users), "{exit:?}");
}
