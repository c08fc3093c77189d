//! `pylayer image`: an OCI image layout from layers, what is known of them, and a base image.

mod arguments;
mod compose;
mod encoding;
mod given;
mod request;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use oci_spec::image::{DescriptorBuilder, ImageManifestBuilder};
use serde_json::Value;

pub use arguments::ImageArguments;
use given::Given;
pub use request::ImageRequest;

use crate::digest::Digest;
use crate::error::{Error, Fault, Result};
use crate::fs::{self, Input, Output, OutputFolder};
use crate::inspect;
use crate::layer::warnings::Kind;
use crate::layer::{CancelCheck, Warnings};
use crate::oci::{self, Config, Descriptor, Image, Layout, MediaType, Platform};

/// What an image is called in its layout's index, unless it is named: what tools look for where
/// no tag is given.
const TAG: &str = "latest";

/// The most layers that Docker and containerd mount.
const MOST_LAYERS: usize = 127;

/// The annotation of a manifest that names the base image (OCI image-spec, annotations.md).
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// An image that is ready to appear.
#[derive(Debug)]
pub struct FinishedImage {
    folder: OutputFolder,
    report: Option<Output>,
    /// What is probably not meant.
    pub warnings: Warnings,
}

impl FinishedImage {
    /// Has it appear.
    pub fn publish(self) -> Result<()> {
        self.folder.publish()?;
        self.report.map_or(Ok(()), Output::publish)
    }
}

/// A base image and where its blobs are.
struct Base {
    layout: Layout,
    image: Image,
}

/// Makes the image that a request asks for; its paths are relative to `base`.
pub fn build(request: &ImageRequest, base: &Path, check: CancelCheck<'_>) -> Result<FinishedImage> {
    let target = request.target(base);
    keep_sources(request, base, &target)?;
    let base_image = match &request.base {
        Some(path) => {
            let layout = Layout::open(&encoding::path(base, path))?;
            let image = layout.image(request.platform.as_ref())?;
            Some(Base { layout, image })
        }
        None => None,
    };
    let mut config = if let Some(base) = &base_image {
        base.image.config.clone()
    } else {
        Config::empty(request.platform.clone().unwrap_or_default())
    };
    let given = request
        .layers
        .iter()
        .map(|layer| Given::new(layer, base, check))
        .collect::<Result<Vec<_>>>()?;
    let known = config.rootfs.diff_ids().iter().cloned().collect();
    let (layers, warnings) = distinct(&given, known);
    let count = config.rootfs.diff_ids().len() + layers.len();
    if count > MOST_LAYERS {
        let what = format!("{count} layers are more than the {MOST_LAYERS} that can be mounted");
        return Err(Error::input(what).hint("merge some of them: `groups` of `py_layer_tier`"));
    }

    let mut folder = OutputFolder::create(&target, Layout::is_all_of)?;
    let mut report = request.report(base).map(|path| Output::create(&path)).transpose()?;
    folder.create_dir("blobs/sha256")?;
    compose::config(&mut config, request, &given, &layers)?;
    let mut descriptors = Vec::new();
    if let Some(Base { layout, image }) = &base_image {
        for layer in image.manifest.layers() {
            let algorithm = layer.digest().algorithm();
            folder.create_dir(&format!("blobs/{algorithm}"))?;
            place(&mut folder, request, layer, &layout.blob(layer)?, check)?;
            descriptors.push(layer.clone());
        }
    }
    for &index in &layers {
        let layer = &given[index];
        let descriptor = layer.descriptor()?;
        place(&mut folder, request, &descriptor, &layer.input, check)?;
        descriptors.push(descriptor);
    }

    let config_descriptor = write(&folder, MediaType::ImageConfig, &oci::json(&config)?)?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(config_descriptor)
        .layers(descriptors);
    let manifest = match &base_image {
        Some(base) => manifest.annotations(
            [(BASE_DIGEST, &base.image.digest)]
                .map(|(key, value)| (key.to_owned(), value.to_string())),
        ),
        None => manifest,
    };
    let manifest = manifest.build().map_err(invalid)?;
    let mut descriptor = write(&folder, MediaType::ImageManifest, &oci::json(&manifest)?)?;
    let tag = request.tag.as_deref().unwrap_or(TAG);
    descriptor.set_annotations(Some([(oci::REF_NAME.to_owned(), tag.to_owned())].into()));
    let mut descriptor = serde_json::json!(descriptor);
    descriptor["platform"] = platform_object(&config);
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::ImageIndex,
        "manifests": [descriptor],
    });
    folder.write("index.json", &oci::json(&index)?)?;
    folder.write("oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}")?;
    if let Some(report) = &mut report {
        let page = inspect::page(&request.name(), folder.path(), check)?;
        report.write(page.as_bytes())?;
    }
    Ok(FinishedImage { folder, report, warnings })
}

/// A config's platform, as an index has it. (`oci-spec`'s type writes `os_version`, where the
/// specification has `os.version`.)
fn platform_object(config: &Config) -> Value {
    let mut platform = serde_json::json!({ "os": config.os, "architecture": config.architecture });
    if let Some(variant) = Platform::of(config).variant {
        platform["variant"] = variant.into();
    }
    if let Some(version) = config.rest.get("os.version") {
        platform["os.version"] = version.clone();
    }
    platform
}

/// Refuses an output that would take the place of a source.
fn keep_sources(request: &ImageRequest, base: &Path, target: &Path) -> Result<()> {
    let also = |source: PathBuf| {
        Err(Error::input("the output is also a source:")
            .at(source)
            .hint("write the image and its report to places of their own"))
    };
    let report = request.report(base).map(|report| fs::identity(&report));
    if report.as_ref().is_some_and(|report| report.starts_with(fs::identity(target))) {
        return Err(Error::usage("the report is inside the image's folder:")
            .at(target)
            .hint("write it beside the folder"));
    }
    let target_is = fs::canonical(target);
    for source in request.sources() {
        let source = encoding::path(base, source);
        let is = fs::canonical(&source);
        let in_target = is.iter().any(|is| target_is.iter().any(|target| is.starts_with(target)));
        if in_target || is.is_some() && is == report {
            return also(source);
        }
    }
    Ok(())
}

/// Which of the layers are in the image: not those without entries, nor those that it has already.
/// Clouds that stream images refuse those that have either.
fn distinct(given: &[Given], mut known: BTreeSet<String>) -> (Vec<usize>, Warnings) {
    let (mut taken, mut warnings) = (Vec::new(), Warnings::default());
    for (index, layer) in given.iter().enumerate() {
        if layer.is_empty {
            warnings.add(Kind::EmptyLayer, format!("`{}`", layer.path()));
        } else if known.insert(layer.diff_id.to_string()) {
            taken.push(index);
        } else {
            warnings.add(Kind::KnownLayer, format!("`{}`", layer.path()));
        }
    }
    (taken, warnings)
}

/// Puts a layer's blob into the layout, unless it is there.
fn place(
    folder: &mut OutputFolder,
    request: &ImageRequest,
    descriptor: &Descriptor,
    input: &Input,
    check: CancelCheck<'_>,
) -> Result<()> {
    check()?;
    let digest = descriptor.digest();
    let name = format!("blobs/{}/{}", digest.algorithm(), digest.digest());
    folder.place(&name, input, request.placing(), check)
}

/// Writes a blob; gives its descriptor.
fn write(folder: &OutputFolder, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor> {
    let digest = Digest::of(bytes);
    let name = digest.to_string().replace(':', "/");
    folder.write(&format!("blobs/{name}"), bytes)?;
    describe(media_type, digest, bytes.len() as u64)
}

/// A blob's descriptor.
fn describe(media_type: MediaType, digest: Digest, size: u64) -> Result<Descriptor> {
    let digest: oci_spec::image::Digest = digest.to_string().parse().map_err(invalid)?;
    DescriptorBuilder::default()
        .media_type(media_type)
        .digest(digest)
        .size(size)
        .build()
        .map_err(invalid)
}

/// The error for a part of an image that is made wrongly here.
fn invalid(source: oci_spec::OciSpecError) -> Error {
    Error::new(Fault::Internal, "an image's part").because(source)
}
