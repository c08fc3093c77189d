"""pylayer's public rules.

    load("@pylayer//py:defs.bzl", "py_image", "py_image_layer", "py_layer_tier")

`py_layer_tier` says how packages are grouped into layers and how each layer is
compressed; `py_image_layer` makes the layers of one binary; `py_image` makes an
image of layers and a base.
"""

load("//py/private:image.bzl", _py_image = "py_image")
load("//py/private:image_macro.bzl", _py_image_layer = "py_image_layer")
load("//py/private:providers.bzl", _PyImageLayersInfo = "PyImageLayersInfo", _PyLayerTierInfo = "PyLayerTierInfo")
load("//py/private:tier.bzl", _py_layer_tier = "py_layer_tier")

py_image = _py_image
py_image_layer = _py_image_layer
py_layer_tier = _py_layer_tier
PyImageLayersInfo = _PyImageLayersInfo
PyLayerTierInfo = _PyLayerTierInfo
