//! Reading OCI image layouts (OCI image-spec, image-layout.md).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, MediaType, OciLayout};
use serde::de::DeserializeOwned;

use super::{Config, Platform};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::{self, Input};

/// The largest index, manifest, or config that is read, in bytes; registries take 4 MiB.
const LARGEST: u64 = 16 << 20;

/// The most images of a layout that are looked at.
const MOST_IMAGES: usize = 1000;

/// What is at the top of a layout, where tools that write layouts put anything.
const MEMBERS: [&str; 6] =
    ["blobs", "index.json", "ingest", "manifest.json", "oci-layout", "repositories"];

/// The annotation of an index that names an image.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A folder that is an OCI image layout.
#[derive(Debug)]
pub struct Layout {
    path: PathBuf,
}

/// An image of a layout.
#[derive(Debug)]
pub struct Image {
    /// The manifest's digest.
    pub digest: oci_spec::image::Digest,
    /// The manifest, Docker's media types made OCI's.
    pub manifest: ImageManifest,
    /// The config.
    pub config: Config,
    /// What the index says of it.
    pub name: Name,
}

/// What an index says of an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Name {
    /// The tag, or whatever else its writer names it by.
    pub reference: Option<String>,
    /// What it is for.
    pub platform: Platform,
}

impl Layout {
    /// Whether a folder is a layout, and nothing else.
    pub fn is_all_of(path: &Path) -> bool {
        let is_known = |member: &fs::Member| MEMBERS.iter().any(|name| member.name == *name);
        fs::exists(&path.join("oci-layout"))
            && fs::read_dir(path).is_ok_and(|members| members.iter().all(is_known))
    }

    /// Opens a layout.
    pub fn open(path: &Path) -> Result<Self> {
        let mark = path.join("oci-layout");
        if !fs::exists(&mark) {
            let what = if fs::exists(path) {
                "not an OCI image layout:"
            } else {
                "there is no image layout"
            };
            return Err(Error::input(what).at(path).hint(
                "a layout is a folder with the files `oci-layout` and `index.json`, such as \
                 `skopeo copy docker://IMAGE oci:DIR` makes",
            ));
        }
        let mark_is: OciLayout = parse(&fs::read(&mark, LARGEST)?, &mark)?;
        if !mark_is.image_layout_version().starts_with("1.") {
            let version = mark_is.image_layout_version();
            let what = format!("version {version} of image layouts is not known:");
            return Err(Error::input(what).at(mark));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a blob: its size must be what the descriptor says.
    pub fn blob(&self, descriptor: &Descriptor) -> Result<Input> {
        let path = self.blob_path(descriptor);
        if !fs::exists(&path) {
            let hint = format!("fetch the whole image; the layout is `{}`", self.path.display());
            return Err(Error::input("a blob is missing:").at(path).hint(hint));
        }
        let input = Input::open(&path)?;
        if input.size() != descriptor.size() {
            let (is, said) = (input.size(), descriptor.size());
            let what = format!("a blob has {is} bytes, and its descriptor says {said}:");
            return Err(Error::input(what).at(path).hint("fetch the image again"));
        }
        Ok(input)
    }

    /// Where a blob is.
    fn blob_path(&self, descriptor: &Descriptor) -> PathBuf {
        let digest = descriptor.digest();
        // Neither part of a valid digest has a slash or is `..`.
        self.path.join("blobs").join(digest.algorithm().as_ref()).join(digest.digest())
    }

    /// The bytes of an index, a manifest, or a config, which must have their digest.
    fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        drop(self.blob(descriptor)?);
        let path = self.blob_path(descriptor);
        let bytes = fs::read(&path, LARGEST)?;
        let digest = Digest::of(&bytes).to_string();
        let named = descriptor.digest().as_ref();
        if named.starts_with("sha256:") && named != digest {
            let what = format!("a blob is damaged: its digest is {digest},");
            return Err(Error::input(what).at(path).hint("fetch the image again"));
        }
        Ok(bytes)
    }

    /// The image for a platform; the only one there is, where no platform is asked for.
    pub fn image(&self, platform: Option<&Platform>) -> Result<Image> {
        let (mut images, others) = self.find(platform)?;
        if images.len() == 1 {
            return images.pop().ok_or_else(|| Error::input("no image in").at(&*self.path));
        }
        let names = images.iter().map(|image| &image.name).chain(&others);
        let list: Vec<String> = names.map(|name| format!("\n  {name}")).collect();
        let list = list.concat();
        let fitting = images.len();
        let several = match platform {
            _ if list.is_empty() => {
                return Err(Error::input("there is no image in").at(&*self.path));
            }
            Some(platform) if fitting == 0 => format!("no image for {platform} in"),
            Some(platform) => format!("{fitting} images for {platform} in"),
            None => format!("{fitting} images in"),
        };
        Err(Error::input(several).at(&*self.path).hint(format!(
            "choose one with --platform, or copy one to a layout of its own \
             (`skopeo copy oci:DIR:TAG oci:NEW`):{list}"
        )))
    }

    /// The images for a platform, or all, each once, and what others there are. What is no image,
    /// such as an attestation, is left out.
    fn find(&self, platform: Option<&Platform>) -> Result<(Vec<Image>, Vec<Name>)> {
        let fits = |name: &Name| platform.is_none_or(|asked| asked.accepts(&name.platform));
        let path = self.path.join("index.json");
        let index: ImageIndex = parse(&fs::read(&path, LARGEST)?, &path)?;
        let mut pending: Vec<Descriptor> = index.manifests().iter().rev().cloned().collect();
        let mut seen = BTreeSet::new();
        let (mut images, mut others) = (Vec::new(), Vec::new());
        while let Some(descriptor) = pending.pop() {
            if !seen.insert(descriptor.digest().to_string()) {
                continue;
            }
            if seen.len() > MOST_IMAGES {
                let what = format!("more than {MOST_IMAGES} images in");
                return Err(Error::input(what).at(&*self.path));
            }
            match descriptor.media_type().as_ref() {
                "application/vnd.oci.image.index.v1+json"
                | "application/vnd.docker.distribution.manifest.list.v2+json" => {
                    let bytes = self.document(&descriptor)?;
                    let index: ImageIndex = parse(&bytes, &self.blob_path(&descriptor))?;
                    let outer = name(&descriptor);
                    pending.extend(index.manifests().iter().rev().cloned().map(|mut inner| {
                        // What is within an index without a name of its own goes by the index's.
                        if let (None, Some(outer)) = (name(&inner), &outer) {
                            let mut all = inner.annotations().clone().unwrap_or_default();
                            all.insert(REF_NAME.to_owned(), outer.clone());
                            inner.set_annotations(Some(all));
                        }
                        inner
                    }));
                }
                "application/vnd.oci.image.manifest.v1+json"
                | "application/vnd.docker.distribution.manifest.v2+json" => {
                    // What is not asked for need not be there.
                    if is_attestation(&descriptor) {
                        continue;
                    }
                    if let Some(name) = stated(&descriptor).filter(|name| !fits(name)) {
                        others.push(name);
                        continue;
                    }
                    match self.read_image(&descriptor)? {
                        Some(image) if fits(&image.name) => images.push(image),
                        Some(image) => others.push(image.name),
                        None => {}
                    }
                }
                "application/vnd.docker.distribution.manifest.v1+json"
                | "application/vnd.docker.distribution.manifest.v1+prettyjws" => {
                    return Err(Error::input("an image in Docker's format of 2015 in")
                        .at(&*self.path)
                        .hint("`skopeo copy --format=oci` makes an OCI image of it"));
                }
                _ => {}
            }
        }
        Ok((images, others))
    }

    /// The image of a manifest; none if it is no image.
    fn read_image(&self, descriptor: &Descriptor) -> Result<Option<Image>> {
        let bytes = self.document(descriptor)?;
        let mut manifest: ImageManifest = parse(&bytes, &self.blob_path(descriptor))?;
        match manifest.config().media_type().as_ref() {
            "application/vnd.oci.image.config.v1+json"
            | "application/vnd.docker.container.image.v1+json" => {}
            _ => return Ok(None),
        }
        let document = self.document(manifest.config())?;
        let config: Config = parse(&document, &self.blob_path(manifest.config()))?;
        let layers: Result<Vec<Descriptor>> =
            manifest.layers().iter().map(|layer| self.oci_layer(layer)).collect();
        manifest.set_layers(layers?);
        let (layers, diff_ids) = (manifest.layers().len(), config.rootfs.diff_ids().len());
        if layers != diff_ids {
            let what = format!("{layers} layers in a manifest, and {diff_ids} in its config, in");
            return Err(Error::input(what).at(&*self.path));
        }
        manifest.set_media_type(Some(MediaType::ImageManifest));
        let name = Name { reference: name(descriptor), platform: Platform::of(&config) };
        Ok(Some(Image { digest: descriptor.digest().clone(), manifest, config, name }))
    }

    /// A layer's descriptor, its media type OCI's: Docker's blobs are the same.
    fn oci_layer(&self, layer: &Descriptor) -> Result<Descriptor> {
        let media_type = match layer.media_type().as_ref() {
            "application/vnd.docker.image.rootfs.diff.tar" => MediaType::ImageLayer,
            "application/vnd.docker.image.rootfs.diff.tar.gzip" => MediaType::ImageLayerGzip,
            "application/vnd.docker.image.rootfs.diff.tar.zstd" => MediaType::ImageLayerZstd,
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.oci.image.layer.v1.tar+zstd" => layer.media_type().clone(),
            other => {
                let what = format!("a layer of the media type {other} in");
                return Err(Error::input(what).at(&*self.path).hint(
                    "layers are tar archives, uncompressed or compressed by gzip or zstd, that \
                     may be distributed",
                ));
            }
        };
        let mut layer = layer.clone();
        layer.set_media_type(media_type);
        Ok(layer)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.platform)?;
        self.reference.as_ref().map_or(Ok(()), |reference| write!(f, " ({reference})"))
    }
}

/// Whether this is `BuildKit`'s note about an image, which it stores as an image.
fn is_attestation(descriptor: &Descriptor) -> bool {
    let annotations = descriptor.annotations().as_ref();
    annotations.is_some_and(|all| all.contains_key("vnd.docker.reference.type"))
}

/// What an index says of an image, if it says what it is for.
fn stated(descriptor: &Descriptor) -> Option<Name> {
    let platform = descriptor.platform().as_ref()?;
    let platform = Platform {
        os: platform.os().to_string(),
        architecture: platform.architecture().to_string(),
        variant: platform.variant().clone().filter(|variant| !variant.is_empty()),
    };
    Some(Name { reference: name(descriptor), platform })
}

/// What an index calls an image.
fn name(descriptor: &Descriptor) -> Option<String> {
    descriptor.annotations().as_ref()?.get(REF_NAME).cloned()
}

fn parse<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|source| Error::input("cannot understand").at(path).because(source))
}
