"""The rules that make layers and images.

```starlark
load("@pylayer//py:defs.bzl", "py_image", "py_image_layer", "py_layer_tier")
```
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
