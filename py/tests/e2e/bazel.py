"""Runs Bazel on a copy of this workspace."""

import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]

# The command that is Bazel: words as a shell takes them.
BAZEL = shlex.split(os.environ.get("BAZEL", "bazel"))

# Commands that read MODULE.bazel.
MODULE_COMMANDS = ("aquery", "build", "clean", "cquery", "info")

# Two cores send two requests at once, otherwise.
FLAGS = ["--jobs=6", "--local_resources=cpu=6", "--color=no", "--curses=no", "--show_progress_rate_limit=60"]


def repository(extension: str, name: str) -> str:
    """What Bazel calls a repository that an extension of this workspace's makes: Bazel 8 has other names."""
    version = subprocess.run([*BAZEL, "--version"], check=True, capture_output=True, text=True).stdout
    major = int(re.search(r"^bazel (\d+)", version, re.MULTILINE)[1])
    return f"+{extension}+{name}" if major >= 8 else f"_main~{extension}~{name}"


# Names that shells, argument files, and archives have got wrong before. They are
# made here: not every file system that holds this repository takes them.
ODD_NAMES = [
    "$(touch x).txt",
    "-dash.txt",
    "@at.txt",
    "eq=ual.txt",
    'quo"te.txt',
    "single'quote.txt",
    "with space.txt",
    "é.txt",
]


class Action:
    """One block of `bazel aquery --output=text`."""

    def __init__(self, block: str) -> None:
        def field(name: str) -> str:
            found = re.search(rf"^  {name}: (.*)$", block, re.MULTILINE)
            return found[1] if found else ""

        def several(name: str) -> list[str]:
            return [item for item in field(name).strip("[]{}").split(", ") if item]

        self.mnemonic = field("Mnemonic")
        self.target = field("Target")
        self.inputs = several("Inputs")
        self.outputs = several("Outputs")
        self.requirements = dict(item.split(": ", 1) for item in several("ExecutionInfo"))


class Workspace:
    """A copy of the workspace, with a worker and an output root."""

    def __init__(self, folder: pathlib.Path, worker: pathlib.Path, output_root: pathlib.Path) -> None:
        self.folder = folder
        self.output_root = output_root
        self.worker = worker
        shutil.copytree(HERE, folder, symlinks=True, ignore=shutil.ignore_patterns("bazel-*", "__pycache__"))
        odd = folder / "app/odd"
        odd.mkdir()
        for name in ODD_NAMES:
            (odd / name).write_text(name, encoding="utf-8")
        digest = hashlib.sha256(worker.read_bytes()).hexdigest()
        self.lock(worker, digest)

    def lock(self, worker: pathlib.Path, digest: str) -> None:
        """Writes the lockfile, with this worker for this machine."""
        system, _, _, _, machine = os.uname()
        platform = {"Darwin": "macos"}.get(system, system.lower()) + "-" + {"arm64": "aarch64"}.get(machine, machine)
        lock = {"workers": {platform: {"urls": [worker.resolve().as_uri()], "sha256": digest}}}
        (self.folder / "pylayer.lock.json").write_text(json.dumps(lock))

    def run(self, command: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        """`bazel COMMAND ARGUMENTS`."""
        # Only these know of modules.
        modules = [f"--override_module=pylayer={REPOSITORY}"] if command in MODULE_COMMANDS else []
        line = [*BAZEL, f"--output_user_root={self.output_root}", command, *modules]
        if command in ("build", "aquery", "cquery"):
            line += FLAGS
        # It would go before the lockfile.
        environment = {name: value for name, value in os.environ.items() if name != "PYLAYER_BINARY"}
        result = subprocess.run([*line, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if check and result.returncode:
            # Some builds of Bazel have a sandbox that tells all it does.
            told = [text for text in result.stderr.splitlines() if "linux-sandbox" not in text]
            raise AssertionError("\n".join([" ".join([*line, *arguments]), result.stdout, *told]))
        return result

    def build(self, *arguments: str) -> list[dict]:
        """Builds, and returns the events of the build."""
        events = self.folder.with_suffix(".events.json")
        self.run("build", f"--build_event_json_file={events}", "--build_event_publish_all_actions", *arguments)
        return [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]

    def executed(self, *arguments: str) -> list[tuple[str, str]]:
        """Builds, and returns the mnemonic and the output's name of each action that was executed."""
        return sorted(
            (event["action"]["type"], pathlib.Path(event["id"]["actionCompleted"]["primaryOutput"]).name)
            for event in self.build(*arguments)
            if "actionCompleted" in event["id"]
        )

    def files(self, *arguments: str) -> list[pathlib.Path]:
        """Builds one target, and returns its outputs in order."""
        events = self.build(*arguments)
        sets = {event["id"]["namedSet"]["id"]: event["namedSetOfFiles"] for event in events if "namedSet" in event["id"]}
        files: list[pathlib.Path] = []

        def collect(name: str) -> None:
            for below in sets[name].get("fileSets", []):
                collect(below["id"])
            files.extend(self.folder.joinpath(*file.get("pathPrefix", []), file["name"]) for file in sets[name].get("files", []))

        completed = [event for event in events if "targetCompleted" in event["id"]]
        assert len(completed) == 1, arguments
        for group in completed[0]["completed"]["outputGroup"]:
            for part in group["fileSets"]:
                collect(part["id"])
        return files

    def cache(self) -> dict[str, int]:
        """What the worker counts of its cache."""
        output_base = self.run("info", "output_base").stdout.strip()
        line = [self.worker, "cache", "stat", "--json", f"--cache-dir={output_base}/pylayer"]
        return json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)

    def actions(self, expression: str) -> list[Action]:
        """`bazel aquery EXPRESSION`."""
        text = self.run("aquery", "--output=text", "--include_aspects", expression).stdout
        return [Action(block) for block in re.split(r"\n(?=action )", text) if block.startswith("action ")]
