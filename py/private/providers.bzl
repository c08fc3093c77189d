"""The providers, public and private."""

PyLayerTierInfo = provider(
    doc = "How packages are grouped into layers, and how layers are compressed.",
    fields = {
        "compression": "dict: group -> compression, as the worker writes it (`zstd:9`)",
        "default_compression": "string: the compression of every other layer",
        "group": "string: numeric gid of every entry",
        "group_of": "dict: package -> group",
        "members": "dict: group -> sorted list of its packages",
        "owner": "string: numeric uid of every entry",
        "root": "string: where the launcher lands; runfiles are next to it",
    },
)

PyLayerToolchainInfo = provider(
    doc = "The worker.",
    fields = {
        "worker": "FilesToRunProvider: the `pylayer` executable",
    },
)

PyLayerPackageInfo = provider(
    doc = "A pip package, as found at one target.",
    fields = {
        "files": "depset of File: what it installs, one tree or many files",
        "group": "string: the tier's group it is in; empty: none",
        "label": "string: the target",
        "layer": "PyLayerBlobInfo of the package's own layer, or None",
        "name": "string: the package, named as PEP 503 says",
    },
)

PyLayerBlobInfo = provider(
    doc = "A layer that an action writes.",
    fields = {
        "blob": "File: the compressed archive",
        "metadata": "File: JSON with digest, diff_id, size and media type",
        "name": "string: the package or group that it holds",
    },
)

PyLayerClosureInfo = provider(
    doc = "What the layer aspect knows about a target and all below it.",
    fields = {
        "opaque": "bool: `sources` are the target's own runfiles, as they are",
        "packages": "depset of PyLayerPackageInfo",
        "sources": "depset of File: everything that is not in a package",
    },
)

PyLayerMergedInfo = provider(
    doc = "What the merge aspect made at a binary.",
    fields = {
        "layers": "list of PyLayerBlobInfo, sorted by group",
    },
)
