//! A remote cache and executor on loopback: `BuildGrid` with `PostgreSQL`, and buildbox's worker, in the
//! root of Debian sid. What they lack is installed there once.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::shell::{Context as _, Result, failure};
use crate::ui;

const SCRIPT: &str = include_str!("remote.sh");

/// Servers that end when this is dropped.
#[derive(Debug)]
pub struct Remote {
    servers: Child,
    port: u16,
}

impl Remote {
    /// Starts them, with nothing stored.
    pub fn start() -> Result<Self> {
        super::bazel()?;
        let folder = super::cache()?.join("pylayer-sid");
        let (root, script) = (folder.join("root"), folder.join("remote.sh"));
        if !root.exists() {
            return Err(failure("the servers run in a root of Debian sid, which is not used here"));
        }
        super::write(&script, SCRIPT)?;
        let ports = free_ports::<3>()?;
        ui::say("start BuildGrid, PostgreSQL, and buildbox");
        let mut command = Command::new("unshare");
        // All of them end with their first process, however that ends.
        command
            .args(["--pid", "--fork", "--kill-child", "sh"])
            .args([&folder.join("enter.sh"), &root])
            .arg("sh")
            .arg(&script)
            .args(ports.map(|port| port.to_string()))
            .arg("/run/pylayer-remote");
        let mut servers = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the remote cache and executor")?;
        let output = servers.stdout.take().map(BufReader::new);
        let said = output.and_then(|output| output.lines().next()).transpose();
        let remote = Self { servers, port: ports[0] };
        match said.context("remote.sh")?.as_deref() {
            Some("ready") => Ok(remote),
            _ => Err(failure("the remote cache and executor did not start; see above")),
        }
    }

    /// What Bazel calls them.
    pub fn address(&self) -> String {
        format!("grpc://127.0.0.1:{}", self.port)
    }

    /// Ends them at once, whatever they are doing.
    pub fn kill(&mut self) -> Result<()> {
        self.servers.kill().context("kill the servers")?;
        self.servers.wait().context("wait for the servers").map(drop)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Gone already after `kill`.
        drop(self.kill());
    }
}

/// Ports of loopback that nobody uses now.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        *port = listener.local_addr().context("no free port")?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
