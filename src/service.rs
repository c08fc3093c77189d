//! What all ways of running share: an action comes in, its files appear, an answer goes out.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};

use tracing::{debug, debug_span, info, info_span, warn};
use worker_protocol::{Abandoned, CancelToken, Context, Handler, Reply, Request};

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
use crate::observe::Verbose;
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
                let Origin { base, cancel, .. } = origin;
                let wanted = || cancel.check().map_err(|Abandoned| Error::abandoned());
                load::load(&request, base, &wanted)?;
                Ok(Answer::default())
            }
            Action::Diff(request) => {
                let Origin { base, cancel, .. } = origin;
                let wanted = || cancel.check().map_err(|Abandoned| Error::abandoned());
                let diff::Compared { same, text } = diff::diff(&request, base, &wanted)?;
                Ok(Answer { text, differs: !same, ..Answer::default() })
            }
            Action::Inspect(request) => {
                let Origin { base, cancel, .. } = origin;
                let wanted = || cancel.check().map_err(|Abandoned| Error::abandoned());
                let inspect::Told { text, report } = inspect::inspect(&request, base, &wanted)?;
                match cancel.publish(|| report.map_or(Ok(()), Output::publish)) {
                    Ok(published) => published?,
                    Err(Abandoned) => return Err(Error::abandoned()),
                }
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
        let check = || cancel.check().map_err(|Abandoned| Error::abandoned());
        let woken = Waiter::default();
        let cancelled = woken.clone();
        cancel.on_abandon(move || cancelled.cancel());
        let turn = self.pool.turn(woken);
        let context = BuildContext {
            turn: &turn,
            cache: self.cache.as_deref(),
            input_digests,
            digest_function: &self.digest_function,
            digest_attribute: self.startup.digest_attribute.as_deref(),
            check: &check,
        };
        let (finished, report) = build(&targets, &spec, &context)?;
        match debug_span!("publish").in_scope(|| cancel.publish(|| finished.publish())) {
            Ok(published) => published?,
            Err(Abandoned) => return Err(Error::abandoned()),
        }
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
    let Origin { cancel, .. } = origin;
    let wanted = || cancel.check().map_err(|Abandoned| Error::abandoned());
    let findings = check::check(request, &wanted)?;
    let text = findings.text();
    let mut log = Output::create(&request.target())?;
    log.write(findings.log().as_bytes())?;
    match cancel.publish(|| log.publish()) {
        Ok(published) => published?,
        Err(Abandoned) => return Err(Error::abandoned()),
    }
    if !findings.errors.is_empty() {
        return Err(Error::input(text.trim_end()));
    }
    let notes = if findings.is_empty() { String::new() } else { text };
    Ok(Answer { notes, ..Answer::default() })
}

/// Makes an image.
fn make_image(request: &ImageRequest, origin: Origin<'_>) -> Result<Answer> {
    let Origin { base, cancel, .. } = origin;
    let wanted = || cancel.check().map_err(|Abandoned| Error::abandoned());
    let mut finished = image::build(request, base, &wanted)?;
    let warnings = std::mem::take(&mut finished.warnings);
    match cancel.publish(|| finished.publish()) {
        Ok(published) => published?,
        Err(Abandoned) => return Err(Error::abandoned()),
    }
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

/// A `WorkRequest` that has been read.
#[derive(Debug)]
pub struct Job {
    action: Action,
    request: Request,
}

impl Handler for Service {
    type Job = Job;

    fn prepare(&self, request: Request) -> Result<(Vec<PathBuf>, Job), worker_protocol::Error> {
        let arguments = request.arguments.iter().map(OsString::from).collect();
        let base = base(&request);
        let action = Action::parse(arguments, base).map_err(|error| failed(&error))?;
        if matches!(&action, Action::Layer(layer) | Action::Segment(layer) if layer.writes_to_stdout())
        {
            let what = "`--output=-` is for a command at a shell, not for a worker";
            return Err(failed(&Error::usage(what)));
        }
        if matches!(action, Action::Load(_)) {
            // What it starts prints to standard output, which is the protocol's.
            let what = "`pylayer load` is for a shell, not for a worker";
            return Err(failed(&Error::usage(what)));
        }
        let outputs = match &action {
            // What cannot be read as a whole fails when it is handled, and writes nothing.
            Action::Layer(layer) | Action::Segment(layer) => layer
                .targets(base)
                .map_or_else(|_| Vec::new(), |targets| targets.files().map(fs::identity).collect()),
            Action::Check(check) => vec![fs::identity(&check.target())],
            Action::Image(image) => {
                let outputs = std::iter::once(image.target(base)).chain(image.report(base));
                outputs.map(|output| fs::identity(&output)).collect()
            }
            Action::Inspect(inspect) => {
                inspect.target(base).iter().map(|output| fs::identity(output)).collect()
            }
            Action::Print(_) | Action::Cache(_) | Action::Diff(_) | Action::Load(_) => Vec::new(),
        };
        Ok((outputs, Job { action, request }))
    }

    fn handle(&self, job: Job, context: &Context) -> Result<Reply, worker_protocol::Error> {
        let Job { action, request } = job;
        let base = base(&request);
        let known = request.inputs.iter().filter(|input| !input.digest.is_empty());
        let input_digests =
            InputDigests::new(base, known.map(|input| (input.path.as_bytes(), &*input.digest)));
        let origin = Origin { base, input_digests: &input_digests, cancel: context.token() };
        let _verbose = Verbose::new(request.verbosity);
        // The runtime's own span began before this request was known to be verbose.
        let told = request.verbosity > 0;
        let _span = told.then(|| info_span!("request", id = request.request_id).entered());
        // What goes wrong with a request that nobody wants is nobody's concern: its sources may be
        // gone already.
        let why = |error: Error| match context.check() {
            Ok(()) => failed(&error),
            Err(abandoned) => abandoned.into(),
        };
        let Answer { text, differs, notes, warnings } = self.act(action, origin).map_err(why)?;
        let mut output = text + &notes;
        for (kind, line) in warnings {
            warn!("{line}");
            if kind.is_for_users() {
                output = format!("{output}pylayer: warning: {line}\n");
            }
        }
        if differs {
            let code = Fault::Input.exit_code().into();
            return Err(worker_protocol::Error::failed(code, output));
        }
        Ok(Reply::text(output))
    }
}

/// What a request's paths are relative to: its sandbox, or the working directory. Paths without a
/// sandbox stay as they are, so that messages have them as Bazel wrote them.
fn base(request: &Request) -> &Path {
    if request.sandbox_dir.is_empty() { Path::new("") } else { request.base() }
}

/// What Bazel is told of an error.
fn failed(error: &Error) -> worker_protocol::Error {
    match error.fault() {
        Fault::Abandoned => Abandoned.into(),
        fault => worker_protocol::Error::failed(
            fault.exit_code().into(),
            format_args!("pylayer: {error}"),
        ),
    }
}
