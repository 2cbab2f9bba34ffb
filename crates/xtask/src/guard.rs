//! A process between us and a server that we start: the server ends when we do, however we end.
//!
//! A child outlives a parent that is killed. The guard holds the other end of a pipe to us: when the pipe closes, be it
//! by a drop, an error, ctrl-c or `kill -9`, the guard kills the server and removes its data. It is this same program
//! with another first argument, in a process group of its own so that ctrl-c does not reach it first.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::tree;

/// A server that ends with this value.
pub(crate) struct Guarded {
    guard: Child,
}

impl Guarded {
    /// Starts `server`, its output in `log`; `waste` is removed when it has ended.
    pub(crate) fn start(server: &Command, log: &Path, waste: Option<&Path>) -> Result<Self> {
        let guard = Command::new(own_program()?)
            .arg("guard")
            .arg(log)
            .arg(waste.unwrap_or(Path::new("")))
            .arg(server.get_program())
            .args(server.get_args())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("could not start the guard of a server")?;
        Ok(Self { guard })
    }

    /// Whether the server is still running.
    pub(crate) fn is_alive(&mut self) -> Result<bool> {
        Ok(self.guard.try_wait()?.is_none())
    }

    /// Waits until the server ends by itself.
    pub(crate) fn wait(&mut self) -> Result<()> {
        // `Child::wait` would close the pipe first.
        while self.is_alive()? {
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        if let Err(error) = self.guard.wait() {
            crate::report::failure(&format!("could not wait for the guard of a server: {error}"));
        }
    }
}

/// Runs as the guard: `guard LOG WASTE PROGRAM ARGS…`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [log, waste, program, rest @ ..] = arguments else {
        bail!("guard is started by xtask itself");
    };
    let log = File::create(log).context("could not make the log")?;
    let mut server = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("could not start {program}"))?;
    watch(&mut server, std::io::stdin())?;
    if waste.is_empty() { Ok(()) } else { tree::remove(&PathBuf::from(waste)) }
}

/// Returns when the server has ended, after killing it if the pipe from our parent ended first.
fn watch(server: &mut Child, mut pipe: impl Read + Send + 'static) -> Result<()> {
    let (parent_gone, parent) = mpsc::channel();
    thread::spawn(move || {
        let mut rest = Vec::new();
        // Nothing is ever sent: an end and an error both mean that the parent is gone.
        let end = pipe.read_to_end(&mut rest);
        parent_gone.send(end)
    });
    while server.try_wait()?.is_none() {
        if parent.recv_timeout(POLL).is_ok() {
            server.kill()?;
            server.wait()?;
        }
    }
    Ok(())
}

/// Returns a path to this program that holds even after cargo has replaced its file by a newer build.
fn own_program() -> Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() { Ok(link.to_owned()) } else { std::env::current_exe().context("could not find this program") }
}

/// Short beside the start of a JVM, long beside a system call.
const POLL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(seconds: &str) -> Child {
        Command::new("sleep").arg(seconds).spawn().expect("sleep starts")
    }

    #[test]
    fn server_is_killed_when_the_pipe_closes() {
        let (pipe, parent) = std::io::pipe().expect("a pipe");
        let mut server = sleeper("600");
        drop(parent);
        watch(&mut server, pipe).expect("the server can be killed");
        assert!(!server.wait().expect("it ended").success());
    }

    #[test]
    fn server_that_ends_by_itself_is_noticed() {
        let (pipe, parent) = std::io::pipe().expect("a pipe");
        let mut server = sleeper("0");
        watch(&mut server, pipe).expect("the server can be watched");
        assert!(server.wait().expect("it ended").success());
        drop(parent);
    }
}
