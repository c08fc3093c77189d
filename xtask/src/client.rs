//! A worker process and the Bazel that it thinks it has.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use prost::Message as _;
use sha2::{Digest as _, Sha256};
use worker_protocol::codec;
use worker_protocol::messages::{Input, WorkRequest, WorkResponse};

use crate::measure::Cost;
use crate::shell::{Context as _, Result, failure};

/// A worker that is running.
pub(crate) struct Client {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// Answers that came while another was waited for.
    skipped: usize,
}

impl Client {
    pub(crate) fn start(worker: &Path, cache: &Path) -> Result<Self> {
        let mut child = Command::new(worker)
            .arg("--cache-dir")
            .arg(cache)
            .arg("--persistent_worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(worker.display())?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Self { child, stdin, stdout, skipped: 0 }),
            _ => Err(failure("the worker has no pipes")),
        }
    }

    /// Sends a request and waits for its answer, which has to be good. As Bazel does, removes what
    /// the request will write.
    pub(crate) fn request(&mut self, request: &WorkRequest) -> Result<Duration> {
        for argument in request.arguments.iter().take(3) {
            if let Some((_, path)) = argument.split_once('=') {
                drop(fs::remove_file(path));
            }
        }
        let start = Instant::now();
        self.send(request)?;
        loop {
            let answer = codec::read_frame(&mut self.stdout, codec::MAX_FRAME);
            let elapsed = start.elapsed();
            let answer = answer.map_err(|error| failure(error.to_string()))?;
            let answer = answer.ok_or_else(|| failure("the worker has ended"))?;
            let response = WorkResponse::decode(&*answer);
            let response = response.map_err(|error| failure(error.to_string()))?;
            if response.exit_code != 0 {
                return Err(failure(response.output));
            }
            if response.request_id == request.request_id {
                return Ok(elapsed);
            }
            self.skipped += 1;
        }
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn send(&mut self, request: &WorkRequest) -> Result<()> {
        let frame = request.encode_length_delimited_to_vec();
        self.stdin.write_all(&frame).context("the worker reads no more")
    }

    /// How many answers came while others were waited for.
    pub(crate) const fn skipped(&self) -> usize {
        self.skipped
    }

    /// What so many requests cost, each on average, with the peak of the process so far.
    pub(crate) fn cost(&mut self, request: &WorkRequest, times: u32) -> Result<Cost> {
        let before = self.cpu()?;
        let mut wall = Duration::ZERO;
        for _ in 0..times {
            wall += self.request(request)?;
        }
        let cpu = self.cpu()?.saturating_sub(before) / times;
        Ok(Cost { cpu, wall: wall / times, memory: self.status("VmHWM:")? })
    }

    /// The bytes that are resident now.
    pub(crate) fn resident(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// User and system time so far; the kernel counts in hundredths of a second.
    fn cpu(&self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = fs::read_to_string(&path).context(&path)?;
        let fields: Vec<&str> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
        match (ticks(11), ticks(12)) {
            (Some(user), Some(system)) => Ok(Duration::from_millis((user + system) * 10)),
            _ => Err(failure(format!("{path} is not as proc(5) says"))),
        }
    }

    fn status(&self, key: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).context(&path)?;
        let value = status.lines().find_map(|line| line.strip_prefix(key));
        let kibibytes = value.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok());
        kibibytes
            .map(|number: u64| number << 10)
            .ok_or_else(|| failure(format!("{path} is not as proc(5) says")))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The bench is over; what it built is not needed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A request for a layer of these trees, with the digests that Bazel would send.
pub(crate) fn request(output: &Path, trees: &[(String, PathBuf)]) -> Result<WorkRequest> {
    let mut request = WorkRequest { request_id: 1, ..WorkRequest::default() };
    let mut argument = |text: String| request.arguments.push(text);
    argument("layer".to_owned());
    argument(format!("--output={}", output.display()));
    argument(format!("--metadata={}.json", output.display()));
    for (name, tree) in trees {
        argument(format!("--package={name}"));
        argument(format!("--tree={}", tree.display()));
        argument(format!("--to=app.runfiles/pip/{name}"));
    }
    for (_, tree) in trees {
        claim(tree, &mut request.inputs)?;
    }
    Ok(request)
}

/// Adds the digests of all files below a folder.
fn claim(folder: &Path, inputs: &mut Vec<Input>) -> Result<()> {
    let entries = fs::read_dir(folder).context(folder.display())?;
    let paths = entries.map(|entry| Ok(entry.context(folder.display())?.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_>>()?;
    // Bazel expands a tree in order.
    paths.sort();
    for path in paths {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            claim(&path, inputs)?;
        } else {
            inputs.push(Input { digest: digest(&path)?, path: path.display().to_string() });
        }
    }
    Ok(())
}

/// A file's digest as Bazel writes it.
pub(crate) fn digest(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).context(path.display())?;
    let hex = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
    Ok(hex.concat().into_bytes())
}
