//! A TCP connection between programs that a test can cut and mend.

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Forwards a port of its own to another one. Dropping it breaks everything.
pub(super) struct Link {
    address: String,
    up: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Link {
    /// A link to `target`, `host:port`.
    pub(super) async fn to(target: &str) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (up, state) = watch::channel(true);
        let target = target.to_owned();
        let accepting = tokio::spawn(async move {
            while let Ok((inner, _)) = listener.accept().await {
                tokio::spawn(forward(inner, target.clone(), state.clone()));
            }
        });
        Link { address, up, accepting }
    }

    /// Where it listens, `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Breaks every connection; new ones are accepted and hear nothing until [`Link::mend`].
    pub(super) fn cut(&self) {
        self.up.send_replace(false);
    }

    /// Lets connections through again.
    pub(super) fn mend(&self) {
        self.up.send_replace(true);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Ends with either side, or when the link is cut or dropped.
async fn forward(mut inner: TcpStream, target: String, mut state: watch::Receiver<bool>) {
    if state.wait_for(|up| *up).await.is_err() {
        return;
    }
    let Ok(mut outer) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut inner, &mut outer) => {}
        _ = state.wait_for(|up| !up) => {}
    }
}
