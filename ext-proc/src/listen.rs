//! The socket on which Envoy reaches the server.
//!
//! A Unix socket is bound in a directory of its own, which is open to nobody else, and renamed into
//! place once it has its permissions: at no time is it open to more than those, and a new server
//! takes over the path in one step while the old one finishes its streams.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use meseta_config::ListenAddress;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// A bound socket.
#[derive(Debug)]
pub(crate) enum Listener {
    /// A Unix socket, with what is needed to remove it again.
    Unix(UnixListener, SocketFile),
    /// A TCP socket.
    Tcp(TcpListener),
}

/// A socket file that is ours; removed on drop unless another server has taken the path over.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_some_and(|inode| inode == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Listener {
    /// Binds an address; a Unix socket gets these permissions.
    ///
    /// # Errors
    /// When it cannot be bound, or when something that is not a socket stands at the path.
    pub(crate) async fn bind(address: &ListenAddress, mode: u32) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => Ok(Self::Tcp(TcpListener::bind(address).await?)),
            ListenAddress::Unix(path) => {
                refuse_other_files(path)?;
                let room = Room::beside(path)?;
                let own = room.socket();
                let listener = UnixListener::bind(&own)?;
                std::fs::set_permissions(&own, Permissions::from_mode(mode))?;
                std::fs::rename(&own, path)?;
                let inode = inode(path).unwrap_or_default();
                let path = path.clone();
                Ok(Self::Unix(listener, SocketFile { path, inode }))
            }
        }
    }

    /// The address as it is bound, for the log.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Unix(_, file) => format!("unix:{}", file.path.display()),
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|_| "tcp".to_owned(), |address| format!("tcp:{address}")),
        }
    }
}

/// A directory that is open to this user alone; it goes with the value.
struct Room(PathBuf);

impl Room {
    /// Makes it beside a path, in place of one that a dead process of the same number has left.
    fn beside(path: &Path) -> io::Result<Self> {
        let mut own = path.to_owned().into_os_string();
        own.push(format!(".{}", std::process::id()));
        let room = Self(own.into());
        room.clear();
        DirBuilder::new().mode(0o700).create(&room.0)?;
        Ok(room)
    }

    /// A short name: the path of a socket has about a hundred bytes in all.
    fn socket(&self) -> PathBuf {
        self.0.join("s")
    }

    fn clear(&self) {
        let _ = std::fs::remove_file(self.socket());
        let _ = std::fs::remove_dir(&self.0);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.clear();
    }
}

fn refuse_other_files(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file at this path that is not a socket",
        )),
        _ => Ok(()),
    }
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::symlink_metadata(path).ok().map(|m| m.ino())
}

/// A connection of either kind.
#[derive(Debug)]
pub(crate) enum Connection {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Connected for Connection {
    type ConnectInfo = Option<TcpConnectInfo>;

    fn connect_info(&self) -> Self::ConnectInfo {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(stream) => Some(stream.connect_info()),
        }
    }
}

/// The connections of a listener. Errors of single connections are passed on, not ended by.
#[derive(Debug)]
pub(crate) struct Incoming(pub(crate) Listener);

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = match &self.get_mut().0 {
            Listener::Unix(listener, _) => listener
                .poll_accept(cx)
                .map_ok(|(stream, _)| Connection::Unix(stream)),
            Listener::Tcp(listener) => listener.poll_accept(cx).map(|accepted| {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                Ok(Connection::Tcp(stream))
            }),
        };
        accepted.map(Some)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Tcp(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_server_takes_the_path_over_and_the_old_one_leaves_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.sock");
        let address = ListenAddress::Unix(path.clone());
        let old = Listener::bind(&address, 0o600).await.unwrap();
        let new = Listener::bind(&address, 0o600).await.unwrap();
        drop(old);
        UnixStream::connect(&path).await.unwrap();
        drop(new);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_has_the_permissions_asked_for_and_leaves_nothing_beside_it() {
        for mode in [0o600, 0o660] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("server.sock");
            // Left by a process that was killed between two steps.
            let stale = dir
                .path()
                .join(format!("server.sock.{}", std::process::id()));
            std::fs::create_dir(&stale).unwrap();
            std::fs::write(stale.join("s"), "").unwrap();
            let address = ListenAddress::Unix(path.clone());
            let _listener = Listener::bind(&address, mode).await.unwrap();
            let metadata = std::fs::metadata(&path).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, mode);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "keep").unwrap();
        let error = Listener::bind(&ListenAddress::Unix(path.clone()), 0o600)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"keep");
    }
}
