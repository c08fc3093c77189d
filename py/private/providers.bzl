"""The providers, public and private."""

PyLayerTierInfo = provider(
    doc = "How packages are grouped into layers, and how layers are compressed.",
    fields = {
        "base_directories": "list of strings: directories that the base image owns; layers have no entries for them",
        "bytecode": "string: `keep` or `drop`, for the `__pycache__` directories of packages",
        "compression": "dict: group to compression, in the form of the worker's flag (`zstd:9`)",
        "default_compression": "string: the compression of every other layer",
        "exclude": "dict: package, or `*` for every package, to a list of patterns of files to leave out",
        "first_party": "dict: target of the main repository (`//lib:branding`) to group",
        "group": "string: numeric group ID of every entry",
        "group_of": "dict: package to the group of the whole package",
        "interpreter_group": "string: the group of the Python interpreter, or empty",
        "members": "dict: group to the sorted list of packages that are in it as a whole",
        "owner": "string: numeric user ID of every entry",
        "root": "string: path of the launcher in the image",
        "splits": "dict: package to a list of structs with `group` and `patterns`, sorted by group",
        "strip_prefix": "string: the folder whose files go below `root`, or empty",
        "use_wheels": "bool: whether gzip layers copy compressed data from wheels",
        "wheels": "dict: package to a list of File: its wheel, if the package's own target does not name it",
    },
)

PyImageLayersInfo = provider(
    doc = "The layers of an image, and where in it its programs are.",
    fields = {
        "launchers": "dict: name of a binary to the path of its launcher in the image",
        "layers": "list of structs: `blob` (File), `metadata` (File: JSON with digest, diff_id, size, and media type), `media_type` (string); the lowest layer first",
    },
)

PyLayerToolchainInfo = provider(
    doc = "The worker, as the field `pylayer` of the resolved toolchain.",
    fields = {
        "flags": "list of strings: the worker's startup flags",
        "worker": "FilesToRunProvider: the `pylayer` executable",
    },
)

PyLayerPackageInfo = provider(
    doc = "A pip package, as found at one target.",
    fields = {
        "files": "depset of File: what it installs, one tree or many files",
        "group": "string: the tier's group that it is in as a whole; empty: none",
        "label": "string: the target",
        "layers": "tuple of PyLayerBlobInfo: the package's own layers; empty: it has none",
        "name": "string: the package, named as PEP 503 says",
        "segment": "File: the package compressed, for layers of several; None: it has layers of its own",
        "wheels": "tuple of File: what it was installed from, a wheel or a directory with one; empty: not known, or not to be used",
    },
)

PyLayerBlobInfo = provider(
    doc = "A layer that an action writes.",
    fields = {
        "blob": "File: the compressed archive",
        "media_type": "string: OCI's, by the compression",
        "metadata": "File: JSON with digest, diff_id, size, and media type",
        "name": "string: the package or group that it holds",
        "sources": "File: the arguments that name its sources, a line each",
    },
)

PyLayerInterpreterInfo = provider(
    doc = "The Python interpreter of a configuration.",
    fields = {
        "files": "depset of File: what it consists of; empty: the image has it at a path",
        "layer": "PyLayerBlobInfo of its own layer, or None",
        "path": "string: where the executable is in the runfiles; empty: nowhere",
    },
)

PyLayerGroupFilesInfo = provider(
    doc = "What a first-party target gives to its group.",
    fields = {
        "files": "depset of File",
        "group": "string: the group",
        "label": "string: the target",
    },
)

PyLayerClosureInfo = provider(
    doc = "What the layer aspect knows about a target and all below it.",
    fields = {
        "generated": "depset of File: what is to be shipped if it is in the binary's runfiles",
        "groups": "depset of PyLayerGroupFilesInfo",
        "interpreters": "depset of PyLayerInterpreterInfo",
        "links": "depset of File: links that are made for the runfiles",
        "opaque": "bool: `sources` are the target's own runfiles, as they are",
        "own": "depset of File: what a group with this target holds",
        "package": "PyLayerPackageInfo: the package that the target is, or stands for; None: neither",
        "packages": "depset of PyLayerPackageInfo",
        "sources": "depset of File: everything that is not in a package or a group",
    },
)

PyLayerMergedInfo = provider(
    doc = "What the merge aspect made at a binary.",
    fields = {
        "layers": "list of PyLayerBlobInfo, sorted by group",
    },
)

PyLayerBinariesInfo = provider(
    doc = "The binaries of an image that has several.",
    fields = {
        "launchers": "list of File: their executables, sorted by label",
    },
)
