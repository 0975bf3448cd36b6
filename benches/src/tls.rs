//! TLS 1.3 with AES-128-GCM and an ECDSA P-256 certificate, beside nginx: downloads, full
//! handshakes, connections that rest.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustls::{
    CipherSuite, ClientConfig, ClientConnection, RootCertStore, StreamOwned, client::Resumption,
    crypto::ring, pki_types::ServerName, version::TLS13,
};

use crate::{
    Plan,
    error::{Context, Error, Result},
    get, measure,
    measure::median,
    peers::{Kind, Lab, Server},
    report::{Report, Target, grouped},
};

const FILE: (&str, u64) = ("1MiB.bin", 1 << 20);
const RESTING: usize = 2000;
const WARM_UP: usize = 64;
/// How many times the figures of nginx we promise.
const LEAST: f64 = 1.0;

/// Lets wrk offer nothing but what is to be measured: it has no option for that, OpenSSL has.
const OPENSSL_CONF: &str = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\n\
                            MinProtocol = TLSv1.3\nCiphersuites = TLS_AES_128_GCM_SHA256\n";

type Stream = StreamOwned<ClientConnection, TcpStream>;

pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let mut report = Report::new(
        format!("tls: {} rounds of {:?}", plan.rounds, plan.seconds),
        &["what", "server", "figure", "× nginx"],
    );
    let (pair, config) = identity(&plan.lab)?;
    let conf = plan.lab.path("openssl.cnf");
    fs::write(&conf, OPENSSL_CONF).context(conf.display())?;
    let kinds = || [Kind::Nginx].into_iter().chain(plan.ours.iter().copied());
    let start = |kind| Server::start_secured(kind, &plan.lab, &[FILE], Some(&pair));
    let servers = kinds().map(start).collect::<Result<Vec<_>>>()?;

    let download = |server: &Server| {
        let mut wrk = Command::new("wrk");
        wrk.env("OPENSSL_CONF", &conf);
        let sample = get::sample_by(wrk, server, FILE.0, plan.seconds)?;
        Ok(sample.per_cpu_second * FILE.1 as f64 / f64::from(1 << 20))
    };
    compare(plan, &servers, "download of 1 MiB, MiB/CPU s", &download, &mut report)?;
    let shake = |server: &Server| handshakes(server, &config, plan.seconds);
    compare(plan, &servers, "full handshakes/CPU s", &shake, &mut report)?;
    drop(servers);

    measure::need_files(RESTING as u64 + 100)?;
    let mut nginx = f64::NAN;
    for kind in kinds() {
        let each = rest(&start(kind)?, &config)?;
        if kind == Kind::Nginx {
            nginx = each;
        }
        report.row([
            "bytes/resting connection".into(),
            kind.name().into(),
            grouped(each),
            format!("{:.2}", each / nginx),
        ]);
    }
    Ok(report)
}

/// The servers take turns; the median of each counts.
fn compare(
    plan: &Plan,
    servers: &[Server],
    what: &str,
    sample: &dyn Fn(&Server) -> Result<f64>,
    report: &mut Report,
) -> Result<()> {
    let mut samples: Vec<Vec<f64>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..plan.rounds {
        for (server, samples) in servers.iter().zip(&mut samples) {
            samples.push(sample(server)?);
        }
    }
    let figures: Vec<f64> = samples.iter().map(|samples| median(samples)).collect();
    let nginx = figures.first().context("nginx")?;
    for (server, figure) in servers.iter().zip(&figures) {
        let (name, ratio) = (server.kind.name(), figure / nginx);
        report.row([what.into(), name.into(), grouped(*figure), format!("{ratio:.2}")]);
        if server.kind != Kind::Nginx {
            report.check(format!("{what}, {name}"), ratio, "× nginx", Target::AtLeast(LEAST));
        }
    }
    Ok(())
}

/// A certificate with its key, in files; and a client that trusts it and resumes nothing.
fn identity(lab: &Lab) -> Result<([PathBuf; 2], Arc<ClientConfig>)> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).context("certificate")?;
    let pair = ["cert.pem", "key.pem"].map(|name| lab.path(name));
    fs::write(&pair[0], made.cert.pem()).context(pair[0].display())?;
    fs::write(&pair[1], made.signing_key.serialize_pem()).context(pair[1].display())?;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).context("certificate")?;
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .context("TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok((pair, Arc::new(config)))
}

/// Full handshakes per second of processor time, one after the other.
fn handshakes(server: &Server, config: &Arc<ClientConfig>, seconds: Duration) -> Result<f64> {
    let end = Instant::now() + seconds;
    let before = server.cpu_seconds()?;
    let mut count = 0;
    while Instant::now() < end {
        let mut stream = connect(server, config)?;
        stream.conn.send_close_notify();
        stream.conn.complete_io(&mut stream.sock).context("close_notify")?;
        count += 1;
    }
    Ok(f64::from(count) / (server.cpu_seconds()? - before))
}

fn connect(server: &Server, config: &Arc<ClientConfig>) -> Result<Stream> {
    let mut stream = TcpStream::connect(server.addr).context(server.addr)?;
    stream.set_nodelay(true).context(server.addr)?;
    let name = ServerName::try_from("localhost").context("name")?;
    let mut tls = ClientConnection::new(config.clone(), name).context("TLS")?;
    while tls.is_handshaking() {
        tls.complete_io(&mut stream).context(server.kind.name())?;
    }
    Ok(StreamOwned::new(tls, stream))
}

/// Bytes of memory for each of many connections, each after one request.
fn rest(server: &Server, config: &Arc<ClientConfig>) -> Result<f64> {
    drop(ask_all(server, config, WARM_UP)?);
    let before = settled(server)?;
    let clients = ask_all(server, config, RESTING)?;
    let after = settled(server)?;
    drop(clients);
    Ok((after as f64 - before as f64) * 1024.0 / RESTING as f64)
}

fn ask_all(server: &Server, config: &Arc<ClientConfig>, count: usize) -> Result<Vec<Stream>> {
    let mut buffer = [0; 1 << 10];
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = connect(server, config)?;
        stream.write_all(b"HEAD /1MiB.bin HTTP/1.1\r\nHost: localhost\r\n\r\n").context("write")?;
        let got = stream.read(&mut buffer).context("answer")?;
        if !buffer[..got].starts_with(b"HTTP/1.1 200") {
            return Err(Error::new(format!("{}: no 200", server.kind.name())));
        }
        streams.push(stream);
    }
    Ok(streams)
}

/// Resident memory, once everything that was asked is done with.
fn settled(server: &Server) -> Result<u64> {
    thread::sleep(Duration::from_millis(500));
    server.memory_kib("VmRSS")
}
