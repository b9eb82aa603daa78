"""Which backend the artist has chosen."""

import json
from pathlib import Path

import pytest

from tapestry.backend.choice import BackendChoice, ChosenBackend
from tapestry.backend.process import BackendProcess
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.runtime import RuntimeInfo, write_runtime_file


class Local(BackendProcess):
    """A backend of this computer that is not started, and remembers how it would have been."""

    def __init__(self) -> None:
        super().__init__("tapestry", {})
        self.started: list[tuple[list[str], dict[str, str]]] = []

    def find(self) -> None:
        return None

    def start(self) -> None:
        self.started.append((self.arguments, self.variables))


def test_a_choice_comes_back() -> None:
    """All of it."""
    choice = BackendChoice(("/models/a", "b/c"), "cuda:1", "localhost:7865", "/x/server.json")
    assert BackendChoice.from_text(choice.to_text()) == choice


@pytest.mark.parametrize("text", ["", "{", "[]", '{"device": "toaster"}', '{"models": "x"}'])
def test_a_damaged_choice_is_the_default(text: str) -> None:
    """Krita's file can be edited by hand."""
    assert BackendChoice.from_text(text) == BackendChoice()


def test_models_and_device_count_from_the_next_start_on() -> None:
    """They become arguments and a variable."""
    local = Local()
    chosen = ChosenBackend(local, BackendChoice())
    chosen.start()
    chosen.choose(BackendChoice(("/models/a", "/models/b"), "cpu"))
    chosen.start()
    assert local.started == [
        ([], {}),
        (["--model", "/models/a", "--model", "/models/b"], {"TAPESTRY_DEVICE": "cpu"}),
    ]


def test_a_distant_backend_is_found_by_address_and_file(tmp_path: Path) -> None:
    """The token is the file's, the port the tunnel's; it is never started from here."""
    file = tmp_path / "server.json"
    write_runtime_file(RuntimeInfo(5, "secret", 1, PROTOCOL_VERSION, VERSION), file)
    chosen = ChosenBackend(Local(), BackendChoice(address="localhost:7865", server_file=str(file)))
    found = chosen.find()
    assert (found.port, found.token) == (7865, "secret")
    assert chosen.has_ended()
    with pytest.raises(TapestryError, match="cannot be reached"):
        chosen.start()
    chosen.choose(BackendChoice(server_file=str(file)))
    assert chosen.find().port == 5


@pytest.mark.parametrize(
    "address", ["example.org:7865", "localhost", "localhost:0", "localhost:x", ":7865", "a b:70000"]
)
def test_an_address_elsewhere_says_how_to_make_a_tunnel(address: str) -> None:
    """The token must not travel in the open."""
    chosen = ChosenBackend(Local(), BackendChoice(address=address, server_file="x"))
    with pytest.raises(TapestryError, match="tunnel") as refusal:
        chosen.find()
    assert "ssh" in refusal.value.advice


def test_an_address_without_a_token_is_a_sentence() -> None:
    """With where to get it."""
    with pytest.raises(TapestryError, match="token file"):
        ChosenBackend(Local(), BackendChoice(address="localhost:7865")).find()


def test_no_token_is_in_the_choice(tmp_path: Path) -> None:
    """Krita's settings are no place for it."""
    file = tmp_path / "server.json"
    write_runtime_file(RuntimeInfo(5, "secret", 1, PROTOCOL_VERSION, VERSION), file)
    text = BackendChoice(server_file=str(file)).to_text()
    assert "secret" not in text
    assert json.loads(text)["server_file"] == str(file)
