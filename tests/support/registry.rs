//! A registry on loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Debian's docker-registry, which ends with the test.
pub(crate) struct Registry {
    child: Child,
    /// Its host and port.
    pub(crate) address: String,
}

impl Registry {
    /// Starts it, with what it stores in a folder; none if it is not installed.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        // The port may be another's by the time that the registry asks for it.
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = free.local_addr().unwrap().to_string();
            drop(free);
            let config = format!(
                "{{version: 0.1, storage: {{filesystem: {{rootdirectory: {}}}}}, \
                 http: {{addr: \"{address}\"}}}}",
                folder.join("registry").display()
            );
            let file = folder.join("registry.yml");
            fs::write(&file, config).unwrap();
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(file).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().ok()?;
            while child.try_wait().unwrap().is_none() {
                if TcpStream::connect(&address).is_ok() {
                    return Some(Self { child, address });
                }
                sleep(Duration::from_millis(20));
            }
        }
        panic!("docker-registry does not start");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
