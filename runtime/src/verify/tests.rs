use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use super::*;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// Of the password `password`.
const STORED: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

impl Waiter for mpsc::Sender<bool> {
    fn tell(self, right: bool) {
        self.send(right).unwrap();
    }
}

type TestVerifier = Verifier<mpsc::Sender<bool>>;

fn stored() -> Option<Credential> {
    Some(Credential::Argon2(STORED.into()))
}

fn peer(number: u32) -> IpAddr {
    IpAddr::from((0x0a00_0000 + number).to_be_bytes())
}

/// Asks, and waits for what is told.
fn ask(verifier: &TestVerifier, password: &str) -> (Option<Verified>, Option<bool>) {
    let (sender, receiver) = mpsc::channel();
    let outcome = verifier.ask(PEER, "alice", Secret::new(password.into()), stored(), sender);
    (outcome, receiver.recv().ok())
}

#[test]
fn a_right_password_is_told_later_and_then_known() {
    let verifier = TestVerifier::new().unwrap();
    assert_eq!(ask(&verifier, "password"), (None, Some(true)));
    assert_eq!(ask(&verifier, "password"), (Some(Verified::Right), None));
    let (sender, receiver) = mpsc::channel();
    verifier.ask(PEER, "bob", Secret::new("password".into()), None, sender);
    assert_eq!(receiver.recv(), Ok(false), "another user");
}

#[test]
fn a_wrong_password_is_told_later_until_it_is_too_many() {
    let verifier = TestVerifier::new().unwrap();
    for _ in 0..10 {
        assert_eq!(ask(&verifier, "passwort"), (None, Some(false)));
    }
    let (outcome, told) = ask(&verifier, "password");
    assert!(
        matches!(outcome, Some(Verified::TooMany(retry)) if retry > Duration::ZERO),
        "{outcome:?}"
    );
    assert_eq!(told, None);
}

#[test]
fn many_threads_share_one_check() {
    static CHECKS: AtomicUsize = AtomicUsize::new(0);
    let verifier = TestVerifier::with_check(|credential, password| {
        CHECKS.fetch_add(1, Ordering::Relaxed);
        passwords::verify(credential, password)
    });
    let verifier = verifier.unwrap();
    thread::scope(|scope| {
        for number in 0..32 {
            let verifier = &verifier;
            scope.spawn(move || {
                let (sender, receiver) = mpsc::channel();
                let password = Secret::new("password".into());
                let outcome = verifier.ask(peer(number), "alice", password, stored(), sender);
                match outcome {
                    Some(Verified::Right) => assert!(receiver.recv().is_err(), "told twice"),
                    None => assert_eq!(receiver.recv(), Ok(true)),
                    Some(Verified::Wrong | Verified::TooMany(_)) => panic!("nothing was wrong"),
                }
            });
        }
    });
    assert_eq!(CHECKS.load(Ordering::Relaxed), 1);
}

#[test]
fn many_questions_are_all_answered_one_at_a_time() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let verifier = TestVerifier::with_check(|_, password| {
        assert_eq!(RUNNING.fetch_add(1, Ordering::SeqCst), 0);
        thread::yield_now();
        RUNNING.fetch_sub(1, Ordering::SeqCst);
        password.reveal().starts_with("right")
    });
    let verifier = verifier.unwrap();
    thread::scope(|scope| {
        for number in 0..16 {
            let verifier = &verifier;
            scope.spawn(move || {
                for round in 0..16 {
                    let right = round % 4 > 0;
                    let password = format!("{}{round}", if right { "right" } else { "wrong" });
                    let (sender, receiver) = mpsc::channel();
                    let user = number.to_string();
                    let outcome =
                        verifier.ask(peer(number), &user, Secret::new(password), None, sender);
                    assert_eq!((outcome, receiver.recv()), (None, Ok(right)));
                }
            });
        }
    });
}

#[test]
fn asking_does_not_wait_for_a_check() {
    static BEGUN: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);
    let (go_on, held) = mpsc::channel();
    *BEGUN.lock().unwrap() = Some(held);
    let verifier = TestVerifier::with_check(|_, password| {
        if password.reveal() == "held" {
            BEGUN.lock().unwrap().take().unwrap().recv().unwrap();
        }
        true
    });
    let verifier = verifier.unwrap();
    let (sender, receiver) = mpsc::channel();
    for password in ["held", "held", "other"] {
        let password = Secret::new(password.into());
        assert_eq!(verifier.ask(PEER, "alice", password, None, sender.clone()), None);
    }
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
    go_on.send(()).unwrap();
    assert_eq!(receiver.iter().take(3).collect::<Vec<_>>(), [true; 3]);
}

#[test]
fn a_check_that_panics_holds_up_nobody() {
    let verifier = TestVerifier::with_check(|_, password| {
        assert_ne!(password.reveal(), "bad", "as it should, in this test");
        true
    });
    let verifier = verifier.unwrap();
    assert_eq!(ask(&verifier, "bad"), (None, Some(false)));
    assert_eq!(ask(&verifier, "good"), (None, Some(true)));
}

#[test]
fn no_two_questions_have_one_key() {
    let verifier = TestVerifier::new().unwrap();
    let key = |user: &str, password: &str, credential: Option<Credential>| {
        verifier.key(user, &Secret::new(password.into()), credential.as_ref())
    };
    let salted = |salt: &[u8]| Some(Credential::Salted { digest: [1; 32], salt: salt.into() });
    let questions = [
        key("alice", "password", None),
        key("alicep", "assword", None),
        key("alice", "password", stored()),
        key("alice", "password", Some(Credential::Bcrypt(STORED.into()))),
        key("alice", "password", Some(Credential::Sha1([1; 20]))),
        key("alice", "password", salted(b"a")),
        key("alice", "password", salted(b"b")),
        TestVerifier::new().unwrap().key("alice", &Secret::new("password".into()), None),
    ];
    for (at, one) in questions.iter().enumerate() {
        assert!(!questions[at + 1..].contains(one), "{at}");
    }
    assert_eq!(key("alice", "password", None), questions[0]);
}
