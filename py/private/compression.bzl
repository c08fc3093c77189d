"""Compression algorithms: what may be asked for, and what a layer is called then."""

_LEVELS = {
    "gzip": 9,
    "none": 0,
    "zstd": 22,
}

_SUFFIXES = {
    "gzip": ".tar.gz",
    "none": ".tar",
    "zstd": ".tar.zst",
}

_MEDIA_TYPES = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "none": "application/vnd.oci.image.layer.v1.tar",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}

def parse_compression(setting):
    """Reads `[algorithm]` or `[algorithm, level]`.

    Args:
      setting: list of strings.

    Returns:
      A pair: the compression as the worker writes it (`gzip:6`), and an error;
      one of the two is None.
    """
    if len(setting) not in [1, 2]:
        return None, "wants [algorithm, level], got %s" % repr(setting)
    algorithm = setting[0]
    if algorithm not in _LEVELS:
        return None, "has the unknown algorithm %s; there are none, gzip (levels 1 to 9) and zstd (1 to 22)" % repr(algorithm)
    if len(setting) == 1:
        return algorithm, None
    level, highest = setting[1], _LEVELS[algorithm]
    if algorithm == "none":
        return None, "gives `none` a level (%s); write [\"none\"]" % repr(level)
    if not level.isdigit() or int(level) < 1 or int(level) > highest:
        return None, "has level %s for %s, which knows 1 to %d" % (repr(level), algorithm, highest)
    return "%s:%d" % (algorithm, int(level)), None

def takes_streams(compression):
    """Whether a layer can take what lies compressed in a wheel: deflate streams, as gzip has them.

    Args:
      compression: as parse_compression returns it.

    Returns:
      A bool.
    """
    return compression.partition(":")[0] == "gzip"

def blob_suffix(compression):
    """The end of a layer's file name.

    Args:
      compression: as parse_compression returns it.

    Returns:
      `.tar`, `.tar.gz` or `.tar.zst`.
    """
    return _SUFFIXES[compression.partition(":")[0]]

def media_type(compression):
    """The media type of a layer (OCI image-spec, layer.md).

    Args:
      compression: as parse_compression returns it.

    Returns:
      A string.
    """
    return _MEDIA_TYPES[compression.partition(":")[0]]
