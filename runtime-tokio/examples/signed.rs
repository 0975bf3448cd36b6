//! URLs that are signed and expire: who has none is told 403. The logic is a hook; files are sent
//! as ever.
//!
//!     cargo run -p httpout-tokio --example signed -- DIR
//!     curl -O 'http://127.0.0.1:PORT/film.mp4?expires=…&token=…'   # one for each file

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::{env, error::Error, fs, io, net::TcpListener, sync::Arc, time::UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use httpout_tokio::{
    Config, Options, Server,
    hook::{Headers, Hook, HookDecision, Request, Service, Status},
    serve,
};
use sha2::Sha256;

/// Half an hour, in seconds.
const VALID: u64 = 1800;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = env::args_os().nth(1).ok_or("usage: signed DIR")?;
    let signer = Signer { key: b"to be read from where nobody else reads".to_vec() };
    let mut config = Config::default();
    config.read_dirs = vec![dir.clone().into()];
    let mut options = Options::default();
    options.hook = Some(Arc::new(signer.clone()));

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = Server::bind(config, options, vec![listener])?;
    for file in fs::read_dir(dir)?.filter_map(Result::ok) {
        let path = format!("/{}", file.file_name().display());
        println!("http://{}{}", server.local_addrs()[0], signer.sign(&path, now() + VALID));
    }
    println!("until you press Enter");
    let handle = server.handle();
    std::thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shut_down();
    });
    serve(server).await?;
    Ok(())
}

#[derive(Clone, Debug)]
struct Signer {
    key: Vec<u8>,
}

impl Signer {
    /// A URL of this path that holds until then, in seconds since 1970.
    fn sign(&self, path: &str, expires: u64) -> String {
        let token = self.mac(path, expires).finalize().into_bytes();
        let token: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{path}?expires={expires}&token={token}")
    }

    /// True if the query signs the path, and still holds.
    fn is_signed(&self, path: &str, query: &str) -> bool {
        let value = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let (Some(expires), Some(token)) =
            (value("expires").and_then(|it| it.parse().ok()), value("token"))
        else {
            return false;
        };
        let Some(token) = unhex(token) else { return false };
        // Compares in constant time.
        self.mac(path, expires).verify_slice(&token).is_ok() && expires >= now()
    }

    fn mac(&self, path: &str, expires: u64) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key);
        let mut mac = mac.unwrap_or_else(|_| unreachable!("a key of HMAC may have any length"));
        mac.update(format!("{expires} {path}").as_bytes());
        mac
    }
}

impl Hook for Signer {
    fn ask(&self, request: Request) -> Option<Box<dyn Service>> {
        let target = &request.facts().question().target;
        let path = format!("/{}", target.path);
        let verdict = if self.is_signed(&path, target.query.as_deref().unwrap_or_default()) {
            HookDecision::pass(Headers::default())
        } else {
            HookDecision::answer(
                Status::FORBIDDEN,
                Headers::default(),
                "this URL is not signed, or expired\n".into(),
            )
        };
        request.answer(verdict);
        None
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn now() -> u64 {
    UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
