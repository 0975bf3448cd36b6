//! Where to listen, and for what.

use httpout_proto::ConfigError;

use super::{Options, values::Scheme};
use crate::{TlsOptions, listen::Port};

/// Ports of URLs that name none.
const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// A place to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'o> {
    /// An interface, an address or `localhost`; `None`: everywhere.
    pub ifce: Option<&'o str>,
    /// The port.
    pub port: Port,
    /// For HTTPS.
    pub secure: bool,
}

impl Options {
    /// The places to listen, each once. With a certificate, all are for HTTPS; but where one is
    /// named for it, by `tls-port` or a destination of that scheme, the others are for plain HTTP.
    pub fn places(&self) -> Vec<Place<'_>> {
        let is_https = |scheme: &Scheme| matches!(scheme, Scheme::Https);
        let has_own = self.tls_port.is_some() || self.urls().any(|dst| is_https(&dst.scheme));
        let (mut plain, mut all) = (Vec::new(), Vec::new());
        let none = self.urls().next().is_none().then_some(None);
        for dst in self.urls().map(Some).chain(none) {
            let named = dst.is_some_and(|dst| is_https(&dst.scheme));
            let secure = self.tls().is_on() && (named || !has_own);
            let port = match self.port {
                Some(Port::Number(0)) | None => {
                    let default = if secure { HTTPS } else { HTTP };
                    Port::Number(dst.and_then(|dst| dst.port).unwrap_or(default))
                }
                Some(port) => port,
            };
            let ifce = self.ifce.as_deref().or_else(|| dst?.ifce.as_deref());
            all.push(Place { ifce, port, secure });
            plain.push(ifce);
        }
        if let Some(port) = self.tls_port {
            let port = if port == Port::Number(0) { Port::Number(HTTPS) } else { port };
            all.extend(plain.into_iter().map(|ifce| Place { ifce, port, secure: true }));
        }
        let mut once = Vec::new();
        for place in all {
            if !once.contains(&place) {
                once.push(place);
            }
        }
        once
    }

    /// Checks the options that need each other, or exclude each other.
    ///
    /// # Errors
    /// HTTPS without a certificate; a port for two things.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_mode()?;
        if self.dst.iter().any(|dst| dst.has_user) {
            let problem = "a server's own URL has no user".into();
            let help = "say who may do what in a rule file (--rdirs); or upload with --hmode push";
            return Err(ConfigError { option: "dst", problem, help });
        }
        let tls: TlsOptions = self.tls();
        let no_certificate = |option, problem: &str| {
            let help = "name one with --cert FILE and --pkey FILE, or make one with --self-signed";
            Err(ConfigError { option, problem: problem.into(), help })
        };
        if !tls.is_on() && self.dst.iter().any(|dst| dst.scheme == Scheme::Https) {
            return no_certificate("dst", "https:// needs a certificate");
        }
        if !tls.is_on() && self.tls_port.is_some() {
            return no_certificate("tls-port", "HTTPS needs a certificate");
        }
        let places = self.places();
        for place in places.iter().filter(|place| place.secure) {
            let same = |other: &Place<'_>| !other.secure && other.port == place.port;
            if let (Port::Number(port), true) = (place.port, places.iter().any(same)) {
                let problem = format!("HTTP and HTTPS cannot both have port {port}");
                let help = "give HTTPS a port of its own with --tls-port, or serve it alone";
                return Err(ConfigError { option: "tls-port", problem, help });
            }
        }
        tls.check()
    }
}
