"""Settings of programs: which value counts, what is refused, and what is written down of them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.options import PROGRAM as CLIENT
from shoal.errors import UsageError
from shoal.settings import reference
from shoal.settings.declaring import SERVER, Program, Setting, Value
from shoal.settings.file import SECTIONS, ConfigFile, find_file
from shoal.settings.flags import Read, read_settings
from shoal.settings.resolving import resolve
from shoal_orchestrator.settings import PROGRAM as ORCHESTRATOR
from shoal_orchestrator.settings import parse as parse_orchestrator
from shoal_worker.settings import PROGRAM as WORKER
from shoal_worker.settings import parse as parse_worker

ROOT = Path(__file__).parents[2]
PROGRAMS = (ORCHESTRATOR, WORKER, CLIENT)
TOY = Program(
    "toy",
    "worker",
    "A toy.",
    (
        SERVER,
        Setting("name", "a text", environment="TOY_NAME", default="d"),
        Setting("many", "an integer", "integer", 1, environment="TOY_MANY"),
        Setting("ratio", "a number", "number", 0.5),
        Setting("bold", "a switch", "switch", default=False, environment="TOY_BOLD"),
        Setting("where", "a path", "path", None),
        Setting("how", "a choice", default="a", choices=("a", "b")),
    ),
)


def read(*words: str, environ: dict[str, str] | None = None, toml: str = "", folder: Path) -> Read:
    file = folder / "shoal.toml"
    file.write_text(toml)
    return read_settings(TOY, words, environ or {}, default_file=file)


def refused(
    capsys: pytest.CaptureFixture[str], folder: Path, toml: str, words: Sequence[str] = (), **environ: str
) -> str:
    """The last line that a program leaves with."""
    with pytest.raises(SystemExit) as left:
        read(*words, environ=environ, toml=toml, folder=folder)
    assert left.value.code == 2
    return capsys.readouterr().err.splitlines()[-1].replace(f"{folder}/", "")


LAYERS = st.lists(st.sampled_from(["flag", "environment", "file"]), unique=True)


@given(LAYERS)
def test_the_nearest_word_counts(layers: list[str]) -> None:
    """A flag goes before the environment, that before the file, that before the default; the origin is remembered."""
    file = ConfigFile(Path("f.toml"), {"worker": {"name": "file"}} if "file" in layers else {})
    flags: dict[str, Value] = {"name": "flag"} if "flag" in layers else {}
    environ = {"TOY_NAME": "environment" if "environment" in layers else ""}
    found = resolve(TOY, flags, environ, file)
    order = {"flag": "--name", "environment": "TOY_NAME", "file": "`name` in [worker] of f.toml"}
    said = next((layer for layer in order if layer in layers), "")
    assert found.text("name") == (said or "d")
    assert found.origin("name") == (order[said] if said else "--name")


def test_every_kind_is_read_from_all_three(tmp_path: Path) -> None:
    """Texts, numbers, switches, paths and choices mean the same wherever they are said."""
    toml = 'server = "nats://f"\n[worker]\nmany = 2\nratio = 3\nbold = true\nwhere = "/f"\nhow = "b"\n'
    found = read(toml=toml, folder=tmp_path).found
    expected = {"server": "nats://f", "name": "d", "many": 2, "ratio": 3.0, "bold": True}
    assert found.values == expected | {"where": Path("/f"), "how": "b"}
    environ = {"NATS_URL": "nats://e", "TOY_MANY": "7", "TOY_BOLD": "0"}
    found = read(environ=environ, toml=toml, folder=tmp_path).found
    assert (found.text("server"), found.integer("many"), found.switch("bold")) == ("nats://e", 7, False)
    words = ["--many", "8", "--ratio", "1.5", "--no-bold", "--where", "w", "--how=a"]
    found = read(*words, environ={"TOY_BOLD": "true"}, toml=toml, folder=tmp_path).found
    assert (found.integer("many"), found.number("ratio"), found.switch("bold")) == (8, 1.5, False)
    assert (found.path("where"), found.text("how")) == (Path("w"), "a")


def test_a_section_goes_before_the_head_of_the_file(tmp_path: Path) -> None:
    """What stands for all programs gives way to what a program's own section says."""
    toml = 'server = "nats://all"\n[worker]\nserver = "nats://mine"\n[client]\nanything = 1\n'
    assert read(toml=toml, folder=tmp_path).found.text("server") == "nats://mine"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[worker]\nnames = 'x'", "shoal.toml: unknown setting `names` in [worker]: did you mean `name`?"),
        ("[worker]\nzzz = 1", "unknown setting `zzz` in [worker]: expected one of server, name, many"),
        ("serve = 'x'", "shoal.toml: unknown setting `serve` above the sections: did you mean `server`?"),
        ("many = 1", "unknown setting `many` above the sections: it belongs in a section, such as [worker]"),
        ("[wroker]\n", "shoal.toml: unknown section [wroker]: did you mean [worker]?"),
        ("[xyz]\n", "unknown section [xyz]: expected [orchestrator], [worker], [client]"),
        ("worker = 1", "shoal.toml: `worker` is a section: write [worker] above its settings"),
        ("[worker]\nmany = 'x'", "`many` in [worker]: expected a whole number, not `x`"),
        ("[worker]\nmany = true", "`many` in [worker]: expected a whole number, not true"),
        ("[worker]\nmany = 1.0", "expected a whole number, not 1.0"),
        ("[worker]\nbold = 1", "`bold` in [worker]: expected true or false, not 1"),
        ("[worker]\nname = ''", "`name` in [worker]: expected text, not ``"),
        ("[worker]\nhow = 'c'", "`how` in [worker]: expected one of a, b, not `c`"),
        ("[worker", "the configuration file shoal.toml is not TOML: "),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(
    toml: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line names the file, the key and its section, and what was expected or is nearest."""
    assert message in refused(capsys, tmp_path, toml)


def test_other_words_that_make_no_sense_say_where_they_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A variable is named, a flag is, and so is a key whose value only the program can judge."""
    assert "TOY_MANY: expected a whole number, not `x`" in refused(capsys, tmp_path, "", TOY_MANY="x")
    assert "TOY_BOLD: expected true or false, not `maybe`" in refused(capsys, tmp_path, "", TOY_BOLD="maybe")
    assert "--many: expected a whole number, not `x`" in refused(capsys, tmp_path, "", ["--many", "x"])
    assert "--how: expected one of a, b, not `c`" in refused(capsys, tmp_path, "", ["--how", "c"])
    file = tmp_path / "w.toml"
    file.write_text("[worker]\nmax-vms = -2\n")
    with pytest.raises(SystemExit):
        parse_worker(["--config", str(file)], environ={})
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"shoal-worker: error: `max-vms` in [worker] of {file}: must be -1 (no limit) or more"


def test_a_named_file_must_be_there_and_the_usual_one_need_not(tmp_path: Path) -> None:
    """A file that flag or environment name has to be readable; a daemon never starts with half of what was meant."""
    missing = tmp_path / "none.toml"
    assert find_file("", {}, default=missing) is None
    for named, environ in ((str(missing), {}), ("", {"SHOAL_CONFIG": str(missing)})):
        with pytest.raises(UsageError, match=r"there is no configuration file .*none\.toml"):
            find_file(named, environ, default=missing)
    # a folder stands for what cannot be read: root may read everything else
    with pytest.raises(
        UsageError, match=r"cannot read the configuration file .*: Is a directory; name another"
    ):
        find_file("", {}, default=tmp_path)
    assert find_file("", {}, default=tmp_path, lenient=True) is None
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(UsageError, match="larger than 1 MiB"):
        find_file(str(large), {})
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# caf\xe9\n")
    with pytest.raises(UsageError, match="not text in UTF-8"):
        find_file(str(latin), {})


def test_both_daemons_read_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file configures orchestrator and worker of a machine; flags and environment go before it."""
    for name in ("NATS_URL", "SHOAL_EVENT_AGE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "shoal.toml"
    file.write_text(
        'server = "nats://n:1"\n[orchestrator]\nreplicas = 3\nhead = "h"\nevent-age = "3h"\n'
        "[worker]\nmax-vms = 7\nallow-shell = true\n"
    )
    orchestrator = parse_orchestrator(["--config", str(file), "--replicas", "5"], environ={})
    assert (orchestrator.server, orchestrator.head, orchestrator.replicas) == ("nats://n:1", "h", 5)
    assert orchestrator.events.age_s == 3 * 3600
    worker = parse_worker(["--no-allow-shell"], environ={"SHOAL_CONFIG": str(file), "NATS_URL": "nats://e:2"})
    assert (worker.server, worker.max_vms, worker.allow_shell) == ("nats://e:2", 7, False)


# --- what is written down --------------------------------------------------------------------------------------


def test_sections_and_names_are_one_to_a_program() -> None:
    """Every section has its program, a program names a setting once, and a variable means one setting everywhere."""
    assert tuple(program.section for program in PROGRAMS) == SECTIONS
    variables: dict[str, str] = {}
    for program in PROGRAMS:
        names = [setting.name for setting in program.settings]
        assert len(names) == len(set(names))
        for setting in program.settings:
            if setting.environment:
                assert variables.setdefault(setting.environment, setting.name) == setting.name


def test_the_table_is_not_stale() -> None:
    """docs/configuration.md and packaging/shoal.toml are what the declarations say now: `make docs` writes them anew."""
    page = (ROOT / "docs/configuration.md").read_text()
    assert reference.with_table(page, reference.table(PROGRAMS)) == page
    assert (ROOT / "packaging/shoal.toml").read_text() == reference.example(PROGRAMS)


def test_the_example_can_be_read() -> None:
    """The example sets nothing as it stands; with its keys taken out of their comments every program understands it."""
    text = reference.example(PROGRAMS)
    assert all(not section for section in tomllib.loads(text).values())
    keys = "\n".join(
        line[1:] if line.startswith("#") and not line.startswith("# ") and line != "#" else line
        for line in text.splitlines()
    )
    content = tomllib.loads(keys)
    for program in PROGRAMS:
        found = resolve(program, {}, {}, ConfigFile(Path("example"), content))
        assert set(found.origins) == {setting.name for setting in program.settings}
        for setting in program.settings:
            if setting.default and not setting.shown:
                assert found.values[setting.name] == setting.default
