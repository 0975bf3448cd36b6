//! TLS to a server: which servers to trust, and the handshake.

use std::{future, io, net::SocketAddr, time::Instant};

use httpout_proto::{
    ConfigError,
    push::{DialError, Origin},
};

use super::{Plan, UploadOptions};
use crate::{
    Transport, TrustOptions,
    tls::{ClientSetup, Fault, HandshakeOutcome, Tls, explain},
};

/// Which servers to trust in uploads over TLS.
#[derive(Clone, Debug)]
pub(super) struct Trust(Option<ClientSetup>);

impl Trust {
    /// For uploads beneath this origin. What the options name is read where TLS is not needed, too:
    /// a server may redirect to it.
    ///
    /// # Errors
    /// A file that is broken.
    pub(super) fn of(options: &UploadOptions, origin: &Origin) -> Result<Self, ConfigError> {
        let given = options.trust != TrustOptions::default();
        Self::new(&options.trust, given || origin.is_tls())
    }

    /// For the uploads of the command line.
    ///
    /// # Errors
    /// A file that is broken.
    pub(super) fn of_plan(plan: &Plan) -> Result<Self, ConfigError> {
        if plan.trust.insecure {
            tracing::warn!("whoever answers is taken for the right server (--insecure)");
        }
        Self::new(&plan.trust, plan.uploads.iter().any(|sent| sent.target.origin.is_tls()))
    }

    fn new(options: &TrustOptions, wanted: bool) -> Result<Self, ConfigError> {
        let setup = if wanted { Some(ClientSetup::new(options)?) } else { None };
        Ok(Self(setup))
    }
}

/// Makes TLS of a connection to this origin.
pub(super) async fn shake_hands<T: Transport>(
    transport: &mut T,
    origin: &Origin,
    address: SocketAddr,
    trust: &Trust,
) -> Result<Tls, DialError> {
    let failed = |what: String, temporary| Err(DialError { what, temporary });
    let driver = trust.0.as_ref().map(|trust| trust.driver(origin.host()));
    let mut tls = match driver {
        Some(Ok(driver)) => Tls::new(driver),
        Some(Err(why)) => return failed(format!("TLS cannot begin: {why}"), false),
        None => return failed("TLS is not set up".into(), false),
    };
    let shaken = future::poll_fn(|cx| {
        loop {
            let (shaken, deadline) = tls.poll_handshake(cx, transport, Instant::now());
            if shaken.is_ready() || transport.poll_deadline(cx, deadline).is_pending() {
                return shaken;
            }
        }
    });
    match shaken.await {
        HandshakeOutcome::Open(_) => Ok(tls),
        HandshakeOutcome::Plain(_) => {
            failed(format!("{address} speaks no TLS; write http:// if that is meant"), false)
        }
        HandshakeOutcome::Over(why) => failed(format!("{address}: {why}"), !tls.is_refused()),
    }
}

/// What the server's side of TLS had against this side, if that is why the connection broke.
pub(super) fn fault(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<Fault>()? {
        Fault::Tls(why) => Some(explain(why)),
        Fault::Plain => None,
    }
}
