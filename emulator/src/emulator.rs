//! One running emulator: a port, a thread with a runtime behind it, and handles to all it holds.

use crate::api::{Aws, Control, EntraClients, Google, Vault};
use crate::server;
use crate::state::State;
use crate::state::azure::HSM;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// A fake AWS KMS, Azure Key Vault and Google Cloud KMS on 127.0.0.1, until dropped.
pub struct Emulator {
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An emulator that is to be started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Builder {
    port: u16,
    seed: Option<u64>,
}

impl Builder {
    /// The port; 0, which it is unless said, is a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Makes the ids of keys, versions and requests the same in every run; key material is always random.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts it; the port is open when this returns.
    pub fn start(self) -> io::Result<Emulator> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))?;
        listener.set_nonblocking(true)?;
        let state = Arc::new(State::new(listener.local_addr()?.port(), self.seed)?);
        let acceptor = state.authority.acceptor()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("emulator")
            .worker_threads(2)
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let serving = state.clone();
        // The runtime lives on its own thread, so that an emulator may be dropped inside another runtime.
        let thread = std::thread::Builder::new().name("emulator".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::spawn(server::run(serving, listener, acceptor));
                let _ = stopped.await;
            });
            runtime.shutdown_timeout(Duration::from_secs(2));
        })?;
        Ok(Emulator { state, stop: Some(stop), thread: Some(thread) })
    }
}

impl Emulator {
    /// Starts one on a free port.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Prepares one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.state.port
    }

    /// `http://127.0.0.1:PORT`: the endpoint, and also the proxy.
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// `https://127.0.0.1:PORT`.
    pub fn https_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port())
    }

    /// The certificate of the authority that signs all server certificates, in PEM.
    pub fn ca_pem(&self) -> String {
        self.state.authority.pem.clone()
    }

    /// The same in DER.
    pub fn ca_der(&self) -> Vec<u8> {
        self.state.authority.der.clone()
    }

    /// Writes [`Emulator::ca_pem`] to a file.
    pub fn write_ca(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, &self.state.authority.pem)
    }

    /// KMS and STS.
    pub fn aws(&self) -> Aws<'_> {
        Aws { state: &self.state }
    }

    /// The vault `https://NAME.vault.azure.net`; `default` is the one at 127.0.0.1.
    pub fn vault(&self, name: &str) -> Vault<'_> {
        Vault { state: &self.state, name: name.to_ascii_lowercase() }
    }

    /// The Managed HSM `https://NAME.managedhsm.azure.net`.
    pub fn managed_hsm(&self, name: &str) -> Vault<'_> {
        Vault { state: &self.state, name: format!("{}{HSM}", name.to_ascii_lowercase()) }
    }

    /// The clients of the token endpoint.
    pub fn entra(&self) -> EntraClients<'_> {
        EntraClients { state: &self.state }
    }

    /// Google Cloud KMS, and what issues its tokens.
    pub fn google(&self) -> Google<'_> {
        Google { state: &self.state }
    }

    /// Faults, switches, counts and the clock.
    pub fn control(&self) -> Control<'_> {
        Control { state: &self.state }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
