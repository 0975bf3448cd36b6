//! The TLS of a server: set once, and read again on a reload.

use std::{
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::SystemTime,
};

use httpout_proto::ConfigError;

use super::{Setup, Tls, TlsOptions};

/// The TLS of a server, if it has any.
#[derive(Debug, Default)]
pub(crate) struct Secured(OnceLock<(TlsOptions, RwLock<Arc<Setup>>)>);

/// Certificate, key and authorities, read again and not yet in use.
#[derive(Debug)]
pub(crate) struct Renewal(Option<Setup>);

impl Secured {
    /// Secures connections from now on that come in by
    /// [`ListenerKind::Secure`](crate::ListenerKind::Secure).
    pub(crate) fn set(&self, options: &TlsOptions) -> Result<(), ConfigError> {
        let setup = RwLock::new(Arc::new(Setup::new(options, None)?));
        self.0.set((options.clone(), setup)).map_err(|_| ConfigError {
            option: "cert",
            problem: "TLS is set up already".into(),
            help: "set it up once",
        })
    }

    /// The server's side of a new connection; `None`: there is no TLS, or the system gives no
    /// random bytes.
    pub(crate) fn begin(&self) -> Option<Tls> {
        Some(Tls::new(self.setup()?.driver().ok()?))
    }

    /// When the server's certificate expires.
    pub(crate) fn not_after(&self) -> Option<SystemTime> {
        self.setup().map(|setup| setup.not_after())
    }

    /// Reads the files of the options again.
    ///
    /// # Errors
    /// A file that is broken; a certificate that clients would refuse.
    pub(crate) fn read_anew(&self) -> Result<Renewal, ConfigError> {
        let before = self.setup();
        let setup = self.0.get().map(|(options, _)| Setup::new(options, before.as_deref()));
        setup.transpose().map(Renewal)
    }

    /// Secures new connections by what was read.
    pub(crate) fn renew(&self, renewal: Renewal) {
        if let (Some((_, current)), Renewal(Some(setup))) = (self.0.get(), renewal) {
            *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(setup);
        }
    }

    fn setup(&self) -> Option<Arc<Setup>> {
        let (_, setup) = self.0.get()?;
        Some(setup.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
