use super::*;

/// Of the password `password`; from the tests of argon2's reference implementation.
const ARGON2: [&str; 2] = [
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
];
/// Of the password `correct horse`; from libxcrypt.
const BCRYPT: [&str; 2] = [
    "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
    "$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
];

fn check(credential: &Credential, password: &str) -> bool {
    verify(Some(credential), &Secret::new(password.into()))
}

/// Takes the password and nothing near it.
fn assert_only(credential: &Credential, password: &str) {
    assert!(check(credential, password), "{credential:?}");
    let upper = password.to_uppercase();
    for wrong in ["", "x", &upper, &password[1..], &password[..password.len() - 1]] {
        assert!(!check(credential, wrong), "{credential:?} takes {wrong:?}");
    }
    assert!(!check(credential, &format!("{password}x")), "{credential:?}");
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

#[test]
fn argon2id() {
    for hash in ARGON2 {
        assert_only(&Credential::Argon2(hash.into()), "password");
    }
}

#[test]
fn bcrypt() {
    for hash in BCRYPT {
        assert_only(&Credential::Bcrypt(hash.into()), "correct horse");
    }
    let of_nothing = "$2a$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq";
    assert!(check(&Credential::Bcrypt(of_nothing.into()), ""));
    assert!(!check(&Credential::Bcrypt(of_nothing.into()), "x"));
}

#[test]
fn sha1() {
    let digest = hex("2f9e53523b62abc141a2b4d6019d23cba835dbd0");
    assert_only(&Credential::Sha1(digest), "correct horse");
}

#[test]
fn salted_sha256_of_gpac() {
    let digest = hex("80ee8a70cd65fcc6e6988d3bb25ab9ccb2a4b9f4f93fd6aa13494fcb9a5c1f2e");
    let salt: Vec<u8> = (0..32).collect();
    assert_only(&Credential::Salted { digest, salt: salt.clone() }, "correct horse");
    let other = Credential::Salted { digest, salt: salt[1..].to_vec() };
    assert!(!check(&other, "correct horse"));
}

#[test]
fn our_own_hash() {
    let secret = Secret::new("correct horse".into());
    let (one, other) = (hash(&secret).unwrap(), hash(&secret).unwrap());
    assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
    assert_ne!(one, other, "the salt is random");
    let parsed = parse_argon2(&one).unwrap();
    assert_eq!(parsed.salt.unwrap().len(), 16);
    assert_eq!(parsed.hash.unwrap().len(), 32);
    assert!(verify(Some(&Credential::Argon2(one)), &secret));
}

#[test]
fn no_user_has_a_password() {
    assert!(!verify(None, &Secret::new(String::new())));
    assert!(!verify(None, &Secret::new("there is no user".into())));
}

#[test]
fn a_hash_of_excessive_price_is_not_tried() {
    let argon2 = |params: &str| {
        parse_argon2(&format!(
            "$argon2id$v=19${params}$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
        ))
    };
    assert!(argon2("m=1048576,t=100,p=1").is_ok());
    assert_eq!(argon2("m=1048577,t=1,p=1").unwrap_err(), "it needs more than 1 GiB of memory");
    assert_eq!(argon2("m=8,t=101,p=1").unwrap_err(), "it needs more than 100 passes");
    assert!(!check(
        &Credential::Argon2("$argon2id$v=19$m=1048577,t=101,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4".into()),
        "x"
    ));

    let bcrypt = |cost: &str| check_bcrypt(&BCRYPT[0].replace("$04$", cost));
    assert_eq!(bcrypt("$18$"), Ok(()));
    assert_eq!(bcrypt("$19$").unwrap_err(), "it needs more than 2^18 rounds");
    assert!(!check(&Credential::Bcrypt(BCRYPT[0].replace("$04$", "$31$")), "correct horse"));
}

#[test]
fn a_broken_hash_matches_nothing() {
    let argon2 = [
        "",
        "$",
        "$argon2id$",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
        "$scrypt$ln=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    ];
    for hash in argon2 {
        assert!(!check(&Credential::Argon2(hash.into()), "password"), "{hash}");
        assert!(!check(&Credential::Argon2(hash.into()), ""), "{hash}");
    }
    for hash in [
        "",
        "$2y$",
        &BCRYPT[0][..59],
        &BCRYPT[0].replace("$2b$", "$1b$"),
        &BCRYPT[0].replace("$04$", "$03$"),
    ] {
        assert!(!check(&Credential::Bcrypt(hash.into()), "correct horse"), "{hash}");
        assert!(!check(&Credential::Bcrypt(hash.into()), ""), "{hash}");
    }
}
