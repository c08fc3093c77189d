"""Analysis tests without any other repository: a test is a rule that looks at a target.

Nothing is built: the worker is a stand-in and so is the interpreter (`:stub_toolchain`,
`:runtime_toolchain`), chosen by a
transition, and the test's executable only prints what analysis has found.
"""

_EXTRA_TOOLCHAINS = "//command_line_option:extra_toolchains"

_TOOLCHAINS = [
    str(Label("//py/tests:stub_toolchain")),
    str(Label("//py/tests:runtime_toolchain")),
]

TestActionsInfo = provider(
    doc = "What a target's rule does.",
    fields = {"actions": "list of Action"},
)

def _actions_aspect_impl(target, _ctx):
    return [TestActionsInfo(actions = target.actions)]

_actions_aspect = aspect(
    implementation = _actions_aspect_impl,
)

_with_stub = analysis_test_transition(
    settings = {
        _EXTRA_TOOLCHAINS: _TOOLCHAINS,
    },
)

_with_stub_and_failures = analysis_test_transition(
    settings = {
        "//command_line_option:allow_analysis_failures": "True",
        _EXTRA_TOOLCHAINS: _TOOLCHAINS,
    },
)

def result(failures):
    """The providers of a test.

    Args:
      failures: list of strings; empty: the test passes.

    Returns:
      List of providers.
    """
    return [AnalysisTestResultInfo(
        message = "\n".join(failures),
        success = not failures,
    )]

def expect_equal(failures, what, got, wanted):
    """Adds a failure when two values differ.

    Args:
      failures: list of strings, added to.
      what: says which value this is.
      got: the value.
      wanted: what it should be.
    """
    if got != wanted:
        failures.append("%s:\n  got    %s\n  wanted %s" % (what, repr(got), repr(wanted)))

def target_test(implementation, attrs = {}):
    """A rule whose test looks at `target`, with the stand-in worker.

    Args:
      implementation: takes ctx and a list, to which it adds failures.
      attrs: more attributes.

    Returns:
      The keyword arguments of rule().
    """
    all_attrs = {
        "target": attr.label(
            aspects = [_actions_aspect],
            cfg = _with_stub,
            mandatory = True,
        ),
    } | attrs
    return {
        "analysis_test": True,
        "attrs": all_attrs,
        "implementation": implementation,
    }

def target_of(ctx):
    """The target under test.

    Args:
      ctx: of the test.

    Returns:
      A Target.
    """

    # An attribute with a transition is a list.
    return ctx.attr.target[0] if type(ctx.attr.target) == "list" else ctx.attr.target

def _failure_test_impl(ctx):
    failures = []
    target = target_of(ctx)
    if AnalysisFailureInfo in target:
        text = "\n".join([cause.message for cause in target[AnalysisFailureInfo].causes.to_list()])
        for expected in ctx.attr.messages:
            if expected not in text:
                failures.append("the message lacks %s:\n%s" % (repr(expected), text))
    else:
        failures.append("%s can be analysed" % target.label)
    return result(failures)

# A test that passes when its target cannot be analysed, for the right reason.
failure_test = rule(
    implementation = _failure_test_impl,
    analysis_test = True,
    attrs = {
        "messages": attr.string_list(
            doc = "What the message has to say.",
            mandatory = True,
        ),
        "target": attr.label(
            cfg = _with_stub_and_failures,
            mandatory = True,
        ),
    },
)
