//! What all ways of running share: an action comes in, its files appear, an answer goes out.

mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};

use tracing::{debug, debug_span, info, info_span, warn};
use worker_protocol::{Abandoned, CancelToken};

use crate::cache::Cache;
use crate::cache::gc::Folder;
use crate::cancel::Waiter;
use crate::check::{self, CheckRequest};
use crate::cli::{Action, CacheDir, CacheRequest, CacheVerb, Startup};
use crate::diff;
use crate::error::{Error, Fault, Result};
use crate::fs::{self, Output};
use crate::image::{self, ImageRequest};
use crate::inspect;
use crate::layer::LayerSpec;
use crate::layer::spec::Targets;
use crate::layer::warnings::Kind as Warning;
use crate::load;
use crate::pipeline::{
    self, BuildContext, DigestFunctionGuess, FinishedLayer, InputDigests, Report,
};
use crate::request::LayerRequest;
use crate::workers::WorkerPool;

/// Performs actions; one for the process.
#[derive(Debug)]
pub struct Service {
    pool: WorkerPool,
    cache: Option<Arc<Cache>>,
    digest_function: DigestFunctionGuess,
    /// Has the cache tidied in the background; none where it is done in between.
    collector: Option<SyncSender<()>>,
    startup: Startup,
}

/// What an action has to say.
#[derive(Debug, Default)]
pub struct Answer {
    /// What was asked for: goes to standard output.
    pub text: String,
    /// Whether what was to be the same differs: the exit code is 1 then.
    pub differs: bool,
    /// What explains the work: goes to standard error.
    pub notes: String,
    /// What is probably not meant: goes to standard error, and to a worker's log.
    pub warnings: Vec<(Warning, String)>,
}

/// What builds the file that a request asks for.
type Build = fn(&Targets, &LayerSpec, &BuildContext<'_>) -> Result<(FinishedLayer, Report)>;

/// Where an action comes from.
#[derive(Clone, Copy, Debug)]
struct Origin<'a> {
    /// What its paths are relative to.
    base: &'a Path,
    input_digests: &'a InputDigests<'a>,
    cancel: &'a CancelToken,
}

impl Origin<'_> {
    /// Whether the action is still wanted.
    fn check(&self) -> Result<()> {
        self.cancel.check().map_err(|Abandoned| Error::abandoned())
    }

    /// Makes what was built appear, if it is still wanted.
    fn publish(&self, publish: impl FnOnce() -> Result<()>) -> Result<()> {
        self.cancel.publish(publish).map_err(|Abandoned| Error::abandoned())?
    }
}

impl Service {
    /// A service for one action: without a cache, unless the command line names one.
    pub fn once(startup: Startup) -> Result<Self> {
        let cache = match &startup.cache_dir {
            CacheDir::At(directory) => Some(Cache::on_disk(directory, startup.cache_size)?),
            CacheDir::Default | CacheDir::None => None,
        };
        Self::new(startup, cache, false)
    }

    /// A service for one action that makes no layer, such as `pylayer cache`: it opens no cache.
    pub fn without_cache(startup: Startup) -> Result<Self> {
        Self::new(startup, None, false)
    }

    /// A service for a worker: with a cache, in Bazel's output base if that is where it runs.
    pub fn worker(startup: Startup) -> Result<Self> {
        let cache = match &startup.cache_dir {
            CacheDir::At(directory) => Cache::on_disk(directory, startup.cache_size)?,
            CacheDir::None => Cache::in_memory(),
            // Where nobody asked for a folder, one that cannot be used is no reason to fail.
            CacheDir::Default => match in_output_base() {
                Some(directory) => Cache::on_disk(&directory, startup.cache_size)
                    .inspect_err(|error| warn!("no cache on disk: {error}"))
                    .unwrap_or_else(|_| Cache::in_memory()),
                None => Cache::in_memory(),
            },
        };
        Self::new(startup, Some(cache), true)
    }

    fn new(startup: Startup, cache: Option<Cache>, background: bool) -> Result<Self> {
        let pool = WorkerPool::new(startup.jobs)?;
        let cache = cache.map(Arc::new);
        let collector = match &cache {
            Some(cache) if background => Some(collector(cache.clone())?),
            _ => None,
        };
        Ok(Self {
            pool,
            cache,
            digest_function: DigestFunctionGuess::default(),
            collector,
            startup,
        })
    }

    /// Performs one action, its paths relative to the working directory.
    pub fn perform(&self, action: Action, cancel: &CancelToken) -> Result<Answer> {
        let input_digests = InputDigests::default();
        self.act(action, Origin { base: Path::new(""), input_digests: &input_digests, cancel })
    }

    fn act(&self, action: Action, origin: Origin<'_>) -> Result<Answer> {
        match action {
            Action::Print(text) => Ok(Answer { text, ..Answer::default() }),
            Action::Layer(request) => self.layer(request, origin, pipeline::build),
            Action::Segment(request) => self.layer(request, origin, pipeline::build_segment),
            Action::Check(request) => check_layers(&request, origin),
            Action::Image(request) => make_image(&request, origin),
            Action::Load(request) => {
                load::load(&request, origin.base, &|| origin.check())?;
                Ok(Answer::default())
            }
            Action::Diff(request) => {
                let compared = diff::diff(&request, origin.base, &|| origin.check())?;
                let diff::Compared { same, text } = compared;
                Ok(Answer { text, differs: !same, ..Answer::default() })
            }
            Action::Inspect(request) => {
                let told = inspect::inspect(&request, origin.base, &|| origin.check())?;
                let inspect::Told { text, report } = told;
                origin.publish(|| report.map_or(Ok(()), Output::publish))?;
                Ok(Answer { text, ..Answer::default() })
            }
            Action::Cache(CacheRequest { verb }) => {
                Ok(Answer { text: self.look_after(verb)?, ..Answer::default() })
            }
        }
    }

    fn layer(&self, request: LayerRequest, origin: Origin<'_>, build: Build) -> Result<Answer> {
        let Origin { base, input_digests, cancel } = origin;
        let explains = request.explains();
        let (targets, spec) = request.into_spec(base)?;
        let _span = info_span!("layer", output = %targets.blob.display()).entered();
        let woken = Waiter::default();
        let cancelled = woken.clone();
        cancel.on_abandon(move || cancelled.cancel());
        let turn = self.pool.turn(woken);
        let check = || turn.check();
        let context = BuildContext {
            turn: &turn,
            cache: self.cache.as_deref(),
            input_digests,
            digest_function: &self.digest_function,
            digest_attribute: self.startup.digest_attribute.as_deref(),
            check: &check,
        };
        let (finished, report) = build(&targets, &spec, &context)?;
        debug_span!("publish").in_scope(|| origin.publish(|| finished.publish()))?;
        if let Some(cache) = &self.cache {
            let (hits, misses) = report.counts();
            cache.count(hits, misses);
            match &self.collector {
                // One that is at work will see this request's segments, or the next one will.
                Some(collector) => drop(collector.try_send(())),
                None => cache.tidy(),
            }
        }
        info!("{}", report.times());
        report.explain().lines().for_each(|line| debug!("{line}"));
        let notes = if explains { report.explain() } else { String::new() };
        let warnings = report.warnings.lines().collect();
        Ok(Answer { notes, warnings, ..Answer::default() })
    }

    fn look_after(&self, verb: CacheVerb) -> Result<String> {
        let named = match &self.startup.cache_dir {
            CacheDir::At(directory) => Some(directory.clone()),
            CacheDir::Default => in_output_base(),
            CacheDir::None => None,
        };
        let directory = named.ok_or_else(|| {
            Error::usage("no cache is named")
                .hint("give --cache-dir=DIR; a worker's is <output_base>/pylayer")
        })?;
        let folder = Folder::open(&directory)?;
        let text = match verb {
            CacheVerb::Stat { json } => {
                let stat = folder.stat();
                if json {
                    serde_json::to_string(&stat).map_err(|source| {
                        Error::new(Fault::Internal, "statistics as JSON").because(source)
                    })?
                } else {
                    format!(
                        "{} segments, {} bytes, {} hits, {} misses",
                        stat.segments, stat.bytes, stat.hits, stat.misses
                    )
                }
            }
            CacheVerb::Verify => {
                let verified = folder.verify();
                format!("{} intact, {} damaged and removed", verified.intact, verified.damaged)
            }
            CacheVerb::Collect => {
                format!("{} bytes freed", folder.collect(self.startup.cache_size))
            }
            CacheVerb::Clear => {
                folder.clear()?;
                "cleared".to_owned()
            }
        };
        Ok(text + "\n")
    }
}

/// Checks an image's layers. The log is written whatever is found; what is wrong is an error.
fn check_layers(request: &CheckRequest, origin: Origin<'_>) -> Result<Answer> {
    let findings = check::check(request, &|| origin.check())?;
    let text = findings.text();
    let mut log = Output::create(&request.target())?;
    log.write(findings.log().as_bytes())?;
    origin.publish(|| log.publish())?;
    if !findings.errors.is_empty() {
        return Err(Error::input(text.trim_end()));
    }
    let notes = if findings.is_empty() { String::new() } else { text };
    Ok(Answer { notes, ..Answer::default() })
}

/// Makes an image.
fn make_image(request: &ImageRequest, origin: Origin<'_>) -> Result<Answer> {
    let mut finished = image::build(request, origin.base, &|| origin.check())?;
    let warnings = std::mem::take(&mut finished.warnings);
    origin.publish(|| finished.publish())?;
    Ok(Answer { warnings: warnings.lines().collect(), ..Answer::default() })
}

/// The cache's folder in the output base that the process runs in: a worker's working directory
/// is `<output_base>/execroot/<workspace>`, or below `<output_base>/bazel-workers` in a sandbox.
fn in_output_base() -> Option<PathBuf> {
    let directory = fs::canonical(Path::new("."))?;
    let inside =
        |ancestor: &Path| ancestor.ends_with("execroot") || ancestor.ends_with("bazel-workers");
    let mut above = directory.ancestors().skip(1);
    Some(above.find(|ancestor| inside(ancestor))?.parent()?.join("pylayer"))
}

/// A thread that tidies the cache whenever it is told to, and ends with the service.
fn collector(cache: Arc<Cache>) -> Result<SyncSender<()>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("collector".to_owned())
        .spawn(move || receiver.iter().for_each(|()| cache.tidy()))
        .map_err(|source| {
            Error::new(Fault::Environment, "cannot start a thread").because(source)
        })?;
    Ok(sender)
}
