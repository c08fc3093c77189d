"""Globs over the files of a package that is no tree.

The worker applies `--include` and `--exclude` to what is in a tree. A package
of separate files (rules_python's) is spelled out file by file when its action
runs; there the same globs are applied here, with the same meaning:

- a pattern without a slash matches a file's name at any depth; one with a slash
  matches the path from `site-packages`;
- `*` and `?` match within a component, `**` any number of components;
- `[...]` (`[!...]` or `[^...]` for all others) and `{a,b}`; a backslash takes
  the next character as it is.
"""

def _alternatives(pattern):
    """The pattern with its outermost braces spelled out, as (before, [choices], after) or None."""
    depth, start, cuts, escaped = 0, None, [], False
    in_class = False
    for i, character in enumerate(pattern.elems()):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "[" and not in_class:
            in_class = True
        elif character == "]" and in_class:
            in_class = False
        elif in_class:
            continue
        elif character == "{":
            if depth == 0:
                start, cuts = i, [i]
            depth += 1
        elif character == "," and depth == 1:
            cuts.append(i)
        elif character == "}" and depth > 0:
            depth -= 1
            if depth == 0:
                cuts.append(i)
                choices = [pattern[a + 1:b] for a, b in zip(cuts[:-1], cuts[1:])]
                return pattern[:start], choices, pattern[i + 1:]
    return None

def expand_braces(pattern):
    """The patterns without braces that a pattern stands for.

    Args:
      pattern: a glob.

    Returns:
      List of strings.
    """
    done, waiting = [], [pattern]

    # Each round takes one pair of braces off one pattern.
    for _ in range(1000):
        if not waiting:
            break
        pattern = waiting.pop(0)
        found = _alternatives(pattern)
        if not found:
            done.append(pattern)
            continue
        before, choices, after = found
        waiting.extend([before + choice + after for choice in choices])
    return done

def _tokens(component):
    """A component as a list of `*` (None), sets of characters (negated, members), or `?`."""
    tokens, characters = [], list(component.elems())
    skip = 0
    for i, character in enumerate(characters):
        if i < skip:
            continue
        if character == "*":
            if not tokens or tokens[-1] != None:
                tokens.append(None)
        elif character == "?":
            tokens.append((True, []))
        elif character == "\\" and i + 1 < len(characters):
            tokens.append((False, [characters[i + 1]]))
            skip = i + 2
        elif character == "[" and "]" in characters[i + 2:]:
            end = i + 2 + characters[i + 2:].index("]")
            members = characters[i + 1:end]
            negated = members[0] in ["!", "^"]
            if negated and len(members) == 1:
                end = end + 1 + characters[end + 1:].index("]") if "]" in characters[end + 1:] else end
                members = characters[i + 1:end]
            tokens.append((negated, _members(members[1:] if negated else members)))
            skip = end + 1
        else:
            tokens.append((False, [character]))
    return tokens

def _members(characters):
    """The members of a class: characters, and pairs for ranges."""
    members, skip = [], 0
    for i, character in enumerate(characters):
        if i < skip:
            continue
        if i + 2 < len(characters) and characters[i + 1] == "-":
            members.append((character, characters[i + 2]))
            skip = i + 3
        else:
            members.append(character)
    return members

def _is_member(character, members):
    for member in members:
        if type(member) == "tuple":
            if member[0] <= character and character <= member[1]:
                return True
        elif member == character:
            return True
    return False

def _component_matches(component, tokens):
    # All places in `tokens` that some reading of the characters so far leads to.
    states = _skip_stars({0: None}, tokens)
    for character in component.elems():
        following = {}
        for state in states:
            if state == len(tokens):
                continue
            if tokens[state] == None:
                following[state] = None
            else:
                negated, members = tokens[state]
                if _is_member(character, members) != negated:
                    following[state + 1] = None
        states = _skip_stars(following, tokens)
    return len(tokens) in states

def _skip_stars(states, tokens):
    reached = dict(states)
    for state in states:
        if state < len(tokens) and tokens[state] == None:
            reached[state + 1] = None
    return reached

def _path_matches(components, pattern):
    parts = pattern.split("/")
    states = _skip_any({0: None}, parts)
    for component in components:
        following = {}
        for state in states:
            if state == len(parts):
                continue
            if parts[state] == "**":
                following[state] = None
                if state + 1 == len(parts):
                    following[state + 1] = None
            elif _component_matches(component, _tokens(parts[state])):
                following[state + 1] = None
        states = _skip_any(following, parts)
    return len(parts) in states

def _skip_any(states, parts):
    # At the end `**` stands for one component or more: `a/**` is not `a`.
    reached = dict(states)
    for state in range(len(parts) - 1):
        if state in reached and parts[state] == "**":
            reached[state + 1] = None
    return reached

def glob_matches(path, pattern):
    """Whether a glob matches a file.

    Args:
      path: the file's path from the package's root.
      pattern: the glob.

    Returns:
      A bool.
    """
    components = path.split("/")
    if "/" not in pattern:
        components = components[-1:]
    pattern = pattern[2:] if pattern.startswith("./") else pattern
    for expanded in expand_braces(pattern.lstrip("/")):
        if _path_matches(components, expanded):
            return True
    return False

def ships(short_path, include, exclude):
    """Whether a layer has a file.

    Args:
      short_path: the file's path in the runfiles.
      include: list of globs; empty: all files.
      exclude: list of globs.

    Returns:
      A bool.
    """
    if not include and not exclude:
        return True
    path = short_path.partition("/site-packages/")[2] or short_path
    included = not include or [glob for glob in include if glob_matches(path, glob)]
    return bool(included) and not [glob for glob in exclude if glob_matches(path, glob)]
