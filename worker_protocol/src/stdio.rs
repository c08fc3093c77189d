//! Standard input and output belong to the protocol alone.
//!
//! Bazel kills a worker for one stray byte on standard output, and
//! a child process that reads standard input would eat requests. So both are
//! moved to descriptors that no child inherits and nobody else knows; in their
//! places stand `/dev/null` and standard error.
//!
//! The streams stay as they are: `O_NONBLOCK` would belong to the other processes
//! that share them, too. Each read and write asks first whether it would wait.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// What a pipe with any room takes without waiting: `PIPE_BUF`, on other systems the least that
/// POSIX allows it to be.
const PIECE: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// The streams that Bazel holds the other ends of.
#[derive(Debug)]
pub(crate) struct Stdio {
    pub(crate) input: Stream,
    pub(crate) output: Stream,
    pub(crate) reader: Reader,
}

/// Moves the streams. From here on everything printed goes to standard error,
/// which Bazel keeps as the worker's log.
///
/// To be called inside a tokio runtime.
pub(crate) fn take() -> io::Result<Stdio> {
    // Numbers above 2 also where the process was started without a standard stream.
    let input = fcntl_dupfd_cloexec(stdio::stdin(), 3)?;
    let output = fcntl_dupfd_cloexec(stdio::stdout(), 3)?;
    stdio::dup2_stdin(File::open("/dev/null")?)?;
    stdio::dup2_stdout(stdio::stderr())?;
    let reader = output.try_clone()?;
    Ok(Stdio {
        input: Stream::new(input, Interest::READABLE)?,
        output: Stream::new(output, Interest::WRITABLE)?,
        reader: Reader(watch(reader, Interest::ERROR).ok()),
    })
}

/// One end of a pipe, socket or terminal, or a file.
#[derive(Debug)]
pub(crate) enum Stream {
    Waiting(AsyncFd<File>),
    /// A regular file or `/dev/null`, which never make wait, and which epoll(7) refuses.
    Ready(File),
}

impl Stream {
    fn new(file: OwnedFd, interest: Interest) -> io::Result<Self> {
        match watch(File::from(file), interest) {
            Ok(file) => Ok(Self::Waiting(file)),
            Err((file, error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                Ok(Self::Ready(file))
            }
            Err((_, error)) => Err(error),
        }
    }
}

/// Has the runtime watch a file; an error gives it back.
fn watch<T: AsRawFd>(file: T, interest: Interest) -> Result<AsyncFd<T>, (T, io::Error)> {
    // tokio has deprecated it for types whose `as_raw_fd` lies; what takes its place is unsafe.
    #[allow(deprecated, reason = "files and descriptors stay what they are while they are owned")]
    AsyncFd::try_with_interest(file, interest)
        .map_err(tokio::io::unix::AsyncFdTryNewError::into_parts)
}

/// What can be done at once; empty if nothing.
fn state(file: &impl AsFd, wanted: PollFlags) -> io::Result<PollFlags> {
    let mut polled = [PollFd::new(file, wanted)];
    poll(&mut polled, Some(&Timespec::default()))?;
    Ok(polled[0].revents())
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut read = |mut file: &File| {
            let read = file.read(buffer.initialize_unfilled())?;
            buffer.advance(read);
            Ok(())
        };
        match self.get_mut() {
            Self::Ready(file) => Poll::Ready(read(file)),
            Self::Waiting(file) => loop {
                let mut guard = ready!(file.poll_read_ready(context))?;
                if !state(file, PollFlags::IN)?.is_empty() {
                    return Poll::Ready(read(file.get_ref()));
                }
                guard.clear_ready();
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Ready(file) => Poll::Ready(file.write(bytes)),
            Self::Waiting(file) => loop {
                let mut guard = ready!(file.poll_write_ready(context))?;
                if !state(file, PollFlags::OUT)?.is_empty() {
                    let piece = &bytes[..bytes.len().min(PIECE)];
                    return Poll::Ready(file.get_ref().write(piece));
                }
                guard.clear_ready();
            },
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Whoever reads what this process writes.
#[derive(Debug)]
pub(crate) struct Reader(Option<AsyncFd<OwnedFd>>);

impl Reader {
    /// Waits until there is none. Where that cannot be seen, for ever: then the next write fails.
    pub(crate) async fn gone(self) {
        if let Some(output) = &self.0 {
            while let Ok(mut guard) = output.ready(Interest::ERROR | Interest::READABLE).await {
                match state(output, PollFlags::empty()) {
                    // One socket for both streams, of which the requests have ended: this stays
                    // so, and there is nothing more to be seen.
                    Ok(state) if state.is_empty() && guard.ready().is_read_closed() => break,
                    Ok(state) if state.is_empty() => guard.clear_ready(),
                    _ => return,
                }
            }
        }
        std::future::pending::<()>().await;
    }
}
