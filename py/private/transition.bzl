"""The transitions of images: the tier that one pins, and its platform."""

_TIER = str(Label("//py:layer_tier"))
_PLATFORMS = "//command_line_option:platforms"

def _image_transition_impl(settings, attr):
    return {
        _PLATFORMS: [str(attr.platform)] if attr.platform else settings[_PLATFORMS],
        _TIER: str(attr.layer_tier) if attr.layer_tier else settings[_TIER],
    }

image_transition = transition(
    implementation = _image_transition_impl,
    inputs = [_PLATFORMS, _TIER],
    outputs = [_PLATFORMS, _TIER],
)

def _platform_transition_impl(settings, attr):
    return {_PLATFORMS: [str(attr.platform)] if attr.platform else settings[_PLATFORMS]}

platform_transition = transition(
    implementation = _platform_transition_impl,
    inputs = [_PLATFORMS],
    outputs = [_PLATFORMS],
)
