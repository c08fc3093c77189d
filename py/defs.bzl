"""The rules that make layers.

```starlark
load("@pylayer//py:defs.bzl", "py_image_layer", "py_layer_tier")
```
"""

load("//py/private:image_macro.bzl", _py_image_layer = "py_image_layer")
load("//py/private:providers.bzl", _PyLayerTierInfo = "PyLayerTierInfo")
load("//py/private:tier.bzl", _py_layer_tier = "py_layer_tier")

py_image_layer = _py_image_layer
py_layer_tier = _py_layer_tier
PyLayerTierInfo = _PyLayerTierInfo
