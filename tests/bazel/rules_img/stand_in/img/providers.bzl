"""Providers with the names and fields of rules_img's."""

SingleLayerInfo = provider(
    doc = "A layer.",
    fields = {
        "blob": "File",
        "compact_stream": "File or None",
        "estargz": "bool",
        "layer_input_files": "depset of File or None",
        "layer_input_files_cas": "File or None",
        "media_type": "string",
        "metadata": "File",
        "mtree": "File or None",
        "sources": "list of structs",
        "ztoc": "File or None",
    },
)

LayersInfo = provider(
    doc = "Layers, the lowest first.",
    fields = {"layers": "list of SingleLayerInfo"},
)
