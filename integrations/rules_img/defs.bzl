"""Layers of py_image_layer as rules_img takes them.

    load("@pylayer_rules_img//:defs.bzl", "pylayer_layers")

    py_image_layer(name = "python_layers", binary = ":app")

    pylayer_layers(name = "layers", image = ":python_layers")

    image_manifest(name = "image", base = "@debian", entrypoint = ["/app"], layers = [":layers"])
"""

load("@pylayer//py:defs.bzl", "PyImageLayersInfo")
load("@rules_img//img:providers.bzl", "LayersInfo", "SingleLayerInfo")

def _single_layer(layer):
    # Neither eStargz nor a compact stream: both are of compressed bytes that rules_img makes itself.
    # It makes an mtree or a ztoc of the blob when something asks for one.
    return SingleLayerInfo(
        blob = layer.blob,
        compact_stream = None,
        estargz = False,
        layer_input_files = None,
        layer_input_files_cas = None,
        media_type = layer.media_type,
        metadata = layer.metadata,
        mtree = None,
        sources = [],
        ztoc = None,
    )

def _pylayer_layers_impl(ctx):
    image = ctx.attr.image
    return [
        DefaultInfo(files = image[DefaultInfo].files),
        LayersInfo(layers = [_single_layer(layer) for layer in image[PyImageLayersInfo].layers]),
        OutputGroupInfo(metadata = image[OutputGroupInfo].metadata),
    ]

pylayer_layers = rule(
    implementation = _pylayer_layers_impl,
    doc = """The layers of a `py_image_layer`, for `layers` of rules_img's `image_manifest`.

rules_img reads none of them: it takes digest, diff_id, and size from the metadata that pylayer wrote.
The default outputs are the layers.
""",
    attrs = {
        "image": attr.label(
            doc = "A target of `py_image_layer`.",
            mandatory = True,
            providers = [PyImageLayersInfo],
        ),
    },
)
